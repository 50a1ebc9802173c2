"""Roles of one's own, and grants: who gives which role to whom, where."""

import secrets
from collections.abc import Callable
from datetime import UTC, datetime

from nimbi.broker.access import Caller, is_below
from nimbi.broker.rights.reach import Reach
from nimbi.broker.rights.roles import BUILT_IN, check_rules
from nimbi.broker.rights.standings import Standings
from nimbi.broker.rights.users import Groups, Users
from nimbi.model.errors import Conflict, Forbidden, NotFound
from nimbi.model.people import Grant, NewGrant, NewRole, Role, RoleChange
from nimbi.store.roles import GrantStore, RoleStore


class Roles:
    """All roles, as far as each caller sees them: built-in ones, of its tenant, above and below."""

    def __init__(self, store: RoleStore, reach: Reach, changed: Callable[[], None]) -> None:
        self._store = store
        self._reach = reach
        self._changed = changed

    async def page(self, caller: Caller) -> tuple[Role, ...]:
        """Return all: built-in ones first, then by name."""
        found = await self._store.page()
        return (*BUILT_IN.values(), *(role for role in found if _is_seen(caller, role)))

    async def get(self, caller: Caller, told: str) -> Role:
        """Return one by its id or name. Raises NotFound, Conflict when several have the name."""
        if told in BUILT_IN:
            return BUILT_IN[told]
        found = [role for role in await self._store.get(told) if _is_seen(caller, role)]
        exact = [role for role in found if role.id == told] or found
        if not exact:
            raise NotFound(f"there is no role {told[:60]!r}")
        if len(exact) > 1:
            raise Conflict(f"several have the name {told!r}: tell the id of one")
        return exact[0]

    async def create(self, caller: Caller, new: NewRole) -> Role:
        """Return a new role. Raises Forbidden for rules beyond the caller's, Conflict."""
        new.check()
        check_rules(new.rules)
        if new.name in BUILT_IN:
            raise Conflict(f"there is a role {new.name!r} already")
        tenant = await self._reach.tenant(caller, new.tenant)
        self._reach.check_rules(caller, new.rules, tenant)
        role = Role(
            id=f"r-{secrets.token_hex(6)}",
            name=new.name,
            rules=new.rules,
            tenant=tenant,
            text=new.text,
        )
        return await self._store.add(role)

    async def change(self, caller: Caller, told: str, change: RoleChange) -> Role:
        """Return the role as it is then, for all who have it.

        Raises Forbidden when the role has, or is to have, what the caller does not.
        """
        change.check()
        old = await self._own(caller, told)
        if change.rules is not None:
            check_rules(change.rules)
            self._reach.check_rules(caller, change.rules, old.tenant)
        changed = await self._store.change(old.id, rules=change.rules, text=change.text)
        self._changed()
        return changed

    async def destroy(self, caller: Caller, told: str) -> None:
        """Remove a role that nobody has. Raises Conflict while somebody has it."""
        await self._store.remove((await self._own(caller, told)).id)
        self._changed()

    async def _own(self, caller: Caller, told: str) -> Role:
        """Return a role that a caller may change. Raises Forbidden, NotFound."""
        role = await self.get(caller, told)
        if role.is_built_in:
            raise Forbidden("built-in roles stay as they are")
        if not is_below(caller, role.tenant):
            raise Forbidden("this role is of a domain above")
        self._reach.check_rules(caller, role.rules, role.tenant)
        return role


class Grants:
    """All grants, as far as each caller sees them: those at its tenant and below."""

    def __init__(
        self,
        store: GrantStore,
        roles: Roles,
        users: Users,
        groups: Groups,
        standings: Standings,
        reach: Reach,
        changed: Callable[[], None],
    ) -> None:
        self._store = store
        self._roles = roles
        self._users = users
        self._groups = groups
        self._standings = standings
        self._reach = reach
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
            tenant=None if tenant is None else await self._reach.tenant(caller, tenant),
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
        tenant = await self._reach.tenant(caller, new.tenant)
        role = await self._roles.get(caller, new.role)
        if role.tenant not in await self._standings.path(tenant):
            raise NotFound(f"there is no role {new.role[:60]!r} there")
        self._reach.check_rules(caller, role.rules, tenant)
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
        await self._reach.check_given(caller, [(grant.role, grant.tenant)])
        await self._store.remove(grant.id)
        self._changed()


def _is_seen(caller: Caller, role: Role) -> bool:
    return is_below(caller, role.tenant) or role.tenant in caller.path
