"""Limits: which regions and sizes of an account tenants may use, and at which price."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Row, delete, select

from nimbi.model.holdings import Limit
from nimbi.store.database import Database
from nimbi.store.quotas import place_of
from nimbi.store.schema import limits

NAMES = msgspec.json.Decoder(tuple[str, ...])


class LimitStore:
    """The limits of all tenants, one a tenant and account."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, tenants: Sequence[str], account: str | None = None) -> tuple[Limit, ...]:
        """Return the limits of these tenants, on one account or on all, by tenant and account."""
        wish = select(limits).where(self._database.among(limits.c.tenant, tenants))
        if account is not None:
            wish = wish.where(limits.c.account == account)
        async with self._database.reading() as connection:
            rows = await connection.execute(wish.order_by(limits.c.tenant, limits.c.account))
            return tuple(_limit(row) for row in rows)

    async def set(self, limit: Limit) -> None:
        """Keep a limit instead of the one of the same tenant and account."""
        values = {
            "regions": _told(limit.regions),
            "sizes": _told(limit.sizes),
            "price_hour_micros": limit.price_hour_micros,
        }
        new = self._database.insert(limits).values(
            tenant=limit.tenant, account=limit.account, **values
        )
        key = [limits.c.tenant, limits.c.account]
        async with self._database.writing() as connection:
            await connection.execute(new.on_conflict_do_update(index_elements=key, set_=values))

    async def place(self, tenant: str) -> str:
        """Return what people call a tenant."""
        async with self._database.reading() as connection:
            return await place_of(connection, tenant)

    async def remove(self, tenant: str, account: str) -> bool:
        """Forget a limit; return whether there was one."""
        gone = delete(limits).where(limits.c.tenant == tenant, limits.c.account == account)
        async with self._database.writing() as connection:
            return (await connection.execute(gone)).rowcount > 0


def _told(names: tuple[str, ...] | None) -> bytes | None:
    return None if names is None else msgspec.json.encode(names)


def _limit(row: Row[Any]) -> Limit:
    return Limit(
        tenant=row.tenant,
        account=row.account,
        regions=None if row.regions is None else NAMES.decode(row.regions),
        sizes=None if row.sizes is None else NAMES.decode(row.sizes),
        price_hour_micros=row.price_hour_micros,
    )
