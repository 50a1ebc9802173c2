"""Reports: what was used and what it costs, by whatever is asked for."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from zoneinfo import ZoneInfo

import msgspec

from nimbi.broker.metering.charges import (
    EXACT,
    SCALES,
    PriceBook,
    Use,
    amount_of,
    cut,
    quantity_of,
)
from nimbi.broker.metering.periods import days, moment, month, month_at, zone_of
from nimbi.model.errors import Invalid
from nimbi.model.metering import Meter, Price, Report, ReportRow
from nimbi.store.meters import MeterStore
from nimbi.store.prices import PriceStore
from nimbi.store.usage import EVERYTHING, Place, Series, UsageStore

TAG = "tag."
BY = ("tenant", "account", "meter", "kind", "realm", "day")
# Days of one report, if it is by days.
MOST_DAYS = 400
MOST_BY = 5
MOST_ROWS = 10_000

TAGS = msgspec.json.Decoder(dict[str, str])
# What has no such tag.
UNTAGGED = ""


@dataclass(frozen=True, kw_only=True)
class Question:
    """What a report is to tell. Without a month and times it is the present month until now.

    `tenant` stands for those below it too. `by` are words of BY, and `tag.NAME`.
    """

    month: str | None = None
    begin_s: int | None = None
    until_s: int | None = None
    zone: str = "UTC"
    place: Place = EVERYTHING
    by: tuple[str, ...] = ("tenant", "meter")


class Reports:
    """Makes reports; nothing of them is kept."""

    def __init__(self, usage: UsageStore, prices: PriceStore, meter: MeterStore) -> None:
        self._usage = usage
        self._prices = prices
        self._meter = meter

    async def make(self, question: Question) -> Report:
        """Return a report, up to now at most. Raises Invalid for what cannot be told."""
        zone = zone_of(question.zone)
        _check_by(question.by)
        begin_s, until_s = await self._period(question, zone)
        book = PriceBook(await self._prices.all())
        groups = _Groups(question.by)
        for day, first, last in _parts(question, begin_s, until_s, zone):
            for start, end in cut(first, last, book.changes(first, last)):
                async for series, total in self._usage.sums(start, end, question.place):
                    for use in book.uses(series, total, start):
                        groups.add(_key(question.by, series, use.meter, day), use)
        return Report(
            begin=moment(begin_s),
            until=moment(until_s),
            zone=question.zone,
            by=question.by,
            rows=groups.rows(),
            known_until=await self._meter.known_until(),
        )

    async def spent(self, tenant: str, currency: str, begin_s: int, until_s: int) -> Decimal:
        """Return what a tenant and those below spent in one currency, to six decimals."""
        book = PriceBook(await self._prices.all())
        totals: dict[tuple[Meter, str], int] = defaultdict(int)
        prices: dict[str, Price] = {}
        place = Place(tenant=tenant)
        for start, end in cut(begin_s, until_s, book.changes(begin_s, until_s)):
            async for series, total in self._usage.sums(start, end, place):
                for use in book.uses(series, total, start):
                    if use.price is not None and use.price.currency == currency:
                        prices[use.price.id] = use.price
                        totals[use.meter, use.price.id] += use.total
        return sum(
            (amount_of(meter, total, prices[id]) for (meter, id), total in totals.items()),
            Decimal(0),
        )

    async def _period(self, question: Question, zone: ZoneInfo) -> tuple[int, int]:
        now_s = await self._usage.now_s()
        told = (question.begin_s, question.until_s)
        if question.month is not None and told != (None, None):
            raise Invalid("a report is of a month or from a time until another, not both")
        if question.month is None and told == (None, None):
            begin_s, until_s = month(month_at(now_s, zone), zone)
        elif question.month is not None:
            begin_s, until_s = month(question.month, zone)
        else:
            until_s = now_s if question.until_s is None else question.until_s
            begin_s = until_s if question.begin_s is None else question.begin_s
        until_s = min(until_s, now_s)
        if begin_s >= until_s:
            raise Invalid("the report's time ends before it begins, or has not begun yet")
        return begin_s, until_s


class _Groups:
    def __init__(self, by: tuple[str, ...]) -> None:
        self._has_meter = "meter" in by
        self._totals: dict[tuple[tuple[str, ...], str | None, Meter, str], int] = defaultdict(int)
        self._prices: dict[str, Price] = {}

    def add(self, key: tuple[str, ...], use: Use) -> None:
        currency, id = None, ""
        if use.price is not None:
            currency, id = use.price.currency, use.price.id
            self._prices[id] = use.price
        self._totals[key, currency, use.meter, id] += use.total

    def rows(self) -> tuple[ReportRow, ...]:
        """Return a row a key and currency. Quantities of different meters are not added up."""
        quantities: dict[tuple[tuple[str, ...], str], int] = defaultdict(int)
        amounts: dict[tuple[tuple[str, ...], str], Decimal] = defaultdict(Decimal)
        unpriced: dict[tuple[tuple[str, ...], str], int] = defaultdict(int)
        meters: dict[tuple[tuple[str, ...], str], Meter] = {}
        for (key, currency, meter, id), total in self._totals.items():
            place = (key, currency or "")
            quantities[place] += total
            meters[place] = meter
            if currency is None:
                unpriced[place] += 1
            else:
                amount = amount_of(meter, total, self._prices[id])
                amounts[place] = EXACT.add(amounts[place], amount)
        if len(quantities) > MOST_ROWS:
            raise Invalid(f"this report has more than {MOST_ROWS} rows: ask for fewer things")
        return tuple(
            ReportRow(
                key=key,
                quantity=quantity_of(meters[key, currency], total) if self._has_meter else None,
                unit=SCALES[meters[key, currency]].unit if self._has_meter else None,
                currency=currency or None,
                amount=amounts[key, currency],
                unpriced=unpriced[key, currency],
            )
            for (key, currency), total in sorted(quantities.items())
        )


def _check_by(by: tuple[str, ...]) -> None:
    if not 1 <= len(by) <= MOST_BY or len(set(by)) < len(by):
        raise Invalid(f"a report is by 1 to {MOST_BY} different things")
    for name in by:
        if name not in BY and not (name.startswith(TAG) and len(name) > len(TAG)):
            raise Invalid(f"a report is by {', '.join(BY)} or {TAG}NAME, not {name[:60]!r}")


def _parts(
    question: Question, begin_s: int, until_s: int, zone: ZoneInfo
) -> list[tuple[str, int, int]]:
    if "day" not in question.by:
        return [("", begin_s, until_s)]
    if until_s - begin_s > MOST_DAYS * 86400:
        raise Invalid(f"a report by day has at most {MOST_DAYS} days")
    return list(days(begin_s, until_s, zone))


def _key(by: tuple[str, ...], series: Series, meter: Meter, day: str) -> tuple[str, ...]:
    told: Mapping[str, str] = {
        "tenant": series.tenant,
        "account": series.account,
        "meter": meter.value,
        "kind": series.kind,
        "realm": series.realm,
        "day": day,
    }
    tags = TAGS.decode(series.tags) if any(name.startswith(TAG) for name in by) else {}
    return tuple(
        tags.get(name.removeprefix(TAG), UNTAGGED) if name.startswith(TAG) else told[name]
        for name in by
    )
