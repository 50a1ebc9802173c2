"""What each role is to be allowed, as the handbook says it: written without the code under test."""

from typing import NamedTuple

from nimbi.model.people import Effect, RoleRule

# Verbs that change nothing and give nothing away.
READING = frozenset(
    {
        *("page", "get", "read", "console", "screenshot", "log", "capabilities", "lends"),
        *("export", "verify"),
    }
)
# Verbs that change nothing and give away more than a reader has.
HANDING_OUT = frozenset({"console_link", "link"})

CLOUDS = frozenset(
    {
        *("realms", "hardware_profiles", "images", "instances", "keys", "firewalls", "addresses"),
        *("networks", "subnets", "routers", "network_interfaces", "load_balancers", "volumes"),
        *("snapshots", "buckets", "blobs", "metrics"),
    }
)
# Of what the broker itself has, what who runs things may change.
RUNNING = frozenset(
    {
        *("alerts", "checks", "inventory", "jobs", "objectives", "orphans", "schedules"),
        *("silences", "tokens", "webhooks"),
    }
)
# Of that, what a plain user may not.
NOT_FOR_USERS = frozenset({"objectives", "orphans"})
# What a plain user does not even see.
HIDDEN = frozenset({"audit", "grants", "groups", "orphans", "users"})

# Only in the root domain.
SITE = frozenset({"accounts.own_login", "audit.verify", "audit.prune", "quotas.recount"})
# Only where the account belongs, and above.
OWNERS = frozenset(
    {
        *("accounts.change", "accounts.destroy", "accounts.test", "accounts.move"),
        *("accounts.lend", "accounts.unlend", "accounts.lends", "orphans.page", "orphans.adopt"),
        "orphans.destroy",
    }
)
# Of an account that is not there yet.
NEW = frozenset({"accounts.create", "accounts.own_login"})

# A role of one's own: everything with instances but to destroy, and reading the rest.
KEEPER = (
    RoleRule(Effect.DENY, "*.destroy"),
    RoleRule(Effect.ALLOW, "instances.*"),
    RoleRule(Effect.ALLOW, "read"),
)
BUILT_IN = ("admin", "domain-admin", "auditor", "operator", "user")
ROLES = (*BUILT_IN, "keeper")

# How the account of a call lies to the tenant in which its caller acts.
OWN, BELOW, PARENT, LENT, OTHER = "own", "below", "parent", "lent", "other"
ACTING = ("root", "acme", "acme/web")
# By account: how it lies to each of those. The one of the shop is lent to acme/web.
LIES = {
    "of-root": (OWN, PARENT, PARENT),
    "of-acme": (BELOW, OWN, PARENT),
    "of-web": (BELOW, BELOW, OWN),
    "of-ops": (BELOW, BELOW, OTHER),
    "of-other": (BELOW, OTHER, OTHER),
    "of-shop": (BELOW, OTHER, LENT),
}


class Operation(NamedTuple):
    """An operation by its parts: `instances.start`."""

    collection: str
    verb: str

    @classmethod
    def of(cls, id: str) -> "Operation":
        return cls(*id.split("."))

    @property
    def reads(self) -> bool:
        return self.verb in READING


def role_allows(role: str, id: str) -> bool:
    """Return whether a role is to allow an operation in its tenant, which is not the root domain.

    There nobody at all may do those of SITE.
    """
    operation = Operation.of(id)
    if role == "admin":
        return True
    if role == "domain-admin":
        return id not in SITE
    if role == "auditor":
        return operation.reads
    if role == "keeper":
        is_instances = operation.collection == "instances" and operation.verb != "destroy"
        return is_instances or operation.reads
    if role == "operator":
        is_running = operation.collection in CLOUDS | RUNNING or id == "accounts.test"
        return operation.reads or is_running
    if operation.collection in HIDDEN:
        return False
    is_using = operation.collection in CLOUDS | (RUNNING - NOT_FOR_USERS)
    return operation.reads or is_using


def expected(role: str, id: str, acting: str, account: str | None) -> bool:
    """Return whether somebody with a role, who acts at a place, is to do that on an account."""
    if not role_allows(role, id):
        return False
    if acting != "root" and id in SITE:
        return False
    if account is None or id in NEW:
        return True
    lies = LIES[account][ACTING.index(acting)]
    if lies in (PARENT, LENT):
        return id not in OWNERS
    return lies in (OWN, BELOW)
