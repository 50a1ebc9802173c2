"""What a check of `nimbi doctor` looks at, and what it tells."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from nimbi.broker.site import Options
from nimbi.settings import Settings
from nimbi.store.database import Database


class Verdict(StrEnum):
    """How something is: `poor` works and should be looked after, `broken` does not work."""

    OK = "ok"
    POOR = "poor"
    BROKEN = "broken"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What was found; what follows from it; how to mend it. The last two may be empty."""

    verdict: Verdict = Verdict.OK
    found: str
    follows: str = ""
    mend: str = ""


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """One check and what it has found."""

    name: str
    finding: Finding


@dataclass(frozen=True, kw_only=True)
class Patient:
    """What is looked at: the settings of a server, as they are found here."""

    settings: Settings
    options: Options


@dataclass(frozen=True)
class Check:
    """One thing to look at on this machine."""

    name: str
    look: Callable[[Patient], Awaitable[Finding]]


@dataclass(frozen=True)
class StoredCheck:
    """One thing to look at in the database, once that is known to be of the newest form."""

    name: str
    look: Callable[[Database, Patient], Awaitable[Finding]]


def poor(found: str, follows: str, mend: str) -> Finding:
    """Return the finding for what works, and should be looked after."""
    return Finding(verdict=Verdict.POOR, found=found, follows=follows, mend=mend)


def broken(found: str, follows: str, mend: str) -> Finding:
    """Return the finding for what does not work."""
    return Finding(verdict=Verdict.BROKEN, found=found, follows=follows, mend=mend)


def some(names: list[str], most: int = 3) -> str:
    """Return a few of many: `a, b, c and 4 more`."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
