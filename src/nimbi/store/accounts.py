"""Accounts: stored logins, their sealed credentials and their health."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from nimbi.model.accounts import Account, Health
from nimbi.model.errors import Conflict, NotFound
from nimbi.model.inventory import EventKind
from nimbi.store import schema
from nimbi.store.database import Database
from nimbi.store.events import Change, append
from nimbi.store.holdings import HoldingStore
from nimbi.store.moments import moment, stored
from nimbi.store.schema import accounts
from nimbi.store.sealing import Sealed

COLLECTION = "accounts"

TAGS = msgspec.json.Decoder(dict[str, str])
HEALTH = msgspec.json.Decoder(Health)
SHOWN = [column for column in accounts.columns if column.name not in {"sealed", "key_id"}]
# What is forgotten with an account.
HELD = (
    *(schema.things, schema.labels, schema.dropped, schema.polls, schema.intents),
    *(schema.lends, schema.limits),
)


def bound_to(id: str) -> str:
    """Return the name for which an account's credentials are sealed."""
    return f"account/{id}"


class AccountStore:
    """The accounts; each change is an event of the collection `accounts`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._holdings = HoldingStore(database)

    async def all(self) -> tuple[Account, ...]:
        """Return all accounts by name."""
        async with self._database.reading() as connection:
            rows = await connection.execute(select(*SHOWN).order_by(accounts.c.id))
        return tuple(_account(row) for row in rows)

    async def get(self, id: str) -> Account:
        """Return one account. Raises NotFound."""
        async with self._database.reading() as connection:
            return await _get(connection, id)

    async def versions(self) -> Mapping[str, int]:
        """Return the version of each account: cheap, to see what has changed."""
        async with self._database.reading() as connection:
            rows = await connection.execute(select(accounts.c.id, accounts.c.version))
        return {row.id: row.version for row in rows}

    async def with_credentials(self, id: str) -> tuple[Account, Sealed | None]:
        """Return an account and its sealed credentials as of one moment. Raises NotFound."""
        async with self._database.reading() as connection:
            row = (await connection.execute(select(accounts).where(accounts.c.id == id))).first()
        if row is None:
            raise missing(id)
        return _account(row), _sealed(row)

    async def credentials(self, id: str) -> Sealed | None:
        """Return the sealed credentials, None for an account with a login of its own."""
        return (await self.with_credentials(id))[1]

    async def add(self, record: Account, credentials: Sealed | None) -> Account:
        """Keep a new account as it is given. Raises Conflict for a name in use."""
        values = _values(record) | _seal(credentials)
        try:
            async with self._database.writing() as connection:
                await connection.execute(insert(accounts).values(values))
                await self._tell(connection, record, EventKind.APPEARED)
        except IntegrityError as error:
            raise Conflict(f"there is an account {record.id!r} already") from error
        return record

    async def change(
        self,
        id: str,
        version: int | None,
        *,
        provider: str | msgspec.UnsetType | None = msgspec.UNSET,
        is_enabled: bool | msgspec.UnsetType = msgspec.UNSET,
        tags: Mapping[str, str] | msgspec.UnsetType = msgspec.UNSET,
        credentials: Sealed | msgspec.UnsetType = msgspec.UNSET,
        health: Health | msgspec.UnsetType = msgspec.UNSET,
    ) -> Account:
        """Change what is set, and return the account with its next version.

        Raises NotFound, and Conflict unless the account is at `version`; None takes any. New
        credentials end a login of its own. Unless only its tags change, all that the account holds
        is due to be asked for: what failed before may go well now.
        """
        async with self._database.writing() as connection:
            before = await _get(connection, id, alone=True)
            if version is not None and before.version != version:
                raise Conflict(f"account {id!r} was changed meanwhile; read it again")
            after = msgspec.structs.replace(
                before,
                provider=before.provider if provider is msgspec.UNSET else provider,
                is_enabled=before.is_enabled if is_enabled is msgspec.UNSET else is_enabled,
                tags=before.tags if tags is msgspec.UNSET else tags,
                health=before.health if health is msgspec.UNSET else health,
                own_login=before.own_login and credentials is msgspec.UNSET,
                changed_at=datetime.now(UTC),
                version=before.version + 1,
            )
            values = _values(after)
            if credentials is not msgspec.UNSET:
                values |= _seal(credentials)
            await connection.execute(update(accounts).where(accounts.c.id == id).values(values))
            if any(told is not msgspec.UNSET for told in (provider, is_enabled, credentials)):
                due = update(schema.polls).where(schema.polls.c.account == id)
                await connection.execute(due.values(next_us=stored(after.changed_at)))
            await self._tell(connection, after, EventKind.CHANGED)
        return after

    async def move(self, id: str, tenant: str) -> Account:
        """Give an account to a tenant; return it with its next version. Raises NotFound."""
        async with self._database.writing() as connection:
            before = await _get(connection, id, alone=True)
            after = msgspec.structs.replace(
                before, tenant=tenant, changed_at=datetime.now(UTC), version=before.version + 1
            )
            change = update(accounts).where(accounts.c.id == id)
            await connection.execute(change.values(_values(after)))
            await self._tell(connection, after, EventKind.CHANGED)
        return after

    async def set_health(self, id: str, health: Health) -> bool:
        """Keep how the account's cloud answers; return whether there is such an account.

        It is no new version, and an event only when the state or the kind of problem is another.
        """
        async with self._database.writing() as connection:
            try:
                before = await _get(connection, id, alone=True)
            except NotFound:
                return False
            after = msgspec.structs.replace(before, health=health)
            values = {"health": msgspec.json.encode(health)}
            await connection.execute(update(accounts).where(accounts.c.id == id).values(values))
            if _kind(before.health) != _kind(health):
                await self._tell(connection, after, EventKind.CHANGED)
        return True

    async def remove(self, id: str) -> None:
        """Forget an account and all that is known of it but its events. Raises NotFound."""
        async with self._database.writing() as connection:
            account = await _get(connection, id, alone=True)
            await connection.execute(delete(accounts).where(accounts.c.id == id))
            await self._holdings.left(connection, id)
            for table in HELD:
                await connection.execute(delete(table).where(table.c.account == id))
            await self._tell(connection, account, EventKind.VANISHED)

    async def _tell(self, connection: AsyncConnection, account: Account, kind: EventKind) -> None:
        body = None if kind is EventKind.VANISHED else msgspec.json.encode(account)
        change = Change(account.id, COLLECTION, account.id, kind, account.health.state, body)
        await append(connection, datetime.now(UTC), [change])


def missing(id: str) -> NotFound:
    """Return what is raised when there is no account of this name."""
    return NotFound(f"there is no account {id!r}")


async def _get(connection: AsyncConnection, id: str, *, alone: bool = False) -> Account:
    """Return one account; `alone` keeps others from changing it until the transaction's end."""
    wish = select(*SHOWN).where(accounts.c.id == id)
    row = (await connection.execute(wish.with_for_update() if alone else wish)).first()
    if row is None:
        raise missing(id)
    return _account(row)


def _account(row: Row[Any]) -> Account:
    return Account(
        id=row.id,
        driver=row.driver,
        provider=row.provider,
        own_login=row.own_login,
        is_enabled=row.is_enabled,
        tags=TAGS.decode(row.tags),
        health=HEALTH.decode(row.health),
        created_at=moment(row.created_us),
        changed_at=moment(row.changed_us),
        version=row.version,
        tenant=row.tenant,
    )


def _values(account: Account) -> dict[str, Any]:
    return {
        "id": account.id,
        "driver": account.driver,
        "provider": account.provider,
        "own_login": account.own_login,
        "is_enabled": account.is_enabled,
        "tags": msgspec.json.encode(account.tags),
        "health": msgspec.json.encode(account.health),
        "created_us": stored(account.created_at),
        "changed_us": stored(account.changed_at),
        "version": account.version,
        "tenant": account.tenant,
    }


def _seal(sealed: Sealed | None) -> dict[str, Any]:
    return {
        "sealed": sealed.body if sealed else None,
        "key_id": sealed.key_id if sealed else None,
    }


def _sealed(row: Row[Any]) -> Sealed | None:
    return None if row.sealed is None else Sealed(row.key_id, row.sealed)


def _kind(health: Health) -> tuple[str, str | None]:
    return health.state.value, health.problem.code if health.problem else None
