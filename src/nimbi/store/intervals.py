"""Intervals of usage as they are written: each change of a thing ends one and begins the next."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import bindparam, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from nimbi.store.database import Database
from nimbi.store.metered import BLOBS, PASSING, TRAFFIC_IN, TRAFFIC_OUT, Facts, series_digest
from nimbi.store.schema import OPEN_S, accounts, holdings, plain, series, tenants, usage

SECOND_US = 1_000_000
# Ids in one question.
PAGE = 500


class Reading(NamedTuple):
    """What is to be kept of a change; no `facts`: the thing is not in use from then on.

    `since_us` is when the use began, as far as is known, when the thing was not in use before.
    """

    thing_id: str
    name: str
    at_us: int
    since_us: int
    facts: Facts | None
    event_id: int | None


@dataclass
class _Last:
    """The last interval of a thing; `id` is 0 of one that is not written yet."""

    id: int
    begin_s: int
    until_s: int
    series: bytes
    amount: int
    row: dict[str, Any] | None = None


class Owner(NamedTuple):
    """Whose a thing is, and the tenants from the root to it, each between slashes."""

    tenant: str
    path: str


NOTHING = b""
# Whose what is measured of a thing is: whoever holds the thing.
HELD_AS = {BLOBS: "buckets", TRAFFIC_IN: "instances", TRAFFIC_OUT: "instances"}


class Intervals:
    """What one transaction of the meter writes; nobody else writes intervals meanwhile."""

    def __init__(self, database: Database, connection: AsyncConnection, now_us: int) -> None:
        self._database = database
        self._connection = connection
        self._now_s = now_us // SECOND_US
        self._new: list[tuple[dict[str, Any], bytes]] = []
        self._ends: dict[int, int] = {}
        self._series: dict[bytes, dict[str, Any]] = {}

    async def take(self, account: str, collection: str, readings: Sequence[Reading]) -> None:
        """Take changes of one collection, in the order in which they were told."""
        ids = list(dict.fromkeys(plain(reading.thing_id) for reading in readings))
        last: dict[str, _Last] = {}
        owners: dict[str, Owner] = {}
        for at in range(0, len(ids), PAGE):
            some = ids[at : at + PAGE]
            if collection not in PASSING:
                last |= await self._last(account, collection, some)
            owners |= await self._held(account, collection, some)
        usual = await self._usual(account)
        for reading in readings:
            id = plain(reading.thing_id)
            owner = owners.get(id, usual)
            if collection in PASSING:
                self._pass(account, collection, reading, owner)
            else:
                last[id] = self._follow(account, collection, reading, owner, last.get(id))

    async def write(self, usage_id: int, series_id: int) -> tuple[int, int, int]:
        """Write all; return the last ids of usage and series, and how many intervals are new."""
        known, series_id = await self._interned(series_id)
        rows = []
        for row, digest in self._new:
            usage_id += 1
            rows.append(row | {"id": usage_id, "series": known[digest] if digest else 0})
        if rows:
            await self._connection.execute(insert(usage), rows)
        if self._ends:
            end = update(usage).where(usage.c.id == bindparam("row"))
            values = [{"row": id, "end": until} for id, until in self._ends.items()]
            await self._connection.execute(end.values(until_s=bindparam("end")), values)
        return usage_id, series_id, len(rows)

    async def amend(self, rows: Sequence[Any], series_id: int) -> int:
        """Give intervals to the tenants that had their things; return the last id of series.

        Each row is one of `usage`, with the `tenant` and the `path` that it is to have. Whatever
        is summed up or made anew of the intervals later has them so.
        """
        wanted: dict[int, bytes] = {}
        for row in rows:
            wish = select(series).where(series.c.id == row.series)
            of = (await self._connection.execute(wish)).one()
            facts = Facts(of.state, of.kind, of.realm, 1, of.vcpus, of.memory_mib, bytes(of.tags))
            owner = Owner(row.tenant, f"/{row.path.strip('/')}/")
            wanted[row.id] = self._digest(row.account, row.collection, owner, facts)
        known, series_id = await self._interned(series_id)
        for id, digest in wanted.items():
            change = update(usage).where(usage.c.id == id)
            await self._connection.execute(change.values(series=known[digest]))
        return series_id

    def _pass(self, account: str, collection: str, reading: Reading, owner: Owner) -> None:
        if reading.facts is None:
            return
        digest = self._digest(account, collection, owner, reading.facts)
        begin_s = reading.at_us // SECOND_US
        row = _row(account, collection, reading, begin_s, begin_s + 1, reading.facts.amount)
        self._new.append((row, digest))

    def _follow(
        self,
        account: str,
        collection: str,
        reading: Reading,
        owner: Owner,
        last: _Last | None,
    ) -> _Last:
        """Return the last interval of a thing after a change: the same one when nothing differs."""
        facts = reading.facts
        digest = self._digest(account, collection, owner, facts) if facts else NOTHING
        amount = facts.amount if facts else 0
        was_used = last is not None and last.series != NOTHING
        if last is not None and (last.series, last.amount) == (digest, amount):
            return last
        if last is None and facts is None:
            return _Last(0, 0, 0, NOTHING, 0)
        began_us = reading.at_us if was_used else reading.since_us
        # A clock that went back: nothing ends before it began, and nothing begins twice.
        begin_s = max(began_us // SECOND_US, last.begin_s if last else 0)
        until_s = OPEN_S if facts else begin_s
        if last is not None and last.until_s == OPEN_S:
            last.until_s = begin_s
            if last.row is not None:
                last.row["until_s"] = begin_s
            else:
                self._ends[last.id] = begin_s
        told = reading._replace(at_us=began_us)
        row = _row(account, collection, told, begin_s, until_s, amount)
        self._new.append((row, digest))
        return _Last(0, begin_s, until_s, digest, amount, row)

    def _digest(self, account: str, collection: str, owner: Owner, facts: Facts) -> bytes:
        digest = series_digest(owner.tenant, owner.path, account, collection, facts)
        if digest not in self._series:
            self._series[digest] = {
                "digest": digest,
                "tenant": owner.tenant,
                "path": owner.path,
                "account": account,
                "collection": collection,
                "state": facts.state,
                "kind": facts.kind,
                "realm": facts.realm,
                "vcpus": facts.vcpus,
                "memory_mib": facts.memory_mib,
                "tags": facts.tags,
            }
        return digest

    async def _interned(self, last_id: int) -> tuple[dict[bytes, int], int]:
        """Return the ids of all series that are needed, those that are new too."""
        digests = list(self._series)
        known: dict[bytes, int] = {}
        for at in range(0, len(digests), PAGE):
            wish = select(series.c.digest, series.c.id).where(
                series.c.digest.in_(digests[at : at + PAGE])
            )
            known |= {bytes(row.digest): row.id for row in await self._connection.execute(wish)}
        new = [digest for digest in digests if digest not in known]
        for id, digest in enumerate(new, last_id + 1):
            known[digest] = id
        if new:
            rows = [self._series[digest] | {"id": known[digest]} for digest in new]
            await self._connection.execute(insert(series), rows)
        return known, last_id + len(new)

    async def _last(self, account: str, collection: str, ids: list[str]) -> dict[str, _Last]:
        newest = (
            select(func.max(usage.c.id))
            .where(
                usage.c.account == account,
                usage.c.collection == collection,
                usage.c.thing_id.in_(ids),
            )
            .group_by(usage.c.thing_id)
        )
        wish = (
            select(usage, series.c.digest)
            .outerjoin(series, series.c.id == usage.c.series)
            .where(usage.c.id.in_(newest))
        )
        return {
            row.thing_id: _Last(
                row.id,
                row.begin_s,
                row.until_s,
                bytes(row.digest) if row.digest else NOTHING,
                row.amount,
            )
            for row in await self._connection.execute(wish)
        }

    async def _held(self, account: str, collection: str, ids: list[str]) -> dict[str, Owner]:
        wish = (
            select(holdings.c.thing_id, holdings.c.tenant, holdings.c.path)
            .where(
                holdings.c.account == account,
                holdings.c.collection == HELD_AS.get(collection, collection),
                holdings.c.thing_id.in_(ids),
            )
            .order_by(holdings.c.created_us)
        )
        return {
            row.thing_id: Owner(row.tenant, f"/{row.path.strip('/')}/")
            for row in await self._connection.execute(wish)
        }

    async def _usual(self, account: str) -> Owner:
        """Return whose things are that nobody holds: the account's own tenant."""
        wish = select(accounts.c.tenant, tenants.c.path).outerjoin(
            tenants, tenants.c.id == accounts.c.tenant
        )
        row = (await self._connection.execute(wish.where(accounts.c.id == account))).first()
        tenant = row.tenant if row else "root"
        path = (row.path if row else None) or tenant
        return Owner(tenant, f"/{path.strip('/')}/")


def _row(
    account: str, collection: str, reading: Reading, begin_s: int, until_s: int, amount: int
) -> dict[str, Any]:
    return {
        "account": account,
        "collection": collection,
        "thing_id": plain(reading.thing_id),
        "name": plain(reading.name),
        "at_us": reading.at_us,
        "begin_s": begin_s,
        "until_s": until_s,
        "amount": amount,
        "event_id": reading.event_id,
    }
