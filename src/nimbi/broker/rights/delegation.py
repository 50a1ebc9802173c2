"""Nobody gives what they do not have: not by roles, groups, tokens, nor by moving tenants."""

from collections.abc import Iterable

from nimbi.broker.access import CATALOG, OF_SITE, TO_COME, Caller, allows, is_below, may
from nimbi.broker.rights.authorization import Authorization, rules_of
from nimbi.model.errors import Forbidden, NotFound
from nimbi.model.people import ALLOW_ALL, OPERATOR, ROOT, RoleRule
from nimbi.model.tokens import Scope
from nimbi.store.directory import USER, DirectoryStore

UNBOUNDED = (Scope(),)


class Delegation:
    """Tells how far a caller reaches: where it may give something, and how much."""

    def __init__(self, store: DirectoryStore, authorization: Authorization) -> None:
        self._store = store
        self._authorization = authorization

    async def tenant(self, caller: Caller, told: str | None) -> str:
        """Return the id of a tenant by its id or place, of the caller's own when None.

        Raises NotFound for one that is not the caller's nor below it.
        """
        if told is None:
            return caller.tenant
        found = await self._authorization.found(told)
        if not is_below(caller, found):
            raise NotFound(f"there is no domain or project {told[:60]!r}")
        return found

    def check_rules(self, caller: Caller, rules: tuple[RoleRule, ...], tenant: str) -> None:
        """Raise Forbidden when rules allow at a tenant what the caller may not do itself."""
        if not is_below(caller, tenant):
            raise Forbidden(f"{caller.name} gives nothing there")
        if caller.rules[:1] == ALLOW_ALL and caller.scopes == UNBOUNDED and caller.tenant == ROOT:
            return
        for operation in (*sorted(CATALOG), TO_COME):
            if operation in OF_SITE and tenant != ROOT:
                continue
            if allows(rules, operation) and not may(caller, operation, None):
                raise Forbidden(f"{caller.name} may not do {operation}, and gives it to nobody")

    async def check_held(self, caller: Caller, kind: str, holder: str) -> None:
        """Raise Forbidden when a user or group has anywhere what the caller does not have there.

        Whoever could change them would have it then.
        """
        if kind == USER and holder == OPERATOR:
            raise Forbidden("the operator is changed by nobody but itself")
        await self.check_given(caller, await self._store.holds(kind, holder))

    async def check_given(self, caller: Caller, given: Iterable[tuple[str, str]]) -> None:
        """Raise Forbidden when a role of these, at its tenant, is beyond the caller."""
        directory = await self._authorization.directory()
        for role, tenant in given:
            if tenant not in directory.paths:
                continue
            for rules in rules_of(directory, (role,)):
                self.check_rules(caller, rules, tenant)
