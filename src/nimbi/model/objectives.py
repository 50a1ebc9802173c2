"""Objectives: how good the results of some checks are meant to be, and how good they are."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from nimbi.model.checks import MOST_EMAILS, Name
from nimbi.model.errors import Invalid
from nimbi.model.people import ROOT, check_email
from nimbi.model.resource import NewResource

MOST_CHECKS = 100


class NewObjective(NewResource, frozen=True, kw_only=True):
    """So many percent of the results of these checks are good, over so many days that roll on.

    With 99.9 % over 30 days, 43 minutes of a check that is always asked may be bad: the budget.
    """

    name: Name
    checks: Annotated[tuple[str, ...], Meta(min_length=1, max_length=MOST_CHECKS)]
    target_percent: Annotated[float, Meta(gt=0, lt=100)] = 99.9
    window_days: Annotated[int, Meta(ge=1, le=90)] = 30
    emails: Annotated[tuple[str, ...], Meta(max_length=MOST_EMAILS)] = ()

    def check(self) -> None:
        """Raise Invalid for a check named twice, and for what is no address of e-mail."""
        if len(set(self.checks)) < len(self.checks):
            raise Invalid("each check is named once")
        for email in self.emails:
            check_email(email)


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How an objective stands. Results that nobody could have are not among them.

    `good_percent` is None without results. `budget_left_percent` is what is left of the results
    that may be bad, below zero when more were. `burn_rate_1h` is how many times faster than
    allowed the budget was used in the last hour; at 1 it lasts exactly for the window.
    """

    good: int = 0
    bad: int = 0
    good_percent: float | None = None
    budget_left_percent: float | None = None
    burn_rate_1h: float = 0.0
    burn_rate_6h: float = 0.0


class Objective(msgspec.Struct, frozen=True, kw_only=True):
    """An objective, and how it stands."""

    id: str
    name: str
    tenant: str = ROOT
    checks: tuple[str, ...]
    target_percent: float
    window_days: int
    emails: tuple[str, ...] = ()
    created_at: datetime
    standing: Standing = Standing()
