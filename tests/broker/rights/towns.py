"""A small world of tenants: two domains with projects, an account in each, and people."""

from dataclasses import dataclass, field

from tests.broker.whole import Whole

from nimbi.broker.access import ADMIN, Caller
from nimbi.broker.rights.rights import Rights
from nimbi.model.people import NewGrant, NewRole, NewTenant, NewUser, RoleRule
from nimbi.store.tenants import DOMAIN, PROJECT

# The tree, parents first: kind, name, place of the parent.
TREE = (
    (DOMAIN, "acme", "root"),
    (PROJECT, "web", "acme"),
    (PROJECT, "ops", "acme"),
    (DOMAIN, "other", "root"),
    (PROJECT, "shop", "other"),
)
# Accounts and the places whose they are.
ACCOUNTS = {
    "of-root": "root",
    "of-acme": "acme",
    "of-web": "acme/web",
    "of-ops": "acme/ops",
    "of-other": "other",
    "of-shop": "other/shop",
}


@dataclass
class Town:
    """The rights, and the ids of all tenants by their places."""

    whole: Whole
    ids: dict[str, str] = field(default_factory=lambda: {"root": "root"})

    @property
    def rights(self) -> Rights:
        return self.whole.broker.rights

    async def settle(self, *accounts: str) -> None:
        """Make the tree, and these accounts where they belong."""
        for kind, name, parent in TREE:
            new = NewTenant(name=name, parent=parent)
            made = await self.rights.tenants.create(ADMIN, kind, new)
            self.ids[made.place] = made.id
        for account in accounts:
            await self.settle_account(account)

    async def settle_account(self, account: str) -> None:
        """Make an account where it belongs."""
        await self.whole.add(account)
        await self.rights.lends.move(ADMIN, account, ACCOUNTS[account])

    async def user(self, name: str, role: str | None = None, place: str = "root") -> str:
        """Return the id of a new user who belongs to a place and has a role there."""
        user = await self.rights.users.create(ADMIN, NewUser(name=name, tenant=place))
        if role is not None:
            await self.grant(user.id, role, place)
        return user.id

    async def grant(self, user: str, role: str, place: str) -> None:
        await self.rights.grants.create(ADMIN, NewGrant(role=role, tenant=place, user=user))

    async def role(self, name: str, *rules: RoleRule, place: str = "root") -> None:
        await self.rights.roles.create(ADMIN, NewRole(name=name, rules=rules, tenant=place))

    async def caller(self, user: str, place: str | None = None) -> Caller:
        """Return who a user is now at a place."""
        return await self.rights.people.entered(user, place)

    async def arrived(self, name: str, role: str, place: str) -> Caller:
        """Return a new user with a role at a place, as it acts there."""
        return await self.caller(await self.user(name, role, place), place)
