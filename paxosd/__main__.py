"""`python -m paxosd` is `paxosd`."""

import sys

from paxosd.commands.paxosd import main

if __name__ == "__main__":  # spawned processes import this file again
    sys.exit(main())
