"""Propose a few values and print the log.

python examples/demo.py --config config/loopback.yaml a b c
docker compose --profile demo run --rm demo
"""

from __future__ import annotations

import argparse

from paxosd import Client

GREETINGS = ["hello", "from", "the", "demo"]


def main() -> None:
    """Propose the values of the command line, and print where each went and what the log holds then."""
    parser = argparse.ArgumentParser(description="Propose a few values and print the log.")
    parser.add_argument("--config", default="config/cluster.yaml", help="the membership file of the cluster")
    parser.add_argument("values", nargs="*", default=GREETINGS, metavar="VALUE")
    chosen = parser.parse_args()
    # A generous timeout: the cluster may have been started in the same breath, and elects its first leader.
    with Client.from_config(chosen.config, timeout=30) as client:
        futures = [client.propose_async(value.encode()) for value in chosen.values]
        for value, future in zip(chosen.values, futures, strict=True):
            receipt = future.result()
            print(f"proposed {value!r}: revision {receipt.revision}, in slot {receipt.slot}")
        print("the log, the same on every learner:")
        for entry in client.log(start=1):
            print(f"{entry.revision:6}  {entry.value.decode(errors='replace')}")


if __name__ == "__main__":
    main()
