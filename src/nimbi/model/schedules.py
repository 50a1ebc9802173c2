"""Schedules: jobs that begin at certain times."""

from datetime import datetime
from typing import Annotated

import msgspec

from nimbi.model.errors import Invalid
from nimbi.model.people import Owner
from nimbi.model.resource import NewResource

Title = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
# Later than this after its time, a job is left out.
Late = Annotated[int, msgspec.Meta(ge=1, le=7 * 24 * 3600)]


class NewSchedule(NewResource, frozen=True, kw_only=True):
    """Begin a job of a kind again and again (`cron` in `time_zone`), or once (`at`).

    `cron` has five fields: minute, hour, day of month, month, day of week (Source: crontab(5)). A
    time that a change to daylight saving leaves out is moved to the first moment after it; one that
    comes twice counts the first time. With a `*` as minute or hour, it goes by time as it passes:
    nothing is moved, and what comes twice counts twice.
    """

    kind: str
    arguments: msgspec.Raw
    title: Title | None = None
    cron: Annotated[str, msgspec.Meta(max_length=200)] | None = None
    time_zone: Annotated[str, msgspec.Meta(max_length=60)] = "UTC"
    at: datetime | None = None
    late_s: Late = 3600
    is_enabled: bool = True

    def check(self) -> None:
        """Raise Invalid unless it says when, in one way."""
        if (self.cron is None) == (self.at is None):
            raise Invalid("a schedule has a cron expression, or a time: one of both")
        if self.at is not None and self.at.tzinfo is None:
            raise Invalid("the time of a schedule needs a time zone")

    def __repr__(self) -> str:
        return f"NewSchedule({self.kind!r}, cron={self.cron!r}, at={self.at!r})"


class ScheduleChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change of a schedule; what is not set stays as it is."""

    title: Title | msgspec.UnsetType | None = msgspec.UNSET
    cron: str | msgspec.UnsetType = msgspec.UNSET
    time_zone: str | msgspec.UnsetType = msgspec.UNSET
    at: datetime | msgspec.UnsetType = msgspec.UNSET
    late_s: Late | msgspec.UnsetType = msgspec.UNSET
    is_enabled: bool | msgspec.UnsetType = msgspec.UNSET


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule. `next_at` is when it is due; None when it never is again, or is not enabled.

    `last_at` is the due time that counted last, and `last_job` what began then: None when that was
    left out, and `problem` says why.
    """

    id: str
    kind: str
    title: str | None
    owner: Owner
    cron: str | None
    time_zone: str
    at: datetime | None
    late_s: int
    is_enabled: bool
    created_at: datetime
    next_at: datetime | None = None
    last_at: datetime | None = None
    last_job: str | None = None
    problem: str | None = None


class Times(msgspec.Struct, frozen=True, kw_only=True):
    """When a schedule is due next, in order; local times are in `time_zone`."""

    time_zone: str
    times: tuple[datetime, ...]
