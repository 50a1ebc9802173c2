"""API tokens: who may call, and what for."""

from datetime import datetime

import msgspec

from nimbi.model.resource import NewResource

EVERYTHING = "*"


class Scope(msgspec.Struct, frozen=True):
    """Some operations on some accounts.

    `operations` is an operation (`instances.start`), a collection with all its operations
    (`instances.*`), `read` for all that change nothing, or `*`. `account` is a name or `*`.
    """

    operations: str = EVERYTHING
    account: str = EVERYTHING


class NewToken(NewResource, frozen=True, kw_only=True):
    """A token for a program or a person. Without `expires_at` it lives until it is revoked.

    It belongs to `user` and acts in `tenant`, a domain or project; when they are not told, to the
    user and in the tenant of the caller.
    """

    name: str
    scopes: tuple[Scope, ...] = (Scope(),)
    expires_at: datetime | None = None
    user: str | None = None
    tenant: str | None = None


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a token; its secret is kept nowhere.

    `user` is the id of whose it is, `admin` for the operator's own.
    """

    id: str
    name: str
    scopes: tuple[Scope, ...]
    created_at: datetime
    expires_at: datetime | None = None
    used_at: datetime | None = None
    user: str = "admin"
    tenant: str = "root"


class CreatedToken(msgspec.Struct, frozen=True, kw_only=True):
    """A token just made, with its secret, which is told this once."""

    token: Token
    secret: str

    def __repr__(self) -> str:
        return f"CreatedToken({self.token!r}, …)"
