"""The variables of the environment that override the membership file, and those that only look as if they did.

Laws:
1. `PAXOSD_TIMING_…` and `PAXOSD_STORAGE_…` override what stands in the file; an empty one says nothing.
2. What a container engine sets for a service or a link named so is nobody's mistake: it is passed over, with a warning.
3. Any other variable that seems to override something and does not is an error: who set it relies on it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from paxosd.config.section import NO_LINE, Findings, unknown
from paxosd.config.values import meant

PREFIX = "PAXOSD_"
READ_ELSEWHERE = ("PAXOSD_LOG_LEVEL",)
SHARED = ("cluster", "transport", "nodes", "quorum", "limits", "machines")
"""The parts of the file that are the same on every node, so that no node's environment may change them."""

SERVICE = re.compile(r".*_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?|ENV_\w+)")
"""What Kubernetes sets for every service of a namespace, and Docker for every link."""
SERVICE_VALUES = {"_PORT": re.compile(r"\w+://.+"), "_NAME": re.compile(r"/.+/.+")}
"""Those of these endings only with such a value: as another one they would be somebody's mistake."""


def check(env: Mapping[str, str], own: Mapping[str, Sequence[str]], findings: Findings) -> None:
    """Note what the environment says in vain; `own` has the keys of each part of the file that may be overridden."""
    read = [variable(part, key) for part, keys in own.items() for key in keys]
    for name in sorted(env):
        if name.startswith(PREFIX) and env[name] and name not in read and name not in READ_ELSEWHERE:
            _note(name, env[name], own, [*read, *READ_ELSEWHERE], findings)


def variable(part: str, key: str) -> str:
    """The variable that overrides this key."""
    return f"{PREFIX}{part}_{key}".upper()


def _note(name: str, value: str, own: Mapping[str, Sequence[str]], read: Sequence[str], findings: Findings) -> None:
    place = f"environment {name}"
    if _is_of_a_service(name, value):
        return findings.odd(f"{place}: was set for a service or a link of that name; it is passed over")
    part, _, key = name.removeprefix(PREFIX).lower().partition("_")
    if part in SHARED:
        return findings.wrong(
            NO_LINE, f"{place}: overrides nothing: {part} is the same on every node, and stands in the file alone"
        )
    if part in own:
        return findings.wrong(NO_LINE, f"{place}: {unknown(key, own[part])}")
    near = meant(name.removeprefix(PREFIX), [known.removeprefix(PREFIX) for known in read])
    if near:
        return findings.wrong(NO_LINE, f"{place}: overrides nothing; did you mean {PREFIX + near!r}?")
    findings.odd(f"{place}: is not read; {', '.join(read)} are")


def _is_of_a_service(name: str, value: str) -> bool:
    return SERVICE.fullmatch(name) is not None or any(
        name.endswith(ending) and values.fullmatch(value) for ending, values in SERVICE_VALUES.items()
    )
