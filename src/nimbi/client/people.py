"""People and tenants: users, groups, domains, projects, roles, grants, and lent accounts."""

from nimbi.client.core import Blocking, Looping, call
from nimbi.client.flow import Flow
from nimbi.client.requests import with_query
from nimbi.client.resources import ACCOUNTS, _asked, _path, _Resource
from nimbi.model.accounts import Account
from nimbi.model.people import (
    Domain,
    Grant,
    Group,
    Lend,
    NewGrant,
    NewGroup,
    NewLend,
    NewRole,
    NewTenant,
    NewUser,
    Project,
    Role,
    RoleChange,
    TenantChange,
    User,
    UserChange,
)

USERS = "/v1/users"
GROUPS = "/v1/groups"
DOMAINS = "/v1/domains"
PROJECTS = "/v1/projects"
ROLES = "/v1/roles"
GRANTS = "/v1/grants"


class _Users(_Resource):
    """Users, by id or name."""

    @call
    def all(self) -> Flow[tuple[User, ...]]:
        """Return the users of the token's tenant and below, by name."""
        return self._all(USERS, User)

    @call
    def get(self, id: str) -> Flow[User]:
        """Return one user. Raises NotFound."""
        return self._get(_path(USERS, id), User)

    @call
    def create(self, new: NewUser) -> Flow[User]:
        """Make a user, who has no role yet. Raises Conflict for a name in use."""
        return self._told("POST", USERS, User, _asked(new))

    @call
    def change(self, id: str, change: UserChange) -> Flow[User]:
        """Change what is told. Raises Forbidden for who has more than the caller."""
        return self._told("PATCH", _path(USERS, id), User, change)

    @call
    def destroy(self, id: str) -> Flow[None]:
        """Remove a user with its tokens and roles. Raises NotFound."""
        return self._removed(_path(USERS, id))


class _Groups(_Resource):
    """Groups of users, by id or name."""

    @call
    def all(self) -> Flow[tuple[Group, ...]]:
        """Return the groups of the token's tenant and below, with their members."""
        return self._all(GROUPS, Group)

    @call
    def get(self, id: str) -> Flow[Group]:
        """Return one group. Raises NotFound."""
        return self._get(_path(GROUPS, id), Group)

    @call
    def create(self, new: NewGroup) -> Flow[Group]:
        """Make a group without members. Raises Conflict for a name in use there."""
        return self._told("POST", GROUPS, Group, _asked(new))

    @call
    def add_member(self, id: str, user: str) -> Flow[Group]:
        """Put a user in a group. Raises Forbidden when the group has more than the caller."""
        return self._told("PUT", _path(GROUPS, id, "members", user), Group)

    @call
    def remove_member(self, id: str, user: str) -> Flow[None]:
        """Take a user out of a group. Raises NotFound when it is not in it."""
        return self._removed(_path(GROUPS, id, "members", user))

    @call
    def destroy(self, id: str) -> Flow[None]:
        """Remove a group. Raises NotFound."""
        return self._removed(_path(GROUPS, id))


class _Domains(_Resource):
    """Domains, by id or place (`acme/web`)."""

    @call
    def all(self) -> Flow[tuple[Domain, ...]]:
        """Return the domains of the token's tenant and below, by their places."""
        return self._all(DOMAINS, Domain)

    @call
    def get(self, id: str) -> Flow[Domain]:
        """Return one domain. Raises NotFound."""
        return self._get(_path(DOMAINS, id), Domain)

    @call
    def create(self, new: NewTenant) -> Flow[Domain]:
        """Make a domain in a domain. Raises Conflict for a name in use there."""
        return self._told("POST", DOMAINS, Domain, _asked(new))

    @call
    def change(self, id: str, change: TenantChange) -> Flow[Domain]:
        """Change what is told; another parent moves all that is below."""
        return self._told("PATCH", _path(DOMAINS, id), Domain, change)

    @call
    def destroy(self, id: str) -> Flow[None]:
        """Remove an empty domain. Raises Conflict while it has anything."""
        return self._removed(_path(DOMAINS, id))


class _Projects(_Resource):
    """Projects, by id or place (`acme/web`)."""

    @call
    def all(self) -> Flow[tuple[Project, ...]]:
        """Return the projects of the token's tenant and below, by their places."""
        return self._all(PROJECTS, Project)

    @call
    def get(self, id: str) -> Flow[Project]:
        """Return one project. Raises NotFound."""
        return self._get(_path(PROJECTS, id), Project)

    @call
    def create(self, new: NewTenant) -> Flow[Project]:
        """Make a project in a domain. Raises Conflict for a name in use there."""
        return self._told("POST", PROJECTS, Project, _asked(new))

    @call
    def change(self, id: str, change: TenantChange) -> Flow[Project]:
        """Change what is told; another parent moves all that is below."""
        return self._told("PATCH", _path(PROJECTS, id), Project, change)

    @call
    def destroy(self, id: str) -> Flow[None]:
        """Remove an empty project. Raises Conflict while it has anything."""
        return self._removed(_path(PROJECTS, id))


class _Roles(_Resource):
    """Roles, by id or name."""

    @call
    def all(self) -> Flow[tuple[Role, ...]]:
        """Return built-in roles, and those of the token's tenant, above and below."""
        return self._all(ROLES, Role)

    @call
    def get(self, id: str) -> Flow[Role]:
        """Return one role. Raises NotFound."""
        return self._get(_path(ROLES, id), Role)

    @call
    def create(self, new: NewRole) -> Flow[Role]:
        """Make a role. Raises Forbidden when it allows more than the caller has."""
        return self._told("POST", ROLES, Role, _asked(new))

    @call
    def change(self, id: str, change: RoleChange) -> Flow[Role]:
        """Change a role for all who have it."""
        return self._told("PATCH", _path(ROLES, id), Role, change)

    @call
    def destroy(self, id: str) -> Flow[None]:
        """Remove a role. Raises Conflict while somebody has it."""
        return self._removed(_path(ROLES, id))


class _Grants(_Resource):
    """Who has which role where."""

    @call
    def all(
        self, *, user: str | None = None, group: str | None = None, tenant: str | None = None
    ) -> Flow[tuple[Grant, ...]]:
        """Return all, or those of a user (also by its groups), a group, a tenant."""
        told = {"user": user, "group": group, "tenant": tenant}
        pairs = [(name, value) for name, value in told.items() if value is not None]
        return self._all(with_query(GRANTS, pairs), Grant)

    @call
    def get(self, id: str) -> Flow[Grant]:
        """Return one grant. Raises NotFound."""
        return self._get(_path(GRANTS, id), Grant)

    @call
    def create(self, new: NewGrant) -> Flow[Grant]:
        """Give a role at a tenant and all below. Raises Forbidden for more than the caller has."""
        return self._told("POST", GRANTS, Grant, _asked(new))

    @call
    def destroy(self, id: str) -> Flow[None]:
        """Take a role back. Raises NotFound."""
        return self._removed(_path(GRANTS, id))


class _Lends(_Resource):
    """Which tenants may use an account that is another's."""

    @call
    def all(self, account: str) -> Flow[tuple[Lend, ...]]:
        """Return to whom an account is lent."""
        return self._all(_path(ACCOUNTS, account, "lends"), Lend)

    @call
    def create(self, account: str, tenant: str) -> Flow[None]:
        """Let a tenant, and all below it, use an account."""
        new = _asked(NewLend(tenant=tenant))
        yield from self.core.exchange("POST", _path(ACCOUNTS, account, "lends"), new)

    @call
    def destroy(self, account: str, tenant: str) -> Flow[None]:
        """Let a tenant use an account no longer. Raises NotFound when it was not lent."""
        return self._removed(_path(ACCOUNTS, account, "lends", tenant))

    @call
    def move(self, account: str, tenant: str) -> Flow[Account]:
        """Give an account to another tenant."""
        new = _asked(NewLend(tenant=tenant))
        return self._told("POST", _path(ACCOUNTS, account, "move"), Account, new)


class Users(_Users, Looping):
    """Users; its methods are awaited."""


class SyncUsers(_Users, Blocking):
    """Users."""


class Groups(_Groups, Looping):
    """Groups of users; its methods are awaited."""


class SyncGroups(_Groups, Blocking):
    """Groups of users."""


class Domains(_Domains, Looping):
    """Domains; its methods are awaited."""


class SyncDomains(_Domains, Blocking):
    """Domains."""


class Projects(_Projects, Looping):
    """Projects; its methods are awaited."""


class SyncProjects(_Projects, Blocking):
    """Projects."""


class Roles(_Roles, Looping):
    """Roles; its methods are awaited."""


class SyncRoles(_Roles, Blocking):
    """Roles."""


class Grants(_Grants, Looping):
    """Who has which role where; its methods are awaited."""


class SyncGrants(_Grants, Blocking):
    """Who has which role where."""


class Lends(_Lends, Looping):
    """Which tenants may use an account that is another's; its methods are awaited."""


class SyncLends(_Lends, Blocking):
    """Which tenants may use an account that is another's."""
