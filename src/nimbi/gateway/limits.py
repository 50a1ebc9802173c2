"""How long calls may take, how often they are repeated, how many sessions are kept."""

from collections.abc import Mapping
from typing import Annotated

import msgspec

Seconds = Annotated[float, msgspec.Meta(gt=0)]

# Waiting for a command's end is the operation itself, so it may take as long as commands do.
SLOW: Mapping[str, float] = {"instances.run": 600.0}


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits of the calls to one cloud: the part `calls` of a driver's settings.

    `deadline_s` covers a call with all its repetitions; `deadlines_s` sets it for single
    operations, `{"instances.run": 1200}`. A stream of blobs has `idle_s` for each chunk instead. A
    call is tried `attempts` times at most. Before the n-th repetition there is a random pause of
    up to `backoff_s * 2 ** (n - 1)`, never above `backoff_max_s` (full jitter).
    """

    deadline_s: Seconds = 60.0
    deadlines_s: Mapping[str, Seconds] = {}
    idle_s: Seconds = 60.0
    attempts: Annotated[int, msgspec.Meta(ge=1, le=100)] = 4
    backoff_s: Seconds = 0.2
    backoff_max_s: Seconds = 10.0

    def deadline(self, operation: str) -> float:
        """Return the seconds that a call of an operation, by its id, may take."""
        longest_wins = max(self.deadline_s, SLOW.get(operation, 0.0))
        return self.deadlines_s.get(operation, longest_wins)


class PoolLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits of the pool of sessions: how many, how long unused, how old in all.

    `leave_s` is how long a session or a driver may take to close.
    """

    sessions: Annotated[int, msgspec.Meta(ge=1)] = 1024
    idle_s: Seconds = 300.0
    age_s: Seconds = 3600.0
    leave_s: Seconds = 10.0


DEFAULT_LIMITS = Limits()
DEFAULT_POOL = PoolLimits()
