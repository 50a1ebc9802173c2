"""Alerts: what is wrong, since when, and whether people are told of it."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from nimbi.model.accounts import Problem
from nimbi.model.errors import Invalid
from nimbi.model.people import ROOT
from nimbi.model.resource import NewResource


class AlertState(StrEnum):
    """PENDING: perhaps something is wrong; nobody is told. FIRING: it is. RESOLVED: it was."""

    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"


class SourceKind(StrEnum):
    """What found it."""

    CHECK = "check"
    OBJECTIVE = "objective"


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is wrong. Of one source and rule there is one at a time that is not over.

    `source` is the id of the check or objective. `rule` is `down`, or how quickly a budget burns:
    `fast`, `slow`. `instance_id` is None where it is about a whole account, `account` None where it
    is about several. `silenced` says that nobody is told just now.
    """

    id: str
    tenant: str = ROOT
    kind: SourceKind
    source: str
    rule: str
    name: str
    account: str | None
    instance_id: str | None = None
    state: AlertState
    summary: str
    problem: Problem | None = None
    began_at: datetime
    fired_at: datetime | None = None
    resolved_at: datetime | None = None
    silenced: bool = False


class NewSilence(NewResource, frozen=True, kw_only=True):
    """Tell nobody of some alerts until `ends_at`, and do nothing for what they are about.

    Those of one check or objective (`source`), of one `account`, or all. When it is over, people
    are told of what still goes on.
    """

    account: Annotated[str, Meta(min_length=1, max_length=255)] | None = None
    source: Annotated[str, Meta(min_length=1, max_length=100)] | None = None
    begins_at: datetime | None = None
    ends_at: datetime
    comment: Annotated[str, Meta(max_length=1000)] = ""

    def check(self) -> None:
        """Raise Invalid for times without a zone, and when it ends before it begins."""
        for at in (self.begins_at, self.ends_at):
            if at is not None and at.tzinfo is None:
                raise Invalid("a time needs a time zone")
        if self.begins_at is not None and self.ends_at <= self.begins_at:
            raise Invalid("a silence ends after it begins")


class Silence(msgspec.Struct, frozen=True, kw_only=True):
    """A time in which nobody is told of some alerts; `by` made it."""

    id: str
    tenant: str = ROOT
    by: str
    account: str | None
    source: str | None
    begins_at: datetime
    ends_at: datetime
    comment: str = ""
    created_at: datetime
