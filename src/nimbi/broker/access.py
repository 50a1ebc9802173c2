"""Who may do which operation on which account: one function says so."""

import re
from datetime import datetime

import msgspec

from nimbi.driver.capabilities import BY_ID, INTERFACES
from nimbi.model.accounts import NAME
from nimbi.model.errors import Forbidden, Invalid
from nimbi.model.tokens import EVERYTHING, Scope

READ = "read"

# What the broker itself has, beside the collections of clouds.
OWN = frozenset({"accounts", "drivers", "events", "inventory", "orphans", "tokens", "webhooks"})
# Of its operations, those that change nothing.
OWN_READING = frozenset(
    {
        "accounts.page",
        "accounts.get",
        "accounts.capabilities",
        "drivers.page",
        "drivers.get",
        "events.page",
        "inventory.page",
        "orphans.page",
        "tokens.page",
        "tokens.get",
        "webhooks.page",
        "webhooks.get",
    }
)

MOST_SCOPES = 50

_NAME = re.compile(NAME)

# What changes nothing, and yet gives away more than a reader has: whoever has such a URL controls
# a machine, or reads on when the token is long revoked.
HANDING_OUT = frozenset({"instances.console_link", "blobs.link"})


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Whoever is logged in. `id` is that of the token, or `admin`; `name` is for people."""

    id: str
    name: str
    scopes: tuple[Scope, ...]
    expires_at: datetime | None = None


ADMIN = Caller(id="admin", name="admin", scopes=(Scope(),))


def may(caller: Caller, operation: str, account: str | None) -> bool:
    """Return whether a caller may do an operation (`instances.start`) on an account.

    `account` None is for what concerns no single account, such as `tokens.page`: that takes a scope
    for all accounts. Operations of the broker itself are `accounts.create`, `webhooks.destroy`, ….
    """
    # Twice on the path of each request: a generator takes longer than all the rest.
    for scope in caller.scopes:
        if scope.account in (EVERYTHING, account) and _holds(scope.operations, operation):
            return True
    return False


def check(caller: Caller, operation: str, account: str | None) -> None:
    """Raise Forbidden unless a caller may do an operation on an account."""
    if not may(caller, operation, account):
        on = f" on the account {account!r}" if account is not None else " for all accounts"
        raise Forbidden(f"{caller.name} may not do {operation}{on}")


def may_see(caller: Caller, account: str) -> bool:
    """Return whether an account is to be shown to a caller: any scope for it will do."""
    return any(scope.account in (EVERYTHING, account) for scope in caller.scopes)


def is_reading(operation: str) -> bool:
    """Return whether the scope `read` holds an operation."""
    known = BY_ID.get(operation)
    is_safe = known.is_safe if known is not None else operation in OWN_READING
    return is_safe and operation not in HANDING_OUT


def covers(caller: Caller, scope: Scope) -> bool:
    """Return whether a caller may hand a scope on: it has one that is as wide."""
    return any(
        own.account in (EVERYTHING, scope.account) and _includes(own.operations, scope.operations)
        for own in caller.scopes
    )


def check_scopes(scopes: tuple[Scope, ...]) -> None:
    """Raise Invalid for no scopes, too many, and for scopes that stand for nothing."""
    if not 1 <= len(scopes) <= MOST_SCOPES:
        raise Invalid(f"a token has 1 to {MOST_SCOPES} scopes")
    for scope in scopes:
        if not _is_known(scope.operations):
            raise Invalid(
                f"a scope's operations are {EVERYTHING}, {READ}, a collection (instances.*) or an "
                f"operation (instances.start), not {scope.operations[:60]!r}"
            )
        if scope.account != EVERYTHING and _NAME.fullmatch(scope.account) is None:
            raise Invalid(f"a scope's account is {EVERYTHING} or a name")


def _is_known(operations: str) -> bool:
    if operations in (EVERYTHING, READ) or operations in BY_ID:
        return True
    collection, _dot, name = operations.partition(".")
    if collection in OWN:
        return name == "*" or name.isidentifier()
    return name == "*" and any(interface.name == collection for interface in INTERFACES)


def _holds(operations: str, operation: str) -> bool:
    if operations in (EVERYTHING, operation):
        return True
    if operations == READ:
        return is_reading(operation)
    return operations.endswith(".*") and operation.startswith(operations[:-1])


def _includes(wide: str, narrow: str) -> bool:
    """Return whether all operations that `narrow` stands for are among those of `wide`."""
    if wide in (EVERYTHING, narrow):
        return True
    if narrow in (EVERYTHING, READ) or narrow.endswith(".*"):
        return False
    return _holds(wide, narrow)
