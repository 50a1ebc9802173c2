"""Who somebody is at a tenant: what all their roles there come to."""

import time

from nimbi.broker.access import ADMIN, Caller
from nimbi.broker.rights.builtin_roles import BUILT_IN, allowed, combined
from nimbi.model.errors import Forbidden, Invalid, NotFound
from nimbi.model.people import ALLOW_ALL, OPERATOR, ROOT, Owner, RoleRule
from nimbi.store.directory import Directory, DirectoryStore

# Accounts to use, accounts of one's own, tenants below; None stands for all.
Accessible = tuple[frozenset[str] | None, frozenset[str] | None, frozenset[str] | None]

# How old may be what another process has changed.
AGE_S = 2.0


class Authorization:
    """Tells what a user may at a tenant. What this process changes counts at once."""

    def __init__(self, store: DirectoryStore) -> None:
        self._store = store
        self._directory: Directory | None = None
        self._until = 0.0
        self._turn = 0
        self._accessible_by_path: dict[tuple[str, ...], Accessible] = {}

    async def directory(self) -> Directory:
        """Return all tenants, roles and accounts, at most 2 seconds old."""
        now = time.monotonic()
        known = self._directory
        if known is None or now >= self._until:
            turn = self._turn
            known = await self._store.directory()
            if turn == self._turn:
                # Else it was changed while it was read.
                self._directory, self._until = known, now + AGE_S
                self._accessible_by_path.clear()
        return known

    def forget(self) -> None:
        """Read anew what there is."""
        self._directory = None
        self._turn += 1

    async def path(self, tenant: str) -> tuple[str, ...]:
        """Return the ids from the root domain to a tenant. Raises NotFound."""
        found = (await self.directory()).paths.get(tenant)
        if found is None:
            # It may have been made by another process just now.
            self.forget()
            found = (await self.directory()).paths.get(tenant)
        if found is None:
            raise NotFound(f"there is no domain or project {tenant[:60]!r}")
        return found

    async def found(self, told: str) -> str:
        """Return the id of a tenant by its id or place. Raises NotFound."""
        directory = await self.directory()
        try:
            return directory.found(told)
        except NotFound:
            # As in `path`.
            self.forget()
            return (await self.directory()).found(told)

    async def home(self, user: str) -> str:
        """Return the tenant in which a user acts when it does not say where.

        That is where it belongs if it has a role there, else the only one where it has. Raises
        Forbidden when it has none anywhere, Invalid when there are several.
        """
        if user == OPERATOR:
            return ROOT
        directory = await self.directory()
        belongs, places = await self._store.homes(user)
        places = tuple(id for id in places if id in directory.paths)
        if belongs is not None and not set(places).isdisjoint(directory.paths.get(belongs, ())):
            return belongs
        if not places:
            raise Forbidden("you have no role anywhere: an admin gives you one")
        if len(places) > 1:
            named = ", ".join(sorted(directory.places[id] for id in places))
            raise Invalid(f"say in which domain or project to act: {named}")
        return places[0]

    async def rules(self, user: str, tenant: str) -> tuple[str, tuple[RoleRule, ...]]:
        """Return a user's name and what its roles come to at a tenant.

        Raises Forbidden for a user that is not there or disabled, a tenant that is disabled, and
        where the user has no role.
        """
        directory = await self.directory()
        path = await self.path(tenant)
        if user == OPERATOR:
            return ADMIN.name, ALLOW_ALL
        found = await self._store.roles_held(user, path)
        if found is None or not found.is_enabled:
            raise Forbidden("this user is disabled, or not there any more")
        if not directory.disabled.isdisjoint(path):
            raise Forbidden("this domain or project is disabled")
        if not found.roles:
            raise Forbidden(f"{found.name} has no role there: see nimbi login --project")
        return found.name, combined(rules_of(directory, found.roles))

    async def caller(self, owner: Owner, *, id: str, name: str | None = None) -> Caller:
        """Return the caller that an owner is now. Raises what `rules` does."""
        if owner.user == OPERATOR and owner.tenant == ROOT:
            return Caller(id=id, name=name or owner.name, scopes=owner.scopes)
        known, rules = await self.rules(owner.user, owner.tenant)
        directory = await self.directory()
        path = await self.path(owner.tenant)
        accounts, owned, below = self._accessible(directory, path)
        return Caller(
            id=id,
            name=name or known,
            scopes=owner.scopes,
            user=owner.user,
            tenant=owner.tenant,
            path=path,
            rules=rules,
            accounts=accounts,
            owned=owned,
            below=below,
            allowed=allowed(rules),
        )

    def _accessible(self, directory: Directory, path: tuple[str, ...]) -> Accessible:
        if directory is not self._directory:
            return _accessible(directory, path)
        # All tokens of a tenant see the same.
        if path not in self._accessible_by_path:
            self._accessible_by_path[path] = _accessible(directory, path)
        return self._accessible_by_path[path]


def rules_of(directory: Directory, roles: tuple[str, ...]) -> tuple[tuple[RoleRule, ...], ...]:
    """Return the rules of roles by their ids; one that is gone has none."""
    found = dict.fromkeys(roles)
    return tuple(
        BUILT_IN[id].rules if id in BUILT_IN else directory.roles[id]
        for id in found
        if id in BUILT_IN or id in directory.roles
    )


def _accessible(directory: Directory, path: tuple[str, ...]) -> Accessible:
    """Return the accounts that may be used at a tenant, those that are its own, and what is below.

    None stands for all.
    """
    if path == (ROOT,):
        return None, None, None
    tenant, above = path[-1], frozenset(path)
    below = frozenset(id for id, each in directory.paths.items() if tenant in each)
    owned = frozenset(account for account, owner in directory.owners.items() if owner in below)
    inherited = {account for account, owner in directory.owners.items() if owner in above}
    lent = {account for account, those in directory.lent.items() if not above.isdisjoint(those)}
    return owned | inherited | lent, owned, below
