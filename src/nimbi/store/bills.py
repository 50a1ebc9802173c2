"""Bills: what each tenant owes for a month, as it was found once and for all."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import select

from nimbi.model.errors import NotFound
from nimbi.model.metering import Bill, Charge
from nimbi.store.database import Database
from nimbi.store.moments import moment, stored
from nimbi.store.schema import bills

SECOND_US = 1_000_000
LINES = msgspec.json.Decoder(tuple[Charge, ...])
HEAD = [column for column in bills.columns if column.name != "lines"]
# Rows of one statement.
BATCH = 500


class BillStore:
    """The bills, one row a tenant, month, time zone and currency."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, made: Sequence[tuple[Bill, str]], newest: int) -> None:
        """Keep bills, each with its tenant's path, all or none; of one there is already the old."""
        async with self._database.writing() as connection:
            for at in range(0, len(made), BATCH):
                rows = [_row(bill, path, newest) for bill, path in made[at : at + BATCH]]
                new = self._database.insert(bills).on_conflict_do_nothing()
                await connection.execute(new, rows)

    async def page(
        self, *, tenant: str | None, month: str | None, after: str, limit: int
    ) -> tuple[Bill, ...]:
        """Return up to `limit` bills without their lines, after an id; a tenant's and those below.

        They are in the order of their ids.
        """
        wish = select(*HEAD).where(bills.c.id > after)
        if tenant is not None:
            wish = wish.where(bills.c.path.contains(f"/{tenant}/", autoescape=True))
        if month is not None:
            wish = wish.where(bills.c.month == month)
        async with self._database.reading() as connection:
            rows = await connection.execute(wish.order_by(bills.c.id).limit(limit))
            return tuple(_bill(row, ()) for row in rows)

    async def get(self, id: str) -> tuple[Bill, str, int]:
        """Return a bill, its tenant's path, and the last interval it knew. Raises NotFound."""
        async with self._database.reading() as connection:
            row = (await connection.execute(select(bills).where(bills.c.id == id))).first()
        if row is None:
            raise NotFound(f"there is no bill {id!r}")
        return _bill(row, LINES.decode(row.lines)), row.path, row.usage_id

    async def has(self, month: str, zone: str) -> bool:
        """Return whether there are bills of a month."""
        wish = select(bills.c.id).where(bills.c.month == month, bills.c.zone == zone).limit(1)
        async with self._database.reading() as connection:
            return (await connection.execute(wish)).first() is not None


def _row(bill: Bill, path: str, newest: int) -> dict[str, Any]:
    return {
        "id": bill.id,
        "tenant": bill.tenant,
        "path": path,
        "month": bill.month,
        "zone": bill.zone,
        "currency": bill.currency,
        "begin_s": stored(bill.begin) // SECOND_US,
        "until_s": stored(bill.until) // SECOND_US,
        "total": f"{bill.total:f}",
        "lines": msgspec.json.encode(bill.lines),
        "usage_id": newest,
        "made_us": stored(bill.made_at),
    }


def _bill(row: Any, lines: tuple[Charge, ...]) -> Bill:
    return Bill(
        id=row.id,
        tenant=row.tenant,
        month=row.month,
        zone=row.zone,
        begin=moment(row.begin_s * SECOND_US),
        until=moment(row.until_s * SECOND_US),
        currency=row.currency,
        total=Decimal(row.total),
        made_at=moment(row.made_us),
        lines=lines,
    )
