"""Prices as front ends use them."""

import time
from datetime import UTC, datetime

from nimbi.broker.metering.charges import HOUR_S, PriceBook, amount_of
from nimbi.broker.metering.price_csv import checked, prices_in
from nimbi.model.holdings import MILLION, Amounts
from nimbi.model.metering import Imported, Meter, NewPrice, NewPrices, Price
from nimbi.store.prices import PriceStore
from nimbi.store.usage import Series

# What another process has said of prices is known here so late at most.
AGE_S = 5.0
MIB = 2**20

METERS = {
    "instances": Meter.RUNNING,
    "volumes": Meter.VOLUMES,
    "addresses": Meter.ADDRESSES,
}


class Prices:
    """What a unit of each meter costs, by account."""

    def __init__(self, store: PriceStore) -> None:
        self._store = store
        self._book = PriceBook(())
        self._read_at = float("-inf")

    async def price_hour_micros(
        self, account: str, collection: str, kind: str | None, region: str | None, amounts: Amounts
    ) -> int | None:
        """Return what one thing costs an hour, in millionths, half of one rounded up.

        It is what would be charged while an instance runs; None when no price fits.
        """
        meter = METERS.get(collection)
        if meter is None:
            return None
        if time.monotonic() - self._read_at > AGE_S:
            self._book = PriceBook(await self._store.all())
            self._read_at = time.monotonic()
        size_mib = -(-amounts.volume_bytes // MIB) if meter is Meter.VOLUMES else 1
        series = Series(
            id=0,
            tenant="",
            path="",
            account=account,
            collection=collection,
            state="running" if meter is Meter.RUNNING else "",
            kind=kind or "",
            realm=region or "",
            vcpus=amounts.vcpus,
            memory_mib=amounts.memory_mib,
            tags=b"{}",
        )
        uses = self._book.uses(series, HOUR_S * size_mib, int(time.time()))
        costs = [amount_of(use.meter, use.total, use.price) for use in uses if use.price]
        return int(sum(costs) * MILLION) if costs else None

    async def page(
        self, *, account: str | None, meter: Meter | None, after: str, limit: int
    ) -> tuple[Price, ...]:
        """Return prices after an id: of an account and those of all, of a meter, when named."""
        told = None if meter is None else meter.value
        return await self._store.page(account=account, meter=told, after=after, limit=limit)

    async def get(self, id: str) -> Price:
        """Return one. Raises NotFound."""
        return await self._store.get(id)

    def read(self, new: NewPrices) -> tuple[NewPrice, ...]:
        """Return the prices that are told, of the list and of the table. Raises Invalid."""
        told = new.prices if new.csv is None else (*new.prices, *prices_in(new.csv))
        return checked(told)

    async def add(self, prices: tuple[NewPrice, ...], new: NewPrices) -> Imported:
        """Keep prices that were read: all or none, those that hold already once."""
        self._read_at = float("-inf")
        return await self._store.add(
            prices,
            datetime.now(UTC),
            source="csv" if new.csv is not None else new.source,
            origin=new.origin,
            published_at=new.published_at,
        )

    async def end(self, id: str) -> None:
        """Let a price hold no longer from now on. Raises NotFound."""
        self._read_at = float("-inf")
        await self._store.end(id, datetime.now(UTC))
