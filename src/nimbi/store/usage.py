"""Usage as it is read: sums by series, intervals, and all that was told of each thing."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import ColumnElement, case, delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from nimbi.model.metering import Interval
from nimbi.store.database import Database
from nimbi.store.metered import PASSING
from nimbi.store.moments import moment, stored
from nimbi.store.schema import OPEN_S, series, usage

SECOND_US = 1_000_000
# Rows that are held at once.
BATCH = 1000
TAGS = msgspec.json.Decoder(dict[str, str])


class Series(NamedTuple):
    """What the intervals of a sum have in common."""

    id: int
    tenant: str
    path: str
    account: str
    collection: str
    state: str
    kind: str
    realm: str
    vcpus: int
    memory_mib: int
    tags: bytes


class Sum(NamedTuple):
    """How much of a series was used: its amounts times seconds; bytes where they pass."""

    series: Series
    total: int


class Place(NamedTuple):
    """Which usage is meant; None is all. `tenant` stands for those below it too."""

    tenant: str | None = None
    accounts: tuple[str, ...] | None = None


EVERYTHING = Place()
COLUMNS = [series.c[name] for name in Series._fields]


class UsageStore:
    """What was used. Times are whole seconds since 1970."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def now_s(self) -> int:
        """Return the present time by the clock of all who share the database."""
        async with self._database.reading() as connection:
            now_us = (await connection.execute(select(self._database.now_us()))).scalar_one()
        return int(now_us) // SECOND_US

    async def newest(self) -> int:
        """Return the id of the last interval that is kept; 0 before the first."""
        async with self._database.reading() as connection:
            return int((await connection.execute(select(func.max(usage.c.id)))).scalar() or 0)

    async def sums(
        self, begin_s: int, until_s: int, place: Place = EVERYTHING
    ) -> AsyncIterator[Sum]:
        """Yield how much of each series was used from one time until another.

        What has not ended counts until `until_s`, which so is not to be in the future. They come in
        the order of their ids.
        """
        end = case((usage.c.until_s < until_s, usage.c.until_s), else_=until_s)
        begin = case((usage.c.begin_s > begin_s, usage.c.begin_s), else_=begin_s)
        total = func.sum((end - begin) * usage.c.amount).label("total")
        of = select(usage.c.series, total).where(
            usage.c.begin_s < until_s, usage.c.until_s > begin_s, usage.c.series > 0
        )
        if place != EVERYTHING:
            of = of.where(usage.c.series.in_(select(series.c.id).where(*_within(place))))
        found = of.group_by(usage.c.series).subquery()
        wish = select(*COLUMNS, found.c.total).join(found, found.c.series == series.c.id)
        async with self._database.snapshot() as connection:
            rows = await connection.stream(wish.order_by(series.c.id))
            async for some in rows.partitions(BATCH):
                for row in some:
                    # The databases give sums in several types.
                    yield Sum(Series(*row[:-1]), int(row[-1]))

    async def intervals(
        self,
        place: Place = EVERYTHING,
        *,
        collection: str | None = None,
        thing_id: str | None = None,
        begin_s: int = 0,
        until_s: int = OPEN_S,
        after: int = 0,
        limit: int = 100,
    ) -> tuple[Interval, ...]:
        """Return up to `limit` intervals in which something was used, in the order of their ids."""
        wish = select(usage, *(c.label(f"of_{c.name}") for c in COLUMNS))
        wish = wish.join(series, series.c.id == usage.c.series).where(*_within(place))
        wish = wish.where(usage.c.id > after, usage.c.begin_s < until_s, usage.c.until_s > begin_s)
        if collection is not None:
            wish = wish.where(usage.c.collection == collection)
        if thing_id is not None:
            wish = wish.where(usage.c.thing_id == thing_id)
        async with self._database.reading() as connection:
            rows = await connection.execute(wish.order_by(usage.c.id).limit(limit))
            return tuple(_interval(row) for row in rows)

    async def recomputed(
        self, begin_s: int, until_s: int, place: Place, newest: int
    ) -> AsyncIterator[tuple[Series, int, int, int]]:
        """Yield intervals, made anew from what was told: series, begin, end and amount.

        Only what was known at the id `newest` counts; what ends is not read but found again from
        the change after it. Intervals of no second are left out. At any moment one thing is held.
        """
        kinds = {one.id: one async for one in self._kinds(place)}
        before: Any = None
        begun_s = 0
        async with self._database.snapshot() as connection:
            async for row in self._changes(connection, newest):
                is_next = before is not None and _thing(row) == _thing(before)
                if before is not None and before.series in kinds:
                    end = row.at_us // SECOND_US if is_next else OPEN_S
                    yield (kinds[before.series], begun_s, max(begun_s, end), before.amount)
                told_s = row.at_us // SECOND_US
                if row.collection in PASSING:
                    if row.series in kinds:
                        yield (kinds[row.series], told_s, told_s + 1, row.amount)
                    before = None
                    continue
                begun_s = max(begun_s, told_s) if is_next else told_s
                before = row
            if before is not None and before.series in kinds:
                yield (kinds[before.series], begun_s, OPEN_S, before.amount)

    async def prune(self, before: datetime, *, most: int = 10_000) -> int:
        """Forget up to `most` intervals that ended before this time; return how many it were.

        Bills of that time stay; they cannot be made again.
        """
        old = select(usage.c.id).where(usage.c.until_s < stored(before) // SECOND_US).limit(most)
        async with self._database.writing() as connection:
            gone = await connection.execute(delete(usage).where(usage.c.id.in_(old)))
        return gone.rowcount

    async def _kinds(self, place: Place) -> AsyncIterator[Series]:
        async with self._database.snapshot() as connection:
            rows = await connection.stream(select(*COLUMNS).where(*_within(place)))
            async for row in rows:
                yield Series(*row)

    async def _changes(self, connection: AsyncConnection, newest: int) -> AsyncIterator[Any]:
        columns = (
            usage.c.id,
            usage.c.account,
            usage.c.collection,
            usage.c.thing_id,
            usage.c.at_us,
            usage.c.series,
            usage.c.amount,
        )
        wish = select(*columns).where(usage.c.id <= newest)
        rows = await connection.stream(
            wish.order_by(usage.c.account, usage.c.collection, usage.c.thing_id, usage.c.id)
        )
        async for some in rows.partitions(BATCH):
            for row in some:
                yield row


def _within(place: Place) -> Sequence[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if place.tenant is not None:
        found.append(series.c.path.contains(f"/{place.tenant}/", autoescape=True))
    if place.accounts is not None:
        found.append(series.c.account.in_(place.accounts))
    return found


def _thing(row: Any) -> tuple[str, str, str]:
    return (row.account, row.collection, row.thing_id)


def _interval(row: Any) -> Interval:
    return Interval(
        id=row.id,
        account=row.account,
        collection=row.collection,
        thing_id=row.thing_id,
        name=row.name or None,
        told_at=moment(row.at_us),
        begin=moment(row.begin_s * SECOND_US),
        until=None if row.until_s == OPEN_S else moment(row.until_s * SECOND_US),
        tenant=row.of_tenant,
        state=row.of_state or None,
        kind=row.of_kind or None,
        realm_id=row.of_realm or None,
        amount=row.amount,
        vcpus=row.of_vcpus,
        memory_mib=row.of_memory_mib,
        tags=TAGS.decode(row.of_tags),
        event_id=row.event_id,
    )
