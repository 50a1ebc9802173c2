"""Tenants: the tree of domains and projects below the root domain."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, Table, delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from nimbi.model.errors import Conflict, Invalid, NotFound
from nimbi.model.people import DEEPEST, ROOT, Domain, Project, Tenant
from nimbi.store import schema
from nimbi.store.database import Database
from nimbi.store.directory import path_of, path_text
from nimbi.store.moments import EPOCH, moment, stored
from nimbi.store.quotas import QuotaStore
from nimbi.store.schema import grants, holdings, lends, roles, tenants

DOMAIN, PROJECT = "domain", "project"
KINDS: Mapping[str, type[Domain | Project]] = {DOMAIN: Domain, PROJECT: Project}

# It is above all others, always there, and never changed.
ROOT_DOMAIN = Domain(
    id=ROOT, name=ROOT, parent=None, path=(ROOT,), place=ROOT, created_at=EPOCH, text="All of it."
)

# One after the other changes the tree: two moves at once could make a ring of it.
LOCK = "tenants"

# What must be gone before a tenant is, and what it is called.
HOLDERS: tuple[tuple[Table, str], ...] = (
    (schema.users, "users"),
    (schema.user_groups, "groups"),
    (schema.roles, "roles"),
    (schema.accounts, "accounts"),
    (schema.tokens, "tokens"),
    (schema.webhooks, "webhooks"),
)


class TenantStore:
    """All domains and projects but the root domain, whose record is `ROOT_DOMAIN`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, kind: str, among: Collection[str] | None = None) -> tuple[Tenant, ...]:
        """Return all of a kind by their places, of these when told."""
        wish = select(tenants).where(tenants.c.kind == kind).order_by(tenants.c.place)
        if among is not None:
            wish = wish.where(self._database.among(tenants.c.id, tuple(among)))
        async with self._database.reading() as connection:
            return tuple(_tenant(row) for row in await connection.execute(wish))

    async def get(self, told: str) -> Tenant:
        """Return one by its id or its place. Raises NotFound."""
        if told == ROOT:
            return ROOT_DOMAIN
        wish = select(tenants).where(or_(tenants.c.id == told, tenants.c.place == told))
        async with self._database.reading() as connection:
            row = (await connection.execute(wish)).first()
        if row is None:
            raise missing(told)
        return _tenant(row)

    async def add(self, id: str, kind: str, name: str, parent: str, text: str) -> Tenant:
        """Keep a new one in a domain. Raises Conflict, NotFound, Invalid."""
        async with self._database.writing() as connection:
            await self._database.locked(connection, LOCK)
            above = await _domain(connection, parent)
            path = (*above.path, id)
            if len(path) > DEEPEST:
                raise Invalid(f"tenants are at most {DEEPEST} deep")
            values = {
                "id": id,
                "kind": kind,
                "name": name,
                "parent": parent,
                "path": path_text(path),
                "place": _place(above, name),
                "text": text,
                "is_enabled": True,
                "created_us": stored(datetime.now(UTC)),
            }
            try:
                row = await connection.execute(insert(tenants).values(values).returning(tenants))
            except IntegrityError as error:
                raise Conflict(f"there is a domain or project {name!r} in there") from error
            return _tenant(row.one())

    async def change(
        self, id: str, *, text: str | None = None, is_enabled: bool | None = None
    ) -> Tenant:
        """Change what is told, and return the tenant. Raises NotFound."""
        told = {"text": text, "is_enabled": is_enabled}
        values = {name: value for name, value in told.items() if value is not None}
        if not values:
            return await self.get(id)
        change = update(tenants).where(tenants.c.id == id).values(values).returning(tenants)
        async with self._database.writing() as connection:
            row = (await connection.execute(change)).first()
        if row is None:
            raise missing(id)
        return _tenant(row)

    async def move(self, id: str, parent: str, name: str) -> Tenant:
        """Put a tenant with all below it in a domain, under a name; what is there counts there.

        Raises Conflict for a name in use there, for a domain that is below it, and while roles of
        where it was are given in it; NotFound, Invalid, QuotaExceeded.
        """
        quotas = QuotaStore(self._database)
        async with self._database.writing() as connection:
            await self._database.locked(connection, LOCK)
            row = await _row(connection, id)
            above = await _domain(connection, parent)
            if id in above.path:
                raise Conflict("a domain cannot be moved into what is below it")
            old, new = row.path, path_text((*above.path, id))
            below = (
                await connection.execute(
                    select(tenants).where(tenants.c.path.startswith(old, autoescape=True))
                )
            ).all()
            shift = len(path_of(new)) - len(path_of(old))
            if max(len(path_of(each.path)) for each in below) + shift > DEEPEST:
                raise Invalid(f"tenants are at most {DEEPEST} deep")
            place = _place(above, name)
            if old != new:
                await _check_roles(connection, [each.id for each in below], (*above.path, id))
                await quotas.moved(connection, old, new)
            try:
                for each in below:
                    values = {
                        "path": new + each.path.removeprefix(old),
                        "place": place + each.place.removeprefix(row.place),
                    }
                    if each.id == id:
                        values |= {"name": name, "parent": parent}
                    await connection.execute(
                        update(tenants).where(tenants.c.id == each.id).values(values)
                    )
            except IntegrityError as error:
                raise Conflict(f"there is a domain or project {name!r} in there") from error
            return _tenant(await _row(connection, id))

    async def remove(self, id: str) -> None:
        """Forget a tenant, and what was given there. Raises Conflict while it has anything."""
        async with self._database.writing() as connection:
            await self._database.locked(connection, LOCK)
            await _row(connection, id)
            found = [
                what
                for table, what in (*HOLDERS, (tenants, "domains or projects"))
                if await _count(connection, table, "parent" if table is tenants else "tenant", id)
            ]
            held = select(func.count()).where(
                holdings.c.tenant == id, holdings.c.state != "released"
            )
            if (await connection.execute(held)).scalar_one():
                found.append("things in clouds")
            if found:
                raise Conflict(f"it has {', '.join(found)} still")
            for table in (grants, lends, schema.quotas, schema.limits):
                await connection.execute(delete(table).where(table.c.tenant == id))
            await connection.execute(delete(tenants).where(tenants.c.id == id))


def missing(told: str) -> NotFound:
    """Return what is raised when there is no such tenant."""
    return NotFound(f"there is no domain or project {told[:60]!r}")


async def _count(connection: AsyncConnection, table: Table, column: str, id: str) -> int:
    wish = select(func.count()).select_from(table).where(table.c[column] == id)
    return int((await connection.execute(wish)).scalar_one())


async def _row(connection: AsyncConnection, id: str) -> Row[Any]:
    row = (await connection.execute(select(tenants).where(tenants.c.id == id))).first()
    if row is None:
        raise missing(id)
    return row


async def _domain(connection: AsyncConnection, id: str) -> Tenant:
    """Return what others may be put into. Raises NotFound, Invalid for a project."""
    found = ROOT_DOMAIN if id == ROOT else _tenant(await _row(connection, id))
    if not isinstance(found, Domain):
        raise Invalid("nothing can be below a project")
    return found


async def _check_roles(
    connection: AsyncConnection, below: Collection[str], path: Collection[str]
) -> None:
    """Raise Conflict while roles are given in these tenants that are none of theirs there."""
    wish = (
        select(roles.c.name)
        .join(grants, grants.c.role == roles.c.id)
        .where(grants.c.tenant.in_(below), roles.c.tenant.not_in([*below, *path]))
    )
    found = (await connection.execute(wish.limit(1))).scalar()
    if found is not None:
        raise Conflict(f"the role {found!r} of where it is now is given in it")


def _place(above: Tenant, name: str) -> str:
    return name if above.id == ROOT else f"{above.place}/{name}"


def _tenant(row: Row[Any]) -> Tenant:
    return KINDS[row.kind](
        id=row.id,
        name=row.name,
        parent=row.parent,
        path=path_of(row.path),
        place=row.place,
        created_at=moment(row.created_us),
        text=row.text,
        is_enabled=row.is_enabled,
    )
