"""What differs between what is in use and the inventory, where no event told it."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Select, and_, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from nimbi.store.intervals import SECOND_US
from nimbi.store.metered import METERED, Capacities, Seen, capacity, seen
from nimbi.store.schema import OPEN_S, accounts, bills, holdings, polls, series, things, usage

# Things that are looked at together.
BATCH = 500
# How far apart a cloud's clock and ours may be.
APART_S = 5


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

    async def owned(self) -> list[Told]:
        """Return what is in use, and a tenant got later: it is its own from now on."""
        here = (things.c.account, things.c.collection, things.c.id)
        thing = zip(here, (usage.c.account, usage.c.collection, usage.c.thing_id), strict=True)
        wish = _held(usage, things.c.body).join(things, and_(*(a == b for a, b in thing)))
        wish = wish.where(usage.c.until_s == OPEN_S, holdings.c.state != "released")
        found: list[Told] = []
        for row in await self._connection.execute(wish):
            sizes = await capacities(self._connection, row.account)
            seen_ = seen(row.collection, row.body, sizes)
            place = (row.account, row.collection, row.thing_id)
            found.append(Told(*place, self._now_us, seen_, None))
        return found

    async def meant(self, since_us: int) -> Sequence[Any]:
        """Return what was metered before it was known whose it is, as rows of `usage`.

        A list may show a thing before the answer to the request that made it has come. The tenant
        that it was made for had it from the beginning: `tenant` and `path` of each row tell which
        it is. What was held before `since_us` and has ended is not looked at, and what is in a bill
        stays as it is there.
        """
        billed = select(func.coalesce(func.max(bills.c.usage_id), 0)).scalar_subquery()
        wish = _held(usage, holdings.c.tenant, holdings.c.path).where(
            usage.c.id > billed,
            holdings.c.created_us <= (usage.c.begin_s + APART_S) * SECOND_US,
            or_(
                holdings.c.released_us.is_(None),
                holdings.c.released_us > usage.c.begin_s * SECOND_US,
            ),
        )
        is_new = holdings.c.held_us >= since_us
        wishes = (wish.where(usage.c.until_s == OPEN_S), wish.where(is_new))
        # An id may be used again: the last that had it at that time is whose it is.
        found = [row for each in wishes for row in await self._connection.execute(each)]
        return sorted(found, key=lambda row: row.held_since_us)


def _held(*columns: Any) -> Select[Any]:
    """Return the question for what is metered as another tenant's than the one that holds it."""
    place = (
        holdings.c.account == usage.c.account,
        holdings.c.collection == usage.c.collection,
        holdings.c.thing_id == usage.c.thing_id,
    )
    wish = select(*columns, holdings.c.created_us.label("held_since_us"))
    wish = wish.select_from(usage).join(series, series.c.id == usage.c.series)
    return wish.join(holdings, and_(*place)).where(holdings.c.tenant != series.c.tenant)


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
