"""All that decides who may do what, put together."""

from collections.abc import Sequence
from dataclasses import dataclass

from nimbi.broker.people import People
from nimbi.broker.rights.grants import Grants, Roles
from nimbi.broker.rights.lends import Lends
from nimbi.broker.rights.reach import Reach
from nimbi.broker.rights.standings import Standings
from nimbi.broker.rights.tenants import Tenants
from nimbi.broker.rights.users import Groups, Users
from nimbi.broker.sight import Sight
from nimbi.model.inventory import Event
from nimbi.model.webhooks import Webhook
from nimbi.store.accounts import AccountStore
from nimbi.store.database import Database
from nimbi.store.lends import LendStore
from nimbi.store.people import PeopleStore
from nimbi.store.roles import GrantStore, RoleStore
from nimbi.store.standing import StandingStore
from nimbi.store.tenants import TenantStore
from nimbi.store.users import GroupStore, UserStore


@dataclass(frozen=True, kw_only=True)
class Rights:
    """Who there is, and who gives what to whom. What is changed here counts at once."""

    people: People
    standings: Standings
    reach: Reach
    users: Users
    groups: Groups
    tenants: Tenants
    roles: Roles
    grants: Grants
    lends: Lends
    sight: Sight

    async def told(self, webhook: Webhook, events: Sequence[Event]) -> Sequence[Event]:
        """Return the events that the owner of a webhook may see. Raises Forbidden for nobody."""
        if webhook.owner is None:
            return events
        return await self.sight.shown(await self.people.acting(webhook.owner), events)

    @classmethod
    def over(cls, database: Database) -> "Rights":
        """Return the rights that a database keeps."""
        standings = Standings(StandingStore(database))
        reach = Reach(StandingStore(database), standings)
        people = People(PeopleStore(database), standings)
        changed = people.forget
        grants = GrantStore(database)
        users = Users(UserStore(database), people.passwords, reach, changed)
        groups = Groups(GroupStore(database), users, reach, changed)
        roles = Roles(RoleStore(database), reach, changed)
        return cls(
            people=people,
            standings=standings,
            reach=reach,
            users=users,
            groups=groups,
            tenants=Tenants(TenantStore(database), grants, standings, reach, changed),
            roles=roles,
            grants=Grants(grants, roles, users, groups, standings, reach, changed),
            lends=Lends(LendStore(database), AccountStore(database), reach, changed),
            sight=Sight(StandingStore(database)),
        )
