"""Users and groups, and who is in which."""

from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from nimbi.model.errors import Conflict, NotFound
from nimbi.model.people import OPERATOR, ROOT, Group, User, UserKind
from nimbi.store.database import Database
from nimbi.store.directory import GROUP, USER
from nimbi.store.moments import EPOCH, moment, stored
from nimbi.store.schema import grants, members, passwords, tokens, user_groups, users

# It may do everything, is always there, and is never changed here.
ADMIN_USER = User(id=OPERATOR, name=OPERATOR, kind=UserKind.PERSON, tenant=ROOT, created_at=EPOCH)


class UserStore:
    """All users but the operator, whose record is `ADMIN_USER`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, among: Collection[str] | None = None) -> tuple[User, ...]:
        """Return all users by name, or those who belong to these tenants."""
        wish = select(users).order_by(users.c.name)
        if among is not None:
            wish = wish.where(self._database.among(users.c.tenant, tuple(among)))
        async with self._database.reading() as connection:
            return tuple(_user(row) for row in await connection.execute(wish))

    async def get(self, told: str) -> User:
        """Return one by its id or its name. Raises NotFound."""
        if told == OPERATOR:
            return ADMIN_USER
        found = await self._one(or_(users.c.id == told, users.c.name == told))
        if found is None:
            raise _no_user(told)
        return found

    async def of_subject(self, issuer: str, subject: str) -> User | None:
        """Return the user whom another provider knows by this subject; None if there is none."""
        return await self._one((users.c.issuer == issuer) & (users.c.subject == subject))

    async def add(self, user: User, hash: str | None = None) -> User:
        """Keep a new user, and the hash of its password. Raises Conflict for a name in use."""
        if user.name == OPERATOR:
            raise Conflict(f"there is a user {user.name!r} already")
        try:
            async with self._database.writing() as connection:
                await connection.execute(insert(users).values(_values(user)))
                if hash is not None:
                    changed = stored(datetime.now(UTC))
                    new = {"person": user.id, "hash": hash, "changed_us": changed}
                    await connection.execute(insert(passwords).values(new))
        except IntegrityError as error:
            raise Conflict(f"there is a user {user.name!r} already") from error
        return user

    async def change(
        self,
        id: str,
        *,
        is_enabled: bool | None = None,
        email: str | None = None,
        tenant: str | None = None,
        identity: tuple[str, str] | None = None,
    ) -> User:
        """Change what is told, and return the user. Raises NotFound, Conflict for an identity."""
        issuer, subject = identity or (None, None)
        told = {
            "is_enabled": is_enabled,
            "email": email,
            "tenant": tenant,
            "issuer": issuer,
            "subject": subject,
        }
        values = {name: value for name, value in told.items() if value is not None}
        if not values:
            return await self.get(id)
        change = update(users).where(users.c.id == id).values(values).returning(users)
        try:
            async with self._database.writing() as connection:
                row = (await connection.execute(change)).first()
        except IntegrityError as error:
            raise Conflict("another user has that identity") from error
        if row is None:
            raise _no_user(id)
        return _user(row)

    async def remove(self, id: str) -> None:
        """Forget a user with its tokens, its password and all that it was given."""
        async with self._database.writing() as connection:
            gone = await connection.execute(delete(users).where(users.c.id == id))
            if not gone.rowcount:
                raise _no_user(id)
            await connection.execute(delete(tokens).where(tokens.c.user_id == id))
            await connection.execute(delete(passwords).where(passwords.c.person == id))
            await connection.execute(delete(members).where(members.c.user_id == id))
            await _forget_grants(connection, USER, id)

    async def _one(self, condition: Any) -> User | None:
        async with self._database.reading() as connection:
            row = (await connection.execute(select(users).where(condition))).first()
        return None if row is None else _user(row)


class GroupStore:
    """All groups with their members."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, among: Collection[str] | None = None) -> tuple[Group, ...]:
        """Return all groups by name, or those that belong to these tenants."""
        wish = select(user_groups).order_by(user_groups.c.name, user_groups.c.id)
        if among is not None:
            wish = wish.where(self._database.among(user_groups.c.tenant, tuple(among)))
        async with self._database.reading() as connection:
            rows = (await connection.execute(wish)).all()
            inside = await _members(connection, [row.id for row in rows], self._database)
        return tuple(_group(row, inside.get(row.id, ())) for row in rows)

    async def get(self, told: str) -> tuple[Group, ...]:
        """Return those of this id or name: several tenants may have a group of one name."""
        wish = select(user_groups).where(or_(user_groups.c.id == told, user_groups.c.name == told))
        async with self._database.reading() as connection:
            rows = (await connection.execute(wish)).all()
            inside = await _members(connection, [row.id for row in rows], self._database)
        return tuple(_group(row, inside.get(row.id, ())) for row in rows)

    async def add(self, group: Group) -> Group:
        """Keep a new group without members. Raises Conflict for a name in use there."""
        values = {
            "id": group.id,
            "name": group.name,
            "tenant": group.tenant,
            "created_us": stored(group.created_at),
        }
        try:
            async with self._database.writing() as connection:
                await connection.execute(insert(user_groups).values(values))
        except IntegrityError as error:
            raise Conflict(f"there is a group {group.name!r} already") from error
        return group

    async def join(self, group: str, user: str, source: str = "") -> None:
        """Put a user in a group; nothing happens when it is."""
        new = self._database.insert(members).values(group_id=group, user_id=user, source=source)
        async with self._database.writing() as connection:
            await connection.execute(new.on_conflict_do_nothing())

    async def leave(self, group: str, user: str) -> None:
        """Take a user out of a group. Raises NotFound when it is not in it."""
        here = (members.c.group_id == group, members.c.user_id == user)
        async with self._database.writing() as connection:
            gone = await connection.execute(delete(members).where(*here))
        if not gone.rowcount:
            raise NotFound("this user is not in the group")

    async def told(self, user: str, groups: Iterable[str], source: str) -> None:
        """Put a user in exactly these groups, as far as `source`, a provider, is to say."""
        async with self._database.writing() as connection:
            mine = (members.c.user_id == user, members.c.source == source)
            await connection.execute(delete(members).where(*mine))
            for group in groups:
                new = self._database.insert(members).values(
                    group_id=group, user_id=user, source=source
                )
                await connection.execute(new.on_conflict_do_nothing())

    async def remove(self, id: str) -> None:
        """Forget a group and all that it was given. Raises NotFound."""
        async with self._database.writing() as connection:
            gone = await connection.execute(delete(user_groups).where(user_groups.c.id == id))
            if not gone.rowcount:
                raise NotFound(f"there is no group {id[:60]!r}")
            await connection.execute(delete(members).where(members.c.group_id == id))
            await _forget_grants(connection, GROUP, id)


async def _forget_grants(connection: AsyncConnection, kind: str, id: str) -> None:
    theirs = (grants.c.holder_kind == kind, grants.c.holder == id)
    await connection.execute(delete(grants).where(*theirs))


async def _members(
    connection: AsyncConnection, groups: Collection[str], database: Database
) -> dict[str, tuple[str, ...]]:
    wish = select(members).where(database.among(members.c.group_id, tuple(groups)))
    found: dict[str, tuple[str, ...]] = {}
    for row in await connection.execute(wish.order_by(members.c.user_id)):
        found[row.group_id] = (*found.get(row.group_id, ()), row.user_id)
    return found


def _no_user(told: str) -> NotFound:
    return NotFound(f"there is no user {told[:60]!r}")


def _values(user: User) -> dict[str, Any]:
    return {
        "id": user.id,
        "name": user.name,
        "kind": user.kind.value,
        "tenant": user.tenant,
        "email": user.email,
        "is_enabled": user.is_enabled,
        "issuer": user.issuer,
        "subject": user.subject,
        "created_us": stored(user.created_at),
    }


def _user(row: Row[Any]) -> User:
    return User(
        id=row.id,
        name=row.name,
        kind=UserKind(row.kind),
        tenant=row.tenant,
        created_at=moment(row.created_us),
        email=row.email,
        is_enabled=row.is_enabled,
        issuer=row.issuer,
        subject=row.subject,
    )


def _group(row: Row[Any], inside: tuple[str, ...]) -> Group:
    return Group(
        id=row.id,
        name=row.name,
        tenant=row.tenant,
        created_at=moment(row.created_us),
        members=inside,
    )
