"""Roles of one's own, and who has which role where."""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import Row, delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from nimbi.model.errors import Conflict, NotFound
from nimbi.model.people import Grant, Role, RoleRule
from nimbi.store.database import Database
from nimbi.store.directory import GROUP, RULES, USER, held_by
from nimbi.store.moments import moment, stored
from nimbi.store.schema import grants, roles


class RoleStore:
    """The roles that tenants made."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, among: Collection[str] | None = None) -> tuple[Role, ...]:
        """Return all by name, or those of these tenants."""
        wish = select(roles).order_by(roles.c.name, roles.c.id)
        if among is not None:
            wish = wish.where(self._database.among(roles.c.tenant, tuple(among)))
        async with self._database.reading() as connection:
            return tuple(_role(row) for row in await connection.execute(wish))

    async def get(self, told: str) -> tuple[Role, ...]:
        """Return those of this id or name: several tenants may have a role of one name."""
        wish = select(roles).where(or_(roles.c.id == told, roles.c.name == told))
        async with self._database.reading() as connection:
            return tuple(_role(row) for row in await connection.execute(wish))

    async def add(self, role: Role) -> Role:
        """Keep a new one. Raises Conflict for a name in use there."""
        values = {
            "id": role.id,
            "name": role.name,
            "tenant": role.tenant,
            "rules": msgspec.json.encode(role.rules),
            "text": role.text,
            "created_us": stored(datetime.now(UTC)),
        }
        try:
            async with self._database.writing() as connection:
                await connection.execute(insert(roles).values(values))
        except IntegrityError as error:
            raise Conflict(f"there is a role {role.name!r} already") from error
        return role

    async def change(
        self, id: str, *, rules: tuple[RoleRule, ...] | None = None, text: str | None = None
    ) -> Role:
        """Change what is told, and return the role. Raises NotFound."""
        values: dict[str, Any] = {} if text is None else {"text": text}
        if rules is not None:
            values["rules"] = msgspec.json.encode(rules)
        if not values:
            return (await self.get(id))[0]
        change = update(roles).where(roles.c.id == id).values(values).returning(roles)
        async with self._database.writing() as connection:
            row = (await connection.execute(change)).first()
        if row is None:
            raise NotFound(f"there is no role {id[:60]!r}")
        return _role(row)

    async def remove(self, id: str) -> None:
        """Forget a role. Raises Conflict while somebody has it, NotFound."""
        count = select(func.count()).select_from(grants).where(grants.c.role == id)
        async with self._database.writing() as connection:
            # A grant of it that is being given waits here, and finds no role then.
            await self._database.locked(connection, "role", id)
            if (await connection.execute(count)).scalar_one():
                raise Conflict("somebody has this role still")
            gone = await connection.execute(delete(roles).where(roles.c.id == id))
        if not gone.rowcount:
            raise NotFound(f"there is no role {id[:60]!r}")


class GrantStore:
    """Who has which role where."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self,
        among: Collection[str] | None = None,
        *,
        user: str | None = None,
        group: str | None = None,
        tenant: str | None = None,
    ) -> tuple[Grant, ...]:
        """Return grants, the oldest first: at these tenants, and of these when told.

        Those of a user are also those of its groups.
        """
        wish = select(grants).order_by(grants.c.created_us, grants.c.id)
        if among is not None:
            wish = wish.where(self._database.among(grants.c.tenant, tuple(among)))
        if user is not None:
            wish = wish.where(held_by(user))
        if group is not None:
            wish = wish.where(grants.c.holder_kind == GROUP, grants.c.holder == group)
        if tenant is not None:
            wish = wish.where(grants.c.tenant == tenant)
        async with self._database.reading() as connection:
            return tuple(_grant(row) for row in await connection.execute(wish))

    async def get(self, id: str) -> Grant:
        """Return one. Raises NotFound."""
        async with self._database.reading() as connection:
            row = (await connection.execute(select(grants).where(grants.c.id == id))).first()
        if row is None:
            raise _no_grant(id)
        return _grant(row)

    async def add(self, grant: Grant, *, is_own: bool) -> Grant:
        """Keep a new one; `is_own` tells of a role that is kept here.

        Raises Conflict when there is just that one, NotFound when the role has gone meanwhile.
        """
        kind = USER if grant.user is not None else GROUP
        values = {
            "id": grant.id,
            "role": grant.role,
            "tenant": grant.tenant,
            "holder_kind": kind,
            "holder": grant.user or grant.group,
            "given_by": grant.given_by,
            "created_us": stored(grant.created_at),
        }
        there = select(roles.c.id).where(roles.c.id == grant.role)
        try:
            async with self._database.writing() as connection:
                await self._database.locked(connection, "role", grant.role)
                if is_own and (await connection.execute(there)).first() is None:
                    raise NotFound(f"there is no role {grant.role!r}")
                await connection.execute(insert(grants).values(values))
        except IntegrityError as error:
            raise Conflict("that role is given there already") from error
        return grant

    async def remove(self, id: str) -> None:
        """Forget one. Raises NotFound."""
        async with self._database.writing() as connection:
            gone = await connection.execute(delete(grants).where(grants.c.id == id))
        if not gone.rowcount:
            raise _no_grant(id)


def _no_grant(id: str) -> NotFound:
    return NotFound(f"there is no grant {id[:60]!r}")


def _role(row: Row[Any]) -> Role:
    return Role(
        id=row.id,
        name=row.name,
        rules=RULES.decode(row.rules),
        tenant=row.tenant,
        text=row.text,
    )


def _grant(row: Row[Any]) -> Grant:
    return Grant(
        id=row.id,
        role=row.role,
        tenant=row.tenant,
        created_at=moment(row.created_us),
        given_by=row.given_by,
        user=row.holder if row.holder_kind == USER else None,
        group=row.holder if row.holder_kind == GROUP else None,
    )
