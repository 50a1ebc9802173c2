"""Jobs: long work that survives the process that does it."""

from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from nimbi.model.accounts import Problem
from nimbi.model.people import Owner


class JobState(StrEnum):
    """What a job is doing; the last three are its ends, and never change again."""

    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDS = frozenset({JobState.DONE, JobState.FAILED, JobState.CANCELLED})


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One job, as far as it is.

    `percent` is 0 to 100, and 100 only at the end; `phase` is one word or few, `activity` a
    sentence. `estimate_at` is when it may be done, None while nobody can tell. `result` is what
    its JSON decodes to, there when it is done; `error` when it failed. `slot` names the worker
    that does it, `attempt` counts the processes that took it up. `owner` is whose rights it works
    with.
    """

    id: str
    kind: str
    title: str
    owner: Owner
    state: JobState
    created_at: datetime
    percent: int = 0
    phase: str = ""
    activity: str = ""
    attempt: int = 0
    estimate_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    result: Any = None
    error: Problem | None = None
    slot: str | None = None

    @property
    def is_ended(self) -> bool:
        """Whether it has come to its end, whichever."""
        return self.state in ENDS


class JobFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which jobs a list shows; what is empty or None does not matter.

    `tenants` are those of the owners, `users` the owners themselves.
    """

    states: tuple[JobState, ...] = ()
    kinds: tuple[str, ...] = ()
    tenants: tuple[str, ...] | None = None
    users: tuple[str, ...] | None = None


class LogLine(msgspec.Struct, frozen=True, kw_only=True):
    """What a job told of itself at one time."""

    at: datetime
    text: str
