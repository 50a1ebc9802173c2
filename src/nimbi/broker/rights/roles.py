"""Roles as callers see and change them: built-in ones, and roles of one's own."""

import secrets
from collections.abc import Callable

from nimbi.broker.access import Caller, is_below
from nimbi.broker.rights.builtin_roles import BUILT_IN, check_rules
from nimbi.broker.rights.delegation import Delegation
from nimbi.model.errors import Conflict, Forbidden, NotFound
from nimbi.model.people import NewRole, Role, RoleChange
from nimbi.store.roles import RoleStore


class Roles:
    """All roles, as far as each caller sees them: built-in ones, of its tenant, above and below."""

    def __init__(
        self, store: RoleStore, delegation: Delegation, changed: Callable[[], None]
    ) -> None:
        self._store = store
        self._delegation = delegation
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
        tenant = await self._delegation.tenant(caller, new.tenant)
        self._delegation.check_rules(caller, new.rules, tenant)
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
            self._delegation.check_rules(caller, change.rules, old.tenant)
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
        self._delegation.check_rules(caller, role.rules, role.tenant)
        return role


def _is_seen(caller: Caller, role: Role) -> bool:
    return is_below(caller, role.tenant) or role.tenant in caller.path
