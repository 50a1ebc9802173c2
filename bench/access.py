"""What the check of a role costs on the path of each request."""

import time
from pathlib import Path

from bench.table import Line
from nimbi.broker.access import CATALOG, Caller, may
from nimbi.broker.rights.builtin_roles import BUILT_IN, allowed, combined
from nimbi.model.people import MOST_RULES, Effect, RoleRule
from nimbi.model.tokens import Scope

ROUNDS, TIMES = 5, 20
GOAL_US = 20.0

# A role as long as one may be, whose last rule is the one that counts.
LONGEST = tuple(RoleRule(Effect.DENY, f"{one}.never") for one in map(str, range(MOST_RULES - 1)))

ROLES = {
    "admin": BUILT_IN["admin"].rules,
    "user": BUILT_IN["user"].rules,
    "user and auditor": combined((BUILT_IN["user"].rules, BUILT_IN["auditor"].rules)),
    f"{MOST_RULES} rules": (*LONGEST, RoleRule(Effect.ALLOW, "*")),
}


def measure(place: Path) -> list[Line]:
    """Return a line a role: the worst of all operations, at a project with many accounts."""
    del place
    return [
        Line(f"role check, worst operation: {name}", _worst(rules), "µs", GOAL_US, at_least=False)
        for name, rules in ROLES.items()
    ]


def _worst(rules: tuple[RoleRule, ...]) -> float:
    accounts = frozenset(f"account-{number}" for number in range(500))
    tenants = ("root", "t-acme", "t-web")
    caller = Caller(
        id="t",
        name="t",
        user="u",
        scopes=(Scope("read", "account-1"), Scope()),
        tenant=tenants[-1],
        path=tenants,
        rules=rules,
        accounts=accounts,
        owned=frozenset(),
        below=frozenset(tenants[-1:]),
        allowed=allowed(rules),
    )
    return max(_took(caller, operation) for operation in CATALOG)


def _took(caller: Caller, operation: str) -> float:
    """Return the microseconds of one check, of several rounds the quickest."""
    best = float("inf")
    for _ in range(ROUNDS):
        begun = time.perf_counter_ns()
        for _ in range(TIMES):
            may(caller, operation, "account-7")
        best = min(best, (time.perf_counter_ns() - begun) / TIMES / 1000)
    return best
