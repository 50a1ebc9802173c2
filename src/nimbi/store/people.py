"""People: the admin's password, the tokens, and how often somebody failed to sign in."""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Row, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from nimbi.model.errors import Conflict, NotFound
from nimbi.model.people import OPERATOR
from nimbi.model.tokens import Scope, Token
from nimbi.store.database import Database
from nimbi.store.directory import DirectoryStore
from nimbi.store.moments import micro, moment, moment_or_none, stored, stored_or_none
from nimbi.store.schema import attempts, passwords, tokens, users

# A token's last use is written down at most so often.
TOUCH_S = 60

SCOPES = msgspec.json.Decoder(tuple[Scope, ...])
SHOWN = [column for column in tokens.columns if column.name != "digest"]


class Attempts(NamedTuple):
    """How often it failed in a row, and when the last time; None when it never did."""

    failures: int
    last_at: datetime | None


class PeopleStore:
    """Who may call. Neither passwords nor tokens are here, only what proves them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def directory(self) -> DirectoryStore:
        """What rights come from, in the same database."""
        return DirectoryStore(self._database)

    async def id_of(self, name: str) -> str | None:
        """Return the id of a user by its name, None for one that there is not."""
        async with self._database.reading() as connection:
            wish = select(users.c.id).where(users.c.name == name)
            return (await connection.execute(wish)).scalar()

    async def user_of(self, told: str) -> str:
        """Return the id of a user by its id or its name. Raises NotFound."""
        found = await self._named(told)
        if found is None:
            raise NotFound(f"there is no user {told[:60]!r}")
        return found

    async def service(self, id: str) -> str | None:
        """Return the tenant of a service account, None for any other user."""
        wish = select(users.c.tenant).where(users.c.id == id, users.c.kind == "service")
        async with self._database.reading() as connection:
            return (await connection.execute(wish)).scalar()

    async def _named(self, told: str) -> str | None:
        if told == OPERATOR:
            return OPERATOR
        wish = select(users.c.id).where(or_(users.c.id == told, users.c.name == told))
        async with self._database.reading() as connection:
            return (await connection.execute(wish)).scalar()

    async def password_hash(self, person: str = "admin") -> str | None:
        """Return the hash of a person's password, None for one who has none."""
        wish = select(passwords.c.hash).where(passwords.c.person == person)
        async with self._database.reading() as connection:
            return (await connection.execute(wish)).scalar()

    async def set_password_hash(self, hash: str, person: str = "admin") -> None:
        """Keep the hash of a person's password, in place of the one before."""
        values = {"hash": hash, "changed_us": stored(datetime.now(UTC))}
        new = self._database.insert(passwords).values(person=person, **values)
        change = new.on_conflict_do_update(index_elements=[passwords.c.person], set_=values)
        async with self._database.writing() as connection:
            await connection.execute(change)

    async def add(self, token: Token, digest: bytes) -> None:
        """Keep a new token by the digest of its secret. Raises Conflict for an id in use."""
        values = {
            "id": token.id,
            "digest": digest,
            "name": token.name,
            "scopes": msgspec.json.encode(token.scopes),
            "created_us": stored(token.created_at),
            "expires_us": stored_or_none(token.expires_at),
            "used_us": stored_or_none(token.used_at),
            "user_id": token.user,
            "tenant": token.tenant,
        }
        try:
            async with self._database.writing() as connection:
                await connection.execute(insert(tokens).values(values))
        except IntegrityError as error:
            raise Conflict("there is such a token already") from error

    async def find_by_digest(self, digest: bytes) -> Token | None:
        """Return the token whose secret has this digest, also when it has expired."""
        wish = select(*SHOWN).where(tokens.c.digest == digest)
        async with self._database.reading() as connection:
            row = (await connection.execute(wish)).first()
        return None if row is None else _token(row)

    async def get(self, id: str) -> Token:
        """Return one token. Raises NotFound."""
        async with self._database.reading() as connection:
            row = (await connection.execute(select(*SHOWN).where(tokens.c.id == id))).first()
        if row is None:
            raise NotFound(f"there is no token {id!r}")
        return _token(row)

    async def list(
        self, user: str | None = None, among: Collection[str] | None = None
    ) -> tuple[Token, ...]:
        """Return tokens in the order in which they were made.

        All, or only those of one user; all, or only those that act in the tenants `among`.
        """
        wish = select(*SHOWN).order_by(tokens.c.created_us, tokens.c.id)
        if user is not None:
            wish = wish.where(tokens.c.user_id == user)
        if among is not None:
            wish = wish.where(self._database.among(tokens.c.tenant, tuple(among)))
        async with self._database.reading() as connection:
            return tuple(_token(row) for row in await connection.execute(wish))

    async def revoke(self, id: str) -> None:
        """Forget a token: it is of no use from now on. Raises NotFound."""
        async with self._database.writing() as connection:
            gone = await connection.execute(delete(tokens).where(tokens.c.id == id))
        if not gone.rowcount:
            raise NotFound(f"there is no token {id!r}")

    async def touch(self, id: str, at: datetime) -> None:
        """Say that a token was used; it is written down at most once a minute."""
        at_us = stored(at)
        old = tokens.c.used_us <= at_us - micro(TOUCH_S)
        async with self._database.reading() as connection:
            due = select(tokens.c.id).where(tokens.c.id == id, or_(tokens.c.used_us.is_(None), old))
            if (await connection.execute(due)).first() is None:
                return
        async with self._database.writing() as connection:
            await connection.execute(update(tokens).where(tokens.c.id == id).values(used_us=at_us))

    async def failed(self, place: str, at: datetime) -> Attempts:
        """Count one more failure to sign in from a place, an address for example."""
        at_us = stored(at)
        new = self._database.insert(attempts).values(place=place, failures=1, last_us=at_us)
        change = new.on_conflict_do_update(
            index_elements=[attempts.c.place],
            set_={"failures": attempts.c.failures + 1, "last_us": at_us},
        )
        async with self._database.writing() as connection:
            counted = await connection.execute(change.returning(attempts.c.failures))
            return Attempts(int(counted.scalar_one()), at)

    async def attempts(self, place: str) -> Attempts:
        """Return the failures of a place."""
        wish = select(attempts.c.failures, attempts.c.last_us).where(attempts.c.place == place)
        async with self._database.reading() as connection:
            row = (await connection.execute(wish)).first()
        return Attempts(0, None) if row is None else Attempts(row[0], moment(row[1]))

    async def succeeded(self, place: str) -> None:
        """Forget the failures of a place."""
        async with self._database.writing() as connection:
            await connection.execute(delete(attempts).where(attempts.c.place == place))

    async def prune(self, before: datetime) -> int:
        """Forget the failures of places with none since then, and tokens expired before."""
        late = stored(before)
        async with self._database.writing() as connection:
            quiet = await connection.execute(delete(attempts).where(attempts.c.last_us < late))
            old = await connection.execute(delete(tokens).where(tokens.c.expires_us < late))
        return quiet.rowcount + old.rowcount


def _token(row: Row[Any]) -> Token:
    return Token(
        id=row.id,
        name=row.name,
        scopes=SCOPES.decode(row.scopes),
        created_at=moment(row.created_us),
        expires_at=moment_or_none(row.expires_us),
        used_at=moment_or_none(row.used_us),
        user=row.user_id,
        tenant=row.tenant,
    )
