"""Accounts: logins to clouds that Nimbi remembers."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from nimbi.model.errors import CloudError, Invalid, Throttled
from nimbi.model.resource import NewResource

# A name is part of URLs, and of what people type: `aws-prod`.
NAME = r"[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?"

# Names with a meaning of their own where an account's name is asked for.
RESERVED = frozenset({"all"})


class Problem(msgspec.Struct, frozen=True):
    """A CloudError as it is kept and told: its `code`, and words for a person."""

    code: str
    message: str
    retry_after_s: float | None = None

    @classmethod
    def of(cls, error: CloudError) -> "Problem":
        """Return what is kept of an error."""
        after_s = error.retry_after_s if isinstance(error, Throttled) else None
        return cls(error.code, error.message, after_s)


class HealthState(StrEnum):
    """UNKNOWN until the cloud was asked for the first time."""

    UNKNOWN = "unknown"
    OK = "ok"
    FAILED = "failed"


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """Whether an account's cloud answers: since when it is so, and when that was seen last."""

    state: HealthState = HealthState.UNKNOWN
    since: datetime | None = None
    checked_at: datetime | None = None
    problem: Problem | None = None


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A stored login to one cloud, without its secrets; it belongs to the domain `tenant`.

    `id` is the name that its owner gave it. `own_login` says that it has no stored credentials and
    uses those that the driver finds on the server's machine. `version` grows with each change but
    those of `health`.
    """

    id: str
    driver: str
    provider: str | None
    own_login: bool
    is_enabled: bool
    tags: Mapping[str, str] = {}
    health: Health = Health()
    created_at: datetime
    changed_at: datetime
    version: int
    tenant: str = "root"


class NewAccount(NewResource, frozen=True, kw_only=True):
    """Remember a login. `credentials` are the fields of the driver's own kind of login.

    It belongs to `tenant`, that of the caller when not told.
    """

    id: str
    driver: str
    provider: str | None = None
    credentials: Mapping[str, Any] | None = None
    own_login: bool = False
    tags: Mapping[str, str] = {}
    tenant: str | None = None

    def check(self) -> None:
        """Raise Invalid unless the login is told in exactly one way."""
        if (self.credentials is not None) == self.own_login:
            raise Invalid("an account needs credentials, or own_login, and not both")

    def __repr__(self) -> str:
        return f"NewAccount(id={self.id!r}, driver={self.driver!r}, …)"


class AccountChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change of an account; what is not set stays as it is."""

    provider: str | msgspec.UnsetType | None = msgspec.UNSET
    credentials: Mapping[str, Any] | msgspec.UnsetType = msgspec.UNSET
    is_enabled: bool | msgspec.UnsetType = msgspec.UNSET
    tags: Mapping[str, str] | msgspec.UnsetType = msgspec.UNSET

    def __repr__(self) -> str:
        return "AccountChange(…)"


class PartState(StrEnum):
    """How whole one account's part of a list is.

    OK is whole and as fresh as was asked for, PARTIAL lacks the end, STALE is what was known before
    the cloud failed, FAILED has nothing.
    """

    OK = "ok"
    PARTIAL = "partial"
    STALE = "stale"
    FAILED = "failed"


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """What one account gave to a list over several.

    `age_s` is how long ago its cloud told this; None when it never did. `count` is how many things
    of the account fit the wish; None when that was not counted.
    """

    account: str
    state: PartState
    problem: Problem | None = None
    age_s: float | None = None
    count: int | None = None
