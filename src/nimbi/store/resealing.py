"""Sealing anew, by the current key, what older ones sealed: the second half of a rotation."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Table, and_, select, tuple_, update

from nimbi.store.accounts import bound_to as account_name
from nimbi.store.answers import bound_to as answer_name
from nimbi.store.database import Database
from nimbi.store.errors import SealError
from nimbi.store.jobs import bound_to as job_name
from nimbi.store.schedules import bound_to as schedule_name
from nimbi.store.schema import accounts, answers, jobs, schedules, webhooks
from nimbi.store.sealing import Keyring, Sealed
from nimbi.store.webhooks import bound_to as webhook_name

BATCH = 100


@dataclass(frozen=True)
class Records:
    """Where sealed things are, and the name each is sealed for, by its table's own key."""

    table: Table
    name: Callable[..., str]


RECORDS = (
    Records(accounts, account_name),
    Records(webhooks, webhook_name),
    Records(answers, answer_name),
    Records(jobs, job_name),
    Records(schedules, schedule_name),
)


async def reseal(database: Database, keyring: Keyring) -> int:
    """Seal anew all that the current key did not seal; return how many records that were.

    It may run beside servers, be stopped at any point and be begun again. Raises SealError, after
    all others are done, when some cannot be opened.
    """
    done, failures = 0, []
    for records in RECORDS:
        after: tuple[Any, ...] | None = None
        while rows := await _older(database, keyring, records.table, after):
            for row in rows:
                after = _key(records.table, row)
                try:
                    done += await _resealed(database, keyring, records, row)
                except SealError as error:
                    failures.append(str(error))
    if failures:
        raise SealError(f"{len(failures)} records stay as they are; the first: {failures[0]}")
    return done


async def in_use(database: Database) -> dict[str, int]:
    """Return how many records each key sealed: one that is not named may be taken away."""
    counts: dict[str, int] = {}
    async with database.reading() as connection:
        for records in RECORDS:
            column = records.table.c.key_id
            for (id,) in await connection.execute(select(column).where(column.is_not(None))):
                counts[id] = counts.get(id, 0) + 1
    return counts


async def _older(
    database: Database, keyring: Keyring, table: Table, after: tuple[Any, ...] | None
) -> list[Row[Any]]:
    keys = table.primary_key.columns
    wish = select(*keys, table.c.sealed, table.c.key_id).where(table.c.key_id != keyring.current)
    if after is not None:
        wish = wish.where(tuple_(*keys) > after)
    async with database.reading() as connection:
        return list(await connection.execute(wish.order_by(*keys).limit(BATCH)))


async def _resealed(database: Database, keyring: Keyring, records: Records, row: Row[Any]) -> int:
    table = records.table
    key = _key(table, row)
    made = keyring.resealed(Sealed(row.key_id, row.sealed), records.name(*key))
    same = [column == value for column, value in zip(table.primary_key.columns, key, strict=True)]
    # Whoever sealed other credentials meanwhile did so for good.
    change = update(table).where(and_(*same, table.c.sealed == row.sealed))
    async with database.writing() as connection:
        changed = await connection.execute(change.values(sealed=made.body, key_id=made.key_id))
    return changed.rowcount


def _key(table: Table, row: Row[Any]) -> tuple[Any, ...]:
    return tuple(getattr(row, column.name) for column in table.primary_key.columns)
