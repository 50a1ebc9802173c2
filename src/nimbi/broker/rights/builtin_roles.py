"""The roles that are always there, and what several of them come to together."""

from collections.abc import Iterable, Mapping
from functools import lru_cache

from nimbi.broker.access import CATALOG, allows
from nimbi.driver.capabilities import INTERFACES
from nimbi.model.errors import Invalid
from nimbi.model.people import ALLOW_ALL, Effect, Role, RoleRule
from nimbi.model.tokens import EVERYTHING

ALLOW, DENY = Effect.ALLOW, Effect.DENY

READ = "read"

# The broker's own quotas have the name of those of clouds, which can only be read anyway.
CLOUDS = " ".join(f"{interface.name}.*" for interface in INTERFACES if interface.name != "quotas")

# By their names: what they are for, and their rules in short: what is denied, one after the other,
# then what is allowed, and so on; the first that stands for an operation decides.
_BUILT_IN: Mapping[str, tuple[str, tuple[tuple[Effect, str], ...]]] = {
    "admin": ("Does everything.", ((ALLOW, "*"),)),
    "domain-admin": (
        "Does everything in a domain and below, and nothing to the installation.",
        (
            (DENY, "accounts.own_login audit.prune audit.verify quotas.recount"),
            (ALLOW, "*"),
        ),
    ),
    "auditor": ("Reads all, changes nothing.", ((ALLOW, READ),)),
    "operator": (
        "Runs what there is in the clouds; gives nobody rights and no money.",
        (
            (ALLOW, "read accounts.test"),
            (ALLOW, CLOUDS),
            (ALLOW, "alerts.* checks.* inventory.* jobs.* objectives.* orphans.* schedules.*"),
            (ALLOW, "silences.* tokens.* webhooks.*"),
        ),
    ),
    "user": (
        "Uses the clouds in its project, and sees no other people.",
        (
            (DENY, "audit.* grants.* groups.* orphans.* users.*"),
            (ALLOW, READ),
            (ALLOW, CLOUDS),
            (ALLOW, "alerts.* checks.* inventory.* jobs.* schedules.* silences.* tokens.*"),
            (ALLOW, "webhooks.*"),
        ),
    ),
}

BUILT_IN: Mapping[str, Role] = {
    name: Role(
        id=name,
        name=name,
        text=text,
        is_built_in=True,
        rules=tuple(RoleRule(effect, one) for effect, words in rules for one in words.split()),
    )
    for name, (text, rules) in _BUILT_IN.items()
}


def check_rules(rules: Iterable[RoleRule]) -> None:
    """Raise Invalid for a rule that stands for no operation."""
    for rule in rules:
        told = rule.operations
        if told in (EVERYTHING, READ) or told in CATALOG:
            continue
        if "*" in told and any(allows((RoleRule(ALLOW, told),), one) for one in CATALOG):
            continue
        raise Invalid(f"there are no operations {told[:60]!r}: see the list of operations")


@lru_cache(maxsize=512)
def combined(roles: tuple[tuple[RoleRule, ...], ...]) -> tuple[RoleRule, ...]:
    """Return rules that allow exactly what at least one of the roles allows."""
    if not roles:
        return ()
    if len(roles) == 1:
        return roles[0]
    if any(rules[:1] == ALLOW_ALL for rules in roles):
        return ALLOW_ALL
    found: dict[RoleRule, None] = {}
    # Wide rules first: most operations find theirs soon.
    for rules in sorted(roles, key=_has_denials):
        plain = _spelled_out(rules) if _has_denials(rules) else rules
        found |= dict.fromkeys(plain)
    return tuple(found)


@lru_cache(maxsize=512)
def allowed(rules: tuple[RoleRule, ...]) -> frozenset[str]:
    """Return all operations that rules allow: quicker to look in than the rules themselves."""
    return frozenset(one for one in CATALOG if allows(rules, one))


def _has_denials(rules: tuple[RoleRule, ...]) -> bool:
    return any(rule.effect is DENY for rule in rules)


def _spelled_out(rules: tuple[RoleRule, ...]) -> tuple[RoleRule, ...]:
    """Return rules that only allow, and the same operations."""
    mine = allowed(rules)
    by_collection: dict[str, set[str]] = {}
    for one in CATALOG:
        by_collection.setdefault(one.partition(".")[0], set()).add(one)
    words: list[str] = []
    for collection, those in sorted(by_collection.items()):
        whole = those <= mine
        words += [f"{collection}.*"] if whole else sorted(those & mine)
    return tuple(RoleRule(ALLOW, word) for word in words)
