"""Domains and projects: who sees, makes, moves and removes them."""

import secrets
from collections.abc import Callable

from nimbi.broker.access import Caller, check, is_below, may_touch
from nimbi.broker.rights.authorization import Authorization
from nimbi.broker.rights.delegation import Delegation
from nimbi.model.errors import Conflict, Forbidden, NotFound
from nimbi.model.people import ROOT, NewTenant, Tenant, TenantChange
from nimbi.store.directory import Directory
from nimbi.store.roles import GrantStore
from nimbi.store.tenants import DOMAIN, KINDS, ROOT_DOMAIN, TenantStore


class Tenants:
    """The tree, as far as each caller sees it: its own tenant and what is below."""

    def __init__(
        self,
        store: TenantStore,
        grants: GrantStore,
        authorization: Authorization,
        delegation: Delegation,
        changed: Callable[[], None],
    ) -> None:
        self._store = store
        self._grants = grants
        self._authorization = authorization
        self._delegation = delegation
        self._changed = changed

    async def page(self, caller: Caller, kind: str) -> tuple[Tenant, ...]:
        """Return all of a kind, `domain` or `project`, by their places."""
        found = await self._store.page(kind, caller.below)
        return (ROOT_DOMAIN, *found) if kind == DOMAIN and caller.tenant == ROOT else found

    async def get(self, caller: Caller, told: str, kind: str | None = None) -> Tenant:
        """Return one by its id or place. Raises NotFound, also for one of others."""
        found = await self._store.get(told)
        if not may_touch(caller, found.path):
            raise NotFound(f"there is no domain or project {told[:60]!r}")
        if kind is not None and not isinstance(found, KINDS[kind]):
            raise NotFound(f"there is no {kind} {told[:60]!r}")
        return found

    async def create(self, caller: Caller, kind: str, new: NewTenant) -> Tenant:
        """Return a new one. Raises Conflict for a name in use there, Invalid below a project."""
        new.check()
        if new.name in (ROOT, *KINDS):
            raise Conflict(f"{new.name!r} has a meaning of its own")
        parent = await self._delegation.tenant(caller, new.parent)
        made = await self._store.add(f"t-{secrets.token_hex(6)}", kind, new.name, parent, new.text)
        self._changed()
        return made

    async def change(
        self, caller: Caller, told: str, change: TenantChange, kind: str | None = None
    ) -> Tenant:
        """Return the tenant as it is then; with another parent all below it goes along.

        Only who reaches the domain above may rename, move or disable one. Raises Forbidden when the
        move would give somebody what the caller doesn't have: a role that flows into it there, or
        the use of an account; Conflict, QuotaExceeded of where it would go.
        """
        change.check()
        old = await self.get(caller, told, kind)
        if change.name is not None or change.parent is not None or change.is_enabled is not None:
            self._check_above(caller, old)
        if change.name in (ROOT, *KINDS):
            raise Conflict(f"{change.name!r} has a meaning of its own")
        if change.name is not None or change.parent is not None:
            parent = old.parent or ROOT
            if change.parent is not None:
                parent = await self._delegation.tenant(caller, change.parent)
                await self._check_move(caller, old, parent)
            await self._store.move(old.id, parent, change.name or old.name)
        changed = await self._store.change(old.id, text=change.text, is_enabled=change.is_enabled)
        self._changed()
        return changed

    async def destroy(self, caller: Caller, told: str, kind: str | None = None) -> None:
        """Remove an empty one with what was given there. Raises Conflict while it has anything."""
        old = await self.get(caller, told, kind)
        self._check_above(caller, old)
        await self._store.remove(old.id)
        self._changed()

    def _check_above(self, caller: Caller, tenant: Tenant) -> None:
        if tenant.parent is None:
            raise Conflict("the root domain stays as it is")
        if not is_below(caller, tenant.parent):
            raise Forbidden("that is for who acts in the domain above")

    async def _check_move(self, caller: Caller, old: Tenant, parent: str) -> None:
        """Raise Forbidden when a move gives what the caller does not have."""
        directory = await self._authorization.directory()
        new = [id for id in await self._authorization.path(parent) if id not in old.path]
        if not new:
            return
        for grant in await self._grants.page(new):
            # It will count in the tenant that is moved, and in all below.
            await self._delegation.check_given(caller, [(grant.role, grant.tenant)])
        for account in _accounts_of(directory, new):
            check(caller, "accounts.lend", account)


def _accounts_of(directory: Directory, tenants: list[str]) -> list[str]:
    """Return the accounts that may be used below some tenants because of these."""
    owned = {account for account, owner in directory.owners.items() if owner in tenants}
    lent = {account for account, those in directory.lent.items() if not those.isdisjoint(tenants)}
    return sorted(owned | lent)
