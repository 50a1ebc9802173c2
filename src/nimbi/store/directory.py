"""What decides over rights: the tree of tenants, accounts in it, roles, and who has which."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from nimbi.model.errors import NotFound
from nimbi.model.people import ROOT, RoleRule
from nimbi.store.database import Database
from nimbi.store.schema import accounts, grants, holdings, lends, members, roles, tenants, users

RULES = msgspec.json.Decoder(tuple[RoleRule, ...])

USER, GROUP = "user", "group"


class RolesHeld(NamedTuple):
    """What is known of a user at a moment, and the roles that count at one tenant."""

    name: str
    is_enabled: bool
    roles: tuple[str, ...]


class Directory(NamedTuple):
    """All tenants, custom roles and accounts at a moment.

    `paths` are the ids from the root domain to each tenant, `disabled` those that are, themselves;
    `owners` is the tenant of each account, `lent` the tenants that it is lent to; `places` are the
    names from below the root domain to each tenant: `acme/web`.
    """

    paths: Mapping[str, tuple[str, ...]]
    disabled: frozenset[str]
    roles: Mapping[str, tuple[RoleRule, ...]]
    owners: Mapping[str, str]
    lent: Mapping[str, frozenset[str]]
    places: Mapping[str, str]

    def found(self, told: str) -> str:
        """Return a tenant's id by its id or its place. Raises NotFound."""
        if told in self.paths:
            return told
        for id, place in self.places.items():
            if place == told:
                return id
        raise NotFound(f"there is no domain or project {told[:60]!r}")


def path_of(text: str) -> tuple[str, ...]:
    """Return the ids of a path as it is kept: `root/4f2a/9c01/`."""
    return tuple(text.rstrip("/").split("/"))


def path_text(path: Sequence[str]) -> str:
    """Return a path as it is kept: what is below begins with it."""
    return "/".join(path) + "/"


class DirectoryStore:
    """Reads what rights come from."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def directory(self) -> Directory:
        """Return the tree of tenants with all that lies in it."""
        async with self._database.reading() as connection:
            known = (await connection.execute(select(tenants))).all()
            own = await connection.execute(select(roles.c.id, roles.c.rules))
            kept = {row.id: RULES.decode(row.rules) for row in own}
            owned = await connection.execute(select(accounts.c.id, accounts.c.tenant))
            owners = {row.id: row.tenant for row in owned}
            lent: dict[str, set[str]] = {}
            for row in await connection.execute(select(lends.c.account, lends.c.tenant)):
                lent.setdefault(row.account, set()).add(row.tenant)
        return Directory(
            paths={ROOT: (ROOT,), **{row.id: path_of(row.path) for row in known}},
            disabled=frozenset(row.id for row in known if not row.is_enabled),
            roles=kept,
            owners=owners,
            lent={account: frozenset(those) for account, those in lent.items()},
            places={ROOT: ROOT, **{row.id: row.place for row in known}},
        )

    async def roles_held(self, user: str, path: Sequence[str]) -> RolesHeld | None:
        """Return what a user has at the tenants of a path; None for a user that there is not."""
        async with self._database.reading() as connection:
            wish = select(users.c.name, users.c.is_enabled).where(users.c.id == user)
            row = (await connection.execute(wish)).first()
            if row is None:
                return None
            found = await connection.execute(
                select(grants.c.role)
                .where(grants.c.tenant.in_(list(path)), held_by(user))
                .order_by(grants.c.created_us, grants.c.id)
            )
            return RolesHeld(row.name, row.is_enabled, tuple(each.role for each in found))

    async def homes(self, user: str) -> tuple[str | None, tuple[str, ...]]:
        """Return where a user belongs, and the ids of the tenants at which it has a role."""
        wish = select(grants.c.tenant).where(held_by(user)).distinct().order_by(grants.c.tenant)
        home = select(users.c.tenant).where(users.c.id == user)
        async with self._database.reading() as connection:
            where = (await connection.execute(home)).scalar()
            return where, tuple(row.tenant for row in await connection.execute(wish))

    async def holders(
        self, account: str, collection: str, ids: Sequence[str]
    ) -> Mapping[str, tuple[str, ...]]:
        """Return the tenant's path of each of these things that one holds, or held last."""
        wish = select(holdings.c.thing_id, holdings.c.path).where(
            holdings.c.account == account,
            holdings.c.collection == collection,
            self._database.among(holdings.c.thing_id, list(dict.fromkeys(ids))),
        )
        async with self._database.reading() as connection:
            rows = await connection.execute(wish.order_by(holdings.c.created_us))
            return {row.thing_id: path_of(row.path) for row in rows}

    async def holds(self, kind: str, holder: str) -> tuple[tuple[str, str], ...]:
        """Return the role and tenant of each grant of a user (also by groups) or of a group."""
        async with self._database.reading() as connection:
            return await held(connection, kind, holder)


async def path_within(connection: AsyncConnection, tenant: str) -> tuple[str, ...] | None:
    """Return the ids from the root domain to a tenant; None for one that there is not."""
    if tenant == ROOT:
        return (ROOT,)
    wish = select(tenants.c.path).where(tenants.c.id == tenant)
    found = (await connection.execute(wish)).scalar()
    return None if found is None else path_of(found)


async def held(connection: AsyncConnection, kind: str, holder: str) -> tuple[tuple[str, str], ...]:
    """Return the role and tenant of each grant that counts for a user or a group."""
    mine = (
        held_by(holder)
        if kind == USER
        else and_(grants.c.holder_kind == GROUP, grants.c.holder == holder)
    )
    rows = await connection.execute(select(grants.c.role, grants.c.tenant).where(mine))
    return tuple((row.role, row.tenant) for row in rows)


def held_by(user: str) -> ColumnElement[bool]:
    """Return the condition that a grant counts for a user: its own, or of one of its groups."""
    theirs = select(members.c.group_id).where(members.c.user_id == user)
    return or_(
        and_(grants.c.holder_kind == USER, grants.c.holder == user),
        and_(grants.c.holder_kind == GROUP, grants.c.holder.in_(theirs)),
    )
