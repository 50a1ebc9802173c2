"""Bills: a month's charges of each tenant, kept, and made again to see that they are right."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import blake2b
from itertools import groupby

from nimbi.broker.metering.charges import (
    NO_CURRENCY,
    Account,
    Line,
    PriceBook,
    cut,
    payable,
)
from nimbi.broker.metering.periods import moment, month, zone_of
from nimbi.model.errors import Conflict
from nimbi.model.metering import Bill, Charge, Check, NewBills
from nimbi.store.bills import BillStore
from nimbi.store.meters import MeterStore
from nimbi.store.prices import PriceStore
from nimbi.store.usage import EVERYTHING, Place, UsageStore

# Differences that are told one by one.
MOST_TOLD = 100


class Bills:
    """The bills of all tenants."""

    def __init__(
        self, store: BillStore, usage: UsageStore, prices: PriceStore, meter: MeterStore
    ) -> None:
        self._store = store
        self._usage = usage
        self._prices = prices
        self._meter = meter

    async def make(self, new: NewBills) -> None:
        """Make and keep the bills of a month, once: made again they are what they were.

        Raises Invalid for what is no month or zone, Conflict for a month that is not over, or of
        whose end it is not known yet what happened in the clouds.
        """
        begin_s, until_s = month(new.month, zone_of(new.zone))
        if await self._store.has(new.month, new.zone):
            return
        known = await self._meter.known_until()
        if known is None or known.timestamp() < until_s:
            raise Conflict(f"{new.month} is not over, or not all that happened in it is known yet")
        # What is told later does not count: the bill can be made again from what it knew.
        made_at, newest = datetime.now(UTC), await self._usage.newest()
        account = await self._charged(begin_s, until_s, made_at)
        bills = [
            _bill(new, tenant, currency, (begin_s, until_s), lines, made_at)
            for tenant, currency, lines in _by_currency(account.charges())
        ]
        paths = account.paths
        await self._store.add([(bill, paths[bill.tenant]) for bill in bills], newest)

    async def page(
        self, *, tenant: str | None, month: str | None, after: str, limit: int
    ) -> tuple[Bill, ...]:
        """Return bills without their lines, of a tenant and those below when one is named."""
        return await self._store.page(tenant=tenant, month=month, after=after, limit=limit)

    async def get(self, id: str) -> tuple[Bill, str]:
        """Return a bill with its lines, and its tenant's path. Raises NotFound."""
        bill, path, _newest = await self._store.get(id)
        return bill, path

    async def check(self, id: str) -> Check:
        """Make a bill again from what was told of each thing, and compare. Raises NotFound.

        Nothing that was summed up or stored of the intervals' ends is used for it.
        """
        bill, _path, newest = await self._store.get(id)
        begin_s, until_s = int(bill.begin.timestamp()), int(bill.until.timestamp())
        book = PriceBook(await self._prices.all(bill.made_at))
        pieces = cut(begin_s, until_s, book.changes(begin_s, until_s))
        account = Account(book)
        place = Place(tenant=bill.tenant)
        rows = self._usage.recomputed(begin_s, until_s, place, newest)
        async for series, began_s, ended_s, amount in rows:
            if series.tenant != bill.tenant:
                continue
            for first, last in pieces:
                seconds = min(last, ended_s) - max(first, began_s)
                if seconds > 0:
                    account.add(series, seconds * amount, first)
        again: tuple[Charge, ...] = ()
        for _tenant, currency, lines in _by_currency(account.charges()):
            if currency == bill.currency:
                again = lines
        return Check(
            bill=id,
            total=bill.total,
            recomputed=_total(again, bill.currency),
            differences=tuple(_differences(bill.lines, again))[:MOST_TOLD],
        )

    async def _charged(self, begin_s: int, until_s: int, known_at: datetime) -> Account:
        book = PriceBook(await self._prices.all(known_at))
        account = Account(book)
        for first, last in cut(begin_s, until_s, book.changes(begin_s, until_s)):
            async for series, total in self._usage.sums(first, last, EVERYTHING):
                account.add(series, total, first)
        return account


def _by_currency(
    charges: Iterable[tuple[Line, Charge]],
) -> Iterable[tuple[str, str, tuple[Charge, ...]]]:
    """Yield each tenant's charges by currency; what has no price is with those of the first."""
    for tenant, those in groupby(charges, key=lambda pair: pair[0].tenant):
        found: dict[str, list[Charge]] = defaultdict(list)
        unpriced: list[Charge] = []
        for _, charge in those:
            (unpriced if charge.currency is None else found[charge.currency]).append(charge)
        if unpriced:
            found[min(found, default=NO_CURRENCY)] += unpriced
        for currency, lines in sorted(found.items()):
            yield tenant, currency, tuple(lines)


def _bill(
    new: NewBills,
    tenant: str,
    currency: str,
    period: tuple[int, int],
    lines: tuple[Charge, ...],
    made_at: datetime,
) -> Bill:
    # The same bill has the same id, whichever process makes it.
    told = "\0".join((new.month, new.zone, tenant, currency)).encode()
    return Bill(
        id=f"bill_{new.month}_{blake2b(told, digest_size=8).hexdigest()}",
        tenant=tenant,
        month=new.month,
        zone=new.zone,
        begin=moment(period[0]),
        until=moment(period[1]),
        currency=currency,
        total=_total(lines, currency),
        made_at=made_at,
        lines=lines,
    )


def _total(lines: Iterable[Charge], currency: str) -> Decimal:
    return payable((line.amount for line in lines if line.amount is not None), currency)


def _differences(kept: tuple[Charge, ...], again: tuple[Charge, ...]) -> Iterable[str]:
    before = {_key(charge): charge for charge in kept}
    after = {_key(charge): charge for charge in again}
    for key in sorted(before.keys() | after.keys()):
        one, other = before.get(key), after.get(key)
        if one != other:
            yield f"{' '.join(filter(None, key))}: stored {_told(one)}, recomputed {_told(other)}"


def _key(charge: Charge) -> tuple[str, ...]:
    told = (charge.kind or "", charge.realm_id or "", charge.price_id or "")
    return (charge.account, charge.meter.value, *told)


def _told(charge: Charge | None) -> str:
    if charge is None:
        return "nothing"
    return f"{charge.quantity} {charge.unit} for {charge.amount or 'no price'}"
