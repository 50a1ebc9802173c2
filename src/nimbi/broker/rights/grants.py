"""Grants: who gives which role to whom, where."""

import secrets
from collections.abc import Callable
from datetime import UTC, datetime

from nimbi.broker.access import Caller, is_below
from nimbi.broker.rights.authorization import Authorization
from nimbi.broker.rights.delegation import Delegation
from nimbi.broker.rights.roles import Roles
from nimbi.broker.rights.users import Groups, Users
from nimbi.model.errors import NotFound
from nimbi.model.people import Grant, NewGrant
from nimbi.store.roles import GrantStore


class Grants:
    """All grants, as far as each caller sees them: those at its tenant and below."""

    def __init__(
        self,
        store: GrantStore,
        roles: Roles,
        users: Users,
        groups: Groups,
        authorization: Authorization,
        delegation: Delegation,
        changed: Callable[[], None],
    ) -> None:
        self._store = store
        self._roles = roles
        self._users = users
        self._groups = groups
        self._authorization = authorization
        self._delegation = delegation
        self._changed = changed

    async def page(
        self,
        caller: Caller,
        *,
        user: str | None = None,
        group: str | None = None,
        tenant: str | None = None,
    ) -> tuple[Grant, ...]:
        """Return all, the oldest first, or those of a user, also by its groups, a group, a tenant.

        Raises NotFound for those that there are not.
        """
        return await self._store.page(
            caller.below,
            user=None if user is None else (await self._users.near(caller, user)).id,
            group=None if group is None else (await self._groups.near(caller, group)).id,
            tenant=None if tenant is None else await self._delegation.tenant(caller, tenant),
        )

    async def get(self, caller: Caller, id: str) -> Grant:
        """Return one. Raises NotFound, also for one of others."""
        found = await self._store.get(id)
        if not is_below(caller, found.tenant):
            raise NotFound(f"there is no grant {id[:60]!r}")
        return found

    async def create(self, caller: Caller, new: NewGrant) -> Grant:
        """Give a role at a tenant. Raises Forbidden for what the caller does not have there."""
        new.check()
        tenant = await self._delegation.tenant(caller, new.tenant)
        role = await self._roles.get(caller, new.role)
        if role.tenant not in await self._authorization.path(tenant):
            raise NotFound(f"there is no role {new.role[:60]!r} there")
        self._delegation.check_rules(caller, role.rules, tenant)
        grant = Grant(
            id=f"k-{secrets.token_hex(6)}",
            role=role.id,
            tenant=tenant,
            created_at=datetime.now(UTC),
            given_by=caller.user,
            user=None if new.user is None else (await self._users.near(caller, new.user)).id,
            group=None if new.group is None else (await self._groups.near(caller, new.group)).id,
        )
        made = await self._store.add(grant, is_own=not role.is_built_in)
        self._changed()
        return made

    async def destroy(self, caller: Caller, id: str) -> None:
        """Take a role back. Raises Forbidden for one beyond the caller's own."""
        grant = await self.get(caller, id)
        await self._delegation.check_given(caller, [(grant.role, grant.tenant)])
        await self._store.remove(grant.id)
        self._changed()
