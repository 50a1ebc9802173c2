"""All that decides who may do what, put together."""

from collections.abc import Sequence
from dataclasses import dataclass

from nimbi.broker.people import People
from nimbi.broker.rights.authorization import Authorization
from nimbi.broker.rights.delegation import Delegation
from nimbi.broker.rights.grants import Grants
from nimbi.broker.rights.lends import Lends
from nimbi.broker.rights.roles import Roles
from nimbi.broker.rights.tenants import Tenants
from nimbi.broker.rights.users import Groups, Users
from nimbi.broker.visibility import Visibility
from nimbi.model.inventory import Event
from nimbi.model.webhooks import Webhook
from nimbi.store.accounts import AccountStore
from nimbi.store.database import Database
from nimbi.store.directory import DirectoryStore
from nimbi.store.lends import LendStore
from nimbi.store.people import PeopleStore
from nimbi.store.roles import GrantStore, RoleStore
from nimbi.store.tenants import TenantStore
from nimbi.store.users import GroupStore, UserStore


@dataclass(frozen=True, kw_only=True)
class Rights:
    """Who there is, and who gives what to whom. What is changed here counts at once."""

    people: People
    authorization: Authorization
    delegation: Delegation
    users: Users
    groups: Groups
    tenants: Tenants
    roles: Roles
    grants: Grants
    lends: Lends
    visibility: Visibility

    async def told(self, webhook: Webhook, events: Sequence[Event]) -> Sequence[Event]:
        """Return the events that the owner of a webhook may see. Raises Forbidden for nobody."""
        if webhook.owner is None:
            return events
        return await self.visibility.shown(await self.people.acting(webhook.owner), events)

    @classmethod
    def over(cls, database: Database) -> "Rights":
        """Return the rights that a database keeps."""
        authorization = Authorization(DirectoryStore(database))
        delegation = Delegation(DirectoryStore(database), authorization)
        people = People(PeopleStore(database), authorization)
        changed = people.forget
        grants = GrantStore(database)
        users = Users(UserStore(database), people.passwords, delegation, changed)
        groups = Groups(GroupStore(database), users, delegation, changed)
        roles = Roles(RoleStore(database), delegation, changed)
        return cls(
            people=people,
            authorization=authorization,
            delegation=delegation,
            users=users,
            groups=groups,
            tenants=Tenants(TenantStore(database), grants, authorization, delegation, changed),
            roles=roles,
            grants=Grants(grants, roles, users, groups, authorization, delegation, changed),
            lends=Lends(LendStore(database), AccountStore(database), delegation, changed),
            visibility=Visibility(DirectoryStore(database)),
        )
