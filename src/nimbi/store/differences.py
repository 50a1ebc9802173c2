"""What differs between what is in use and the inventory, where no event told it."""

from collections.abc import AsyncIterator
from typing import Any, NamedTuple

from sqlalchemy import and_, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from nimbi.store.intervals import SECOND_US
from nimbi.store.metered import METERED, Capacities, Seen, capacity, seen
from nimbi.store.schema import OPEN_S, accounts, holdings, polls, series, things, usage

# Things that are looked at together.
BATCH = 500


class Told(NamedTuple):
    """A change of a thing, from whatever told it; no `seen`: it is gone."""

    account: str
    collection: str
    thing_id: str
    at_us: int
    seen: Seen | None
    event_id: int | None
    appeared: bool = False


class Differences:
    """Looks in one transaction, in which neither the inventory nor the events change."""

    def __init__(self, connection: AsyncConnection, now_us: int) -> None:
        self._connection = connection
        self._now_us = now_us

    async def gone(self) -> list[Told]:
        """Return the end of what is in use, and not in the inventory any more."""
        same = and_(
            things.c.account == usage.c.account,
            things.c.collection == usage.c.collection,
            things.c.id == usage.c.thing_id,
        )
        listed = select(polls.c.account).where(
            polls.c.account == usage.c.account,
            polls.c.collection == usage.c.collection,
            polls.c.ok_us.is_not(None),
        )
        known = select(accounts.c.id).where(accounts.c.id == usage.c.account)
        wish = select(usage.c.account, usage.c.collection, usage.c.thing_id).where(
            usage.c.until_s == OPEN_S,
            or_(
                and_(
                    usage.c.collection.in_(list(METERED)),
                    ~select(things.c.id).where(same).exists(),
                    listed.exists(),
                ),
                ~known.exists(),
            ),
        )
        rows = await self._connection.execute(wish)
        return [Told(*row, self._now_us, None, None) for row in rows]

    async def new(self, *, whole: bool) -> AsyncIterator[list[Told]]:
        """Yield what is in the inventory and not in use, or all of it, some at a time."""
        same = and_(
            usage.c.account == things.c.account,
            usage.c.collection == things.c.collection,
            usage.c.thing_id == things.c.id,
            usage.c.until_s == OPEN_S,
        )
        wish = select(things).where(things.c.collection.in_(list(METERED)))
        if not whole:
            # The sizes of its hardware profile may have become known after it.
            unsized = select(usage.c.id).join(series, series.c.id == usage.c.series)
            unsized = unsized.where(same, series.c.collection == "instances", series.c.vcpus == 0)
            wish = wish.where(or_(~select(usage.c.id).where(same).exists(), unsized.exists()))
        place = tuple_(things.c.account, things.c.collection, things.c.id)
        wish = wish.order_by(things.c.account, things.c.collection, things.c.id).limit(BATCH)
        after = ("", "", "")
        sizes: dict[str, Capacities] = {}
        while True:
            rows = (await self._connection.execute(wish.where(place > after))).all()
            for account in {row.account for row in rows} - set(sizes):
                sizes[account] = await capacities(self._connection, account)
            yield [_known(row, sizes[row.account]) for row in rows]
            if len(rows) < BATCH:
                return
            after = (rows[-1].account, rows[-1].collection, rows[-1].id)

    async def owned(self) -> tuple[list[Any], list[Told]]:
        """Return what is in use and belongs to another than was known.

        What was made for its tenant was its own from the beginning: rows of `usage`, to be given to
        it. What a tenant got later is its own from now on.
        """
        wish = (
            select(usage, holdings.c.created_us.label("held_us"), things.c.body)
            .join(series, series.c.id == usage.c.series)
            .join(
                holdings,
                and_(
                    holdings.c.account == usage.c.account,
                    holdings.c.collection == usage.c.collection,
                    holdings.c.thing_id == usage.c.thing_id,
                    holdings.c.state != "released",
                ),
            )
            .join(
                things,
                and_(
                    things.c.account == usage.c.account,
                    things.c.collection == usage.c.collection,
                    things.c.id == usage.c.thing_id,
                ),
            )
            .where(usage.c.until_s == OPEN_S, holdings.c.tenant != series.c.tenant)
        )
        meant: list[Any] = []
        later: list[Told] = []
        for row in await self._connection.execute(wish):
            if row.held_us <= (row.begin_s + 1) * SECOND_US:
                meant.append(row)
                continue
            sizes = await capacities(self._connection, row.account)
            seen_ = seen(row.collection, row.body, sizes)
            place = (row.account, row.collection, row.thing_id)
            later.append(Told(*place, self._now_us, seen_, None))
        return meant, later


def _known(row: Any, capacities: Capacities) -> Told:
    """Return what the inventory tells of a thing."""
    seen_ = seen(row.collection, row.body, capacities)
    return Told(row.account, row.collection, row.id, row.changed_us, seen_, None, appeared=True)


async def capacities(connection: AsyncConnection, account: str) -> Capacities:
    """Return what the hardware profiles of an account give."""
    wish = select(things.c.id, things.c.body).where(
        things.c.account == account, things.c.collection == "hardware_profiles"
    )
    return {row.id: capacity(row.body) for row in await connection.execute(wish)}
