"""What a check looks at, and what it tells."""

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Verdict(StrEnum):
    """How well something is: `limited` still works, in part or slowly."""

    OK = "ok"
    LIMITED = "limited"
    MISSING = "missing"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What was found; what can't be done therefore; how to mend it. The last two may be empty."""

    verdict: Verdict = Verdict.OK
    found: str
    follows: str = ""
    mend: str = ""


@dataclass(frozen=True, kw_only=True)
class Host:
    """The machine that is looked at. `state` is the state directory, which need not exist.

    `system` is where its file system begins, `uid` who asks, `network` the rung that is set.
    """

    state: Path
    system: Path = Path("/")
    uid: int = os.geteuid()
    network: str = "auto"

    def read(self, path: str) -> str | None:
        """Return what a file of the system holds, without blanks around it; None without it."""
        try:
            return (self.system / path).read_text("utf-8", "replace").strip()
        except OSError:
            return None


@dataclass(frozen=True)
class Check:
    """One thing to look at. Without an `essential` one no guest can run."""

    name: str
    look: Callable[[Host], Awaitable[Finding]]
    essential: bool = False


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """One check and what it has found."""

    name: str
    essential: bool
    finding: Finding
