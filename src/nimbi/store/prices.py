"""Prices: what a unit of each meter costs, from when on, and who said so."""

import secrets
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from nimbi.model.errors import NotFound
from nimbi.model.metering import Imported, Meter, NewPrice, Price, PriceUnit
from nimbi.store.database import Database
from nimbi.store.moments import moment, moment_or_none, stored, stored_or_none
from nimbi.store.schema import OPEN_S, prices

SECOND_US = 1_000_000
Key = tuple[str, str, str, str]


class PriceStore:
    """The prices. None is ever changed but in when it ends: what was charged can be told again."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(
        self,
        new: Sequence[NewPrice],
        at: datetime,
        *,
        source: str,
        origin: str | None,
        published_at: datetime | None,
    ) -> Imported:
        """Keep prices, all of them or none; one that says what holds already is left out."""
        added: list[dict[str, Any]] = []
        async with self._database.writing() as connection:
            await self._database.locked(connection, "prices")
            known = await _holding(connection, {one.account or "" for one in new}, stored(at))
            for one in new:
                before = known.get(_key(one))
                if before is not None and _is_same(before, one):
                    continue
                row = _row(one, at, is_first=before is None) | {
                    "source": source,
                    "origin": origin or "",
                    "published_us": stored_or_none(published_at),
                }
                added.append(row)
                known[_key(one)] = row
            if added:
                await connection.execute(insert(prices), added)
        return Imported(added=len(added), unchanged=len(new) - len(added))

    async def page(
        self, *, account: str | None, meter: str | None, after: str, limit: int
    ) -> tuple[Price, ...]:
        """Return up to `limit` prices after an id, those of an account or a meter when named."""
        wish = select(prices).where(prices.c.id > after)
        if account is not None:
            wish = wish.where(prices.c.account.in_((account, "")))
        if meter is not None:
            wish = wish.where(prices.c.meter == meter)
        async with self._database.reading() as connection:
            rows = await connection.execute(wish.order_by(prices.c.id).limit(limit))
            return tuple(_price(row) for row in rows)

    async def all(self, known_at: datetime | None = None) -> tuple[Price, ...]:
        """Return all prices, in the order in which they were made; those known at a time."""
        wish = select(prices)
        if known_at is not None:
            wish = wish.where(prices.c.created_us <= stored(known_at))
        async with self._database.reading() as connection:
            rows = await connection.execute(wish.order_by(prices.c.created_us, prices.c.id))
            return tuple(_price(row, known_at) for row in rows)

    async def get(self, id: str) -> Price:
        """Return one. Raises NotFound."""
        async with self._database.reading() as connection:
            row = (await connection.execute(select(prices).where(prices.c.id == id))).first()
        if row is None:
            raise NotFound(f"there is no price {id!r}")
        return _price(row)

    async def end(self, id: str, at: datetime) -> None:
        """Let a price hold no longer; what was used before is charged by it. Raises NotFound."""
        at_s = stored(at) // SECOND_US
        change = update(prices).where(prices.c.id == id, prices.c.until_s > at_s)
        async with self._database.writing() as connection:
            known = await connection.execute(select(prices.c.id).where(prices.c.id == id))
            if known.first() is None:
                raise NotFound(f"there is no price {id!r}")
            await connection.execute(change.values(until_s=at_s, ended_us=stored(at)))


async def _holding(
    connection: AsyncConnection, accounts: set[str], at_us: int
) -> dict[Key, dict[str, Any]]:
    """Return what holds now, by what it is for."""
    at_s = at_us // SECOND_US
    wish = select(prices).where(
        prices.c.account.in_(accounts), prices.c.from_s <= at_s, prices.c.until_s > at_s
    )
    rows = await connection.execute(wish.order_by(prices.c.from_s, prices.c.created_us))
    return {(r.account, r.meter, r.kind, r.realm): dict(r._mapping) for r in rows}  # noqa: SLF001


def _key(new: NewPrice) -> Key:
    return (new.account or "", new.meter.value, new.kind or "", new.realm_id or "")


def _is_same(before: dict[str, Any], new: NewPrice) -> bool:
    """Return whether a price that holds says the same already."""
    asked = (new.unit.value, new.currency, _seconds(new.valid_until, OPEN_S))
    told = (before["unit"], before["currency"], before["until_s"])
    from_s = _seconds(new.valid_from, before["from_s"])
    return asked == told and Decimal(before["amount"]) == new.amount and before["from_s"] <= from_s


def _row(new: NewPrice, at: datetime, *, is_first: bool) -> dict[str, Any]:
    account, meter, kind, realm = _key(new)
    return {
        "id": f"pr_{secrets.token_hex(8)}",
        "account": account,
        "meter": meter,
        "kind": kind,
        "realm": realm,
        "amount": f"{new.amount:f}",
        "unit": new.unit.value,
        "currency": new.currency,
        "from_s": _seconds(new.valid_from, 0 if is_first else stored(at) // SECOND_US),
        "until_s": _seconds(new.valid_until, OPEN_S),
        "created_us": stored(at),
    }


def _seconds(at: datetime | None, otherwise: int) -> int:
    return otherwise if at is None else stored(at) // SECOND_US


def _price(row: Any, known_at: datetime | None = None) -> Price:
    until_s = row.until_s
    if known_at is not None and row.ended_us is not None and row.ended_us > stored(known_at):
        # It was ended later.
        until_s = OPEN_S
    return Price(
        id=row.id,
        meter=Meter(row.meter),
        amount=Decimal(row.amount),
        currency=row.currency,
        unit=PriceUnit(row.unit),
        account=row.account or None,
        kind=row.kind or None,
        realm_id=row.realm or None,
        valid_from=moment(row.from_s * SECOND_US) if row.from_s else None,
        valid_until=None if until_s == OPEN_S else moment(until_s * SECOND_US),
        source=row.source,
        origin=row.origin or None,
        published_at=moment_or_none(row.published_us),
        created_at=moment(row.created_us),
    )
