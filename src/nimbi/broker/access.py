"""Who may do which operation on which account: one function says so."""

import re
from collections.abc import Mapping
from datetime import datetime

import msgspec

from nimbi.driver.capabilities import BY_ID, INTERFACES
from nimbi.model.accounts import NAME
from nimbi.model.errors import Forbidden, Invalid
from nimbi.model.people import ALLOW_ALL, OPERATOR, ROOT, Effect, Owner, RoleRule
from nimbi.model.tokens import EVERYTHING, Scope

READ = "read"

# What the broker itself has, beside the collections of clouds: by collection the operations that
# change nothing, and those that change something.
OWN: Mapping[str, tuple[str, str]] = {
    "accounts": (
        "page get capabilities lends",
        "create change destroy test own_login move lend unlend",
    ),
    "alerts": ("page get", "create update destroy acknowledge"),
    "audit": ("page export verify", "prune"),
    "bills": ("page get", "create"),
    "budgets": ("page get", "create update destroy"),
    "checks": ("page get", "create update destroy"),
    "domains": ("page get", "create update destroy"),
    "drivers": ("page get", ""),
    "events": ("page", ""),
    "grants": ("page get", "create destroy"),
    "holdings": ("page", "update"),
    "groups": ("page get", "create destroy add_member remove_member"),
    "inventory": ("page", "refresh"),
    "jobs": ("page get log", "create cancel"),
    "limits": ("page get", "set destroy"),
    "objectives": ("page get", "create update destroy"),
    "orphans": ("page", "adopt destroy"),
    "prices": ("page get", "create import destroy"),
    "projects": ("page get", "create update destroy"),
    "quotas": ("page get", "set destroy recount"),
    "roles": ("page get", "create update destroy"),
    "schedules": ("page get", "create update destroy"),
    "silences": ("page get", "create destroy"),
    "tokens": ("page get", "create destroy"),
    "usage": ("page get", ""),
    "users": ("page get", "create update destroy"),
    "webhooks": ("page get", "create enable destroy"),
}
OWN_READING = frozenset(
    f"{name}.{verb}" for name, verbs in OWN.items() for verb in verbs[0].split()
)
OWN_CHANGING = frozenset(
    f"{name}.{verb}" for name, verbs in OWN.items() for verb in verbs[1].split()
)
# All operations there are: what a role can allow.
CATALOG = frozenset(BY_ID) | OWN_READING | OWN_CHANGING

# Stands for the operations that later versions bring.
TO_COME = "operations.to_come"

# What concerns the whole installation: only who acts in the root domain may do it.
OF_SITE = frozenset({"accounts.own_login", "audit.verify", "audit.prune", "quotas.recount"})
# What concerns an account and all who use it: only for its owner tenant and those above.
OF_OWNER = (
    frozenset(o for o in OWN_CHANGING if o.startswith("accounts."))
    | {"orphans.page", "orphans.adopt", "orphans.destroy", "accounts.lends"}
) - {"accounts.create", "accounts.own_login"}
# What names an account that is not there yet.
BRINGING = frozenset({"accounts.create", "accounts.own_login"})

MOST_SCOPES = 50

_NAME = re.compile(NAME)

# What changes nothing, and yet gives away more than a reader has: whoever has such a URL controls
# a machine, or reads on when the token is long revoked.
HANDING_OUT = frozenset({"instances.console_link", "blobs.link"})


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Whoever is logged in. `id` is that of the token, or `admin`; `name` is for people.

    `user` is the id of whom the token belongs to. It acts in `tenant`, whose path from the root
    domain is `path`; `rules` are what the user's roles come to there, the first that stands for an
    operation decides. `accounts` are those that may be used there, `owned` those that belong to
    the tenant or to one below, `below` the ids of the tenant and all below it; None stands for all.
    `allowed` are the operations that `rules` allow, None when nobody has looked yet.
    """

    id: str
    name: str
    scopes: tuple[Scope, ...]
    expires_at: datetime | None = None
    user: str = OPERATOR
    tenant: str = ROOT
    path: tuple[str, ...] = (ROOT,)
    rules: tuple[RoleRule, ...] = ALLOW_ALL
    accounts: frozenset[str] | None = None
    owned: frozenset[str] | None = None
    below: frozenset[str] | None = None
    allowed: frozenset[str] | None = None

    @property
    def owner(self) -> Owner:
        """Return what is kept of the caller where something goes on after its request."""
        return Owner(user=self.user, name=self.name, tenant=self.tenant, scopes=self.scopes)


ADMIN = Caller(id="admin", name="admin", scopes=(Scope(),))


def may(caller: Caller, operation: str, account: str | None) -> bool:
    """Return whether a caller may do an operation (`instances.start`) on an account.

    `account` None is for what concerns no single account, such as `tokens.page`: that takes a scope
    for all accounts. Operations of the broker itself are `accounts.create`, `webhooks.destroy`, ….
    """
    # Twice on the path of each request: a generator takes longer than all the rest.
    for scope in caller.scopes:
        if scope.account in (EVERYTHING, account) and _holds(scope.operations, operation):
            break
    else:
        return False
    if caller.tenant != ROOT and not _is_within(caller, operation, account):
        return False
    if caller.allowed is not None:
        return operation in caller.allowed
    return allows(caller.rules, operation)


def allows(rules: tuple[RoleRule, ...], operation: str) -> bool:
    """Return whether rules allow an operation: the first that stands for it decides."""
    for rule in rules:
        if _holds(rule.operations, operation):
            return rule.effect is Effect.ALLOW
    return False


def may_touch(caller: Caller, path: tuple[str, ...]) -> bool:
    """Return whether what belongs to a tenant is the caller's to see and change.

    `path` is that of the tenant, from the root domain on: it is the caller's own or below that.
    """
    return caller.tenant in path


def is_below(caller: Caller, tenant: str) -> bool:
    """Return whether a tenant is the caller's own or below it, as `may_touch` by its id."""
    return caller.below is None or tenant in caller.below


def check(caller: Caller, operation: str, account: str | None) -> None:
    """Raise Forbidden unless a caller may do an operation on an account."""
    if not may(caller, operation, account):
        on = f" on the account {account!r}" if account is not None else ""
        raise Forbidden(f"{caller.name} may not do {operation}{on}")


def may_see(caller: Caller, account: str) -> bool:
    """Return whether an account is to be shown to a caller: any scope for it will do."""
    if caller.accounts is not None and account not in caller.accounts:
        return False
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


def exceeding(own: tuple[RoleRule, ...], given: tuple[RoleRule, ...], tenant: str) -> str | None:
    """Return an operation that rules allow at a tenant and one's own don't; None if there is none.

    Operations that are still to come count too.
    """
    if own[:1] == ALLOW_ALL:
        return None
    for operation in (*sorted(CATALOG), TO_COME):
        if operation in OF_SITE and tenant != ROOT:
            continue
        if allows(given, operation) and not allows(own, operation):
            return operation
    return None


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
    if operations.startswith("*."):
        return operation.endswith(operations[1:])
    return operations.endswith(".*") and operation.startswith(operations[:-1])


def _is_within(caller: Caller, operation: str, account: str | None) -> bool:
    """Return whether an operation is one for the caller's tenant, which isn't the root domain."""
    if operation in OF_SITE:
        return False
    if account is None or operation in BRINGING:
        return True
    among = caller.owned if operation in OF_OWNER else caller.accounts
    return among is None or account in among


def _includes(wide: str, narrow: str) -> bool:
    """Return whether all operations that `narrow` stands for are among those of `wide`."""
    if wide in (EVERYTHING, narrow):
        return True
    if narrow in (EVERYTHING, READ) or narrow.endswith(".*"):
        return False
    return _holds(wide, narrow)
