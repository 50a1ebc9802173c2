"""Charges: what was used, times what it costs, in decimals and with stated rounding."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import ROUND_HALF_UP, Context, Decimal
from itertools import pairwise
from typing import NamedTuple

from nimbi.model.metering import Charge, Meter, Price, PriceUnit
from nimbi.store.metered import TRAFFIC_IN, TRAFFIC_OUT
from nimbi.store.usage import Series

# Enough for any month's seconds times any price without rounding before the end.
EXACT = Context(prec=60)
# What quantities and amounts of charges are rounded to, half up; all the sums are of those.
FINE = Decimal("0.000001")
# Digits of the smallest coin, where they are not two. Source: ISO 4217, list one.
COINS: Mapping[str, int] = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF"), 0),
    **dict.fromkeys(("UGX", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}
# A bill of what has no price at all is in no currency (ISO 4217).
NO_CURRENCY = "XXX"

HOUR_S = 3600
# So that a month's price costs the same in February.
HOURS_PER_MONTH = 730
MIB_PER_GIB = 1024
GIB = 2**30


class Scale(NamedTuple):
    """How a meter's sum becomes what people read: what to divide it by, and the unit's name."""

    divisor: int
    unit: str


TIME = Scale(HOUR_S, "hours")
SIZE = Scale(HOUR_S * MIB_PER_GIB, "GiB hours")
SCALES: Mapping[Meter, Scale] = {
    Meter.RUNNING: TIME,
    Meter.STOPPED: TIME,
    Meter.VCPUS: Scale(HOUR_S, "vCPU hours"),
    Meter.MEMORY: SIZE,
    Meter.VOLUMES: SIZE,
    Meter.SNAPSHOTS: SIZE,
    Meter.ADDRESSES: TIME,
    Meter.BLOBS: SIZE,
    Meter.TRAFFIC_IN: Scale(GIB, "GiB"),
    Meter.TRAFFIC_OUT: Scale(GIB, "GiB"),
}
PASSING = frozenset({Meter.TRAFFIC_IN, Meter.TRAFFIC_OUT})

METERS: Mapping[tuple[str, str], Meter] = {
    ("instances", "running"): Meter.RUNNING,
    ("instances", "stopped"): Meter.STOPPED,
    ("volumes", ""): Meter.VOLUMES,
    ("snapshots", ""): Meter.SNAPSHOTS,
    ("addresses", ""): Meter.ADDRESSES,
    ("blobs", ""): Meter.BLOBS,
    (TRAFFIC_IN, ""): Meter.TRAFFIC_IN,
    (TRAFFIC_OUT, ""): Meter.TRAFFIC_OUT,
}


class Use(NamedTuple):
    """How much of a meter was used, in its smallest unit, and the price that it has, if any."""

    meter: Meter
    total: int
    price: Price | None


class Line(NamedTuple):
    """What the charges of one line have in common."""

    tenant: str
    account: str
    meter: Meter
    kind: str
    realm: str
    price: str


class PriceBook:
    """Which price holds for what, at one time.

    Of several the one that names the account comes before one that names the kind, and that before
    one that names the realm; of those alike the one that began last, or was told last.
    """

    def __init__(self, prices: Iterable[Price]) -> None:
        self._by_key: dict[tuple[str, Meter, str, str], list[Price]] = defaultdict(list)
        self._found: dict[tuple[str, Meter, str, str, int], Price | None] = {}
        for price in prices:
            key = (price.account or "", price.meter, price.kind or "", price.realm_id or "")
            self._by_key[key].append(price)
        for several in self._by_key.values():
            several.sort(key=lambda one: (_begin(one), one.created_at, one.id))

    def changes(self, begin_s: int, until_s: int) -> list[int]:
        """Return when prices begin or end within a time; that is where sums are to be cut."""
        moments = {
            moment
            for several in self._by_key.values()
            for price in several
            for moment in (_begin(price), _end(price))
            if moment is not None and begin_s < moment < until_s
        }
        return sorted(moments)

    def find(self, account: str, meter: Meter, kind: str, realm: str, at_s: int) -> Price | None:
        """Return the price that holds at a time, None when there is none."""
        place = (account, meter, kind, realm, at_s)
        if place not in self._found:
            self._found[place] = self._looked_up(account, meter, kind, realm, at_s)
        return self._found[place]

    def uses(self, of: Series, total: int, at_s: int) -> list[Use]:
        """Return what a sum counts for, by meter.

        An instance is charged by its profile where that has a price, and else by its vCPUs and
        memory where these have; never by both.
        """
        meter = METERS[of.collection, of.state]
        price = self.find(of.account, meter, of.kind, of.realm, at_s)
        whole = Use(meter, total, price)
        if meter is not Meter.RUNNING or price is not None:
            return [whole]
        parts = [
            Use(part, total * count, found)
            for part, count in ((Meter.VCPUS, of.vcpus), (Meter.MEMORY, of.memory_mib))
            if (found := self.find(of.account, part, of.kind, of.realm, at_s)) is not None
        ]
        return parts or [whole]

    def _looked_up(
        self, account: str, meter: Meter, kind: str, realm: str, at_s: int
    ) -> Price | None:
        for told in dict.fromkeys((account, "")):
            for sort in dict.fromkeys((kind, "")):
                for place in dict.fromkeys((realm, "")):
                    several = self._by_key.get((told, meter, sort, place), ())
                    for price in reversed(several):
                        if _holds(price, at_s):
                            return price
        return None


class Account:
    """Adds charges up by line; what it holds grows with the lines, not with the usage."""

    def __init__(self, book: PriceBook) -> None:
        self._book = book
        self._totals: dict[Line, int] = defaultdict(int)
        self._prices: dict[str, Price] = {}
        # The latest path of each tenant.
        self.paths: dict[str, str] = {}

    def add(self, of: Series, total: int, at_s: int) -> None:
        """Add a sum of a time in which no price changes, and which `at_s` is in."""
        self.paths[of.tenant] = of.path
        for use in self._book.uses(of, total, at_s):
            id = ""
            if use.price is not None:
                id = use.price.id
                self._prices[id] = use.price
            line = Line(of.tenant, of.account, use.meter, of.kind, of.realm, id)
            self._totals[line] += use.total

    def charges(self) -> list[tuple[Line, Charge]]:
        """Return all charges in order: tenant, account, meter, kind, realm, price."""
        return [
            (line, _charge(line, total, self._prices.get(line.price)))
            for line, total in sorted(self._totals.items())
            if total
        ]


def amount_of(meter: Meter, total: int, price: Price) -> Decimal:
    """Return what a total costs, rounded half up to six decimals."""
    divisor = SCALES[meter].divisor
    if price.unit is PriceUnit.MONTH:
        divisor *= HOURS_PER_MONTH
    exact = EXACT.divide(EXACT.multiply(Decimal(total), price.amount), Decimal(divisor))
    return exact.quantize(FINE, ROUND_HALF_UP, EXACT)


def quantity_of(meter: Meter, total: int) -> Decimal:
    """Return a total as people read it, rounded half up to six decimals."""
    exact = EXACT.divide(Decimal(total), Decimal(SCALES[meter].divisor))
    return exact.quantize(FINE, ROUND_HALF_UP, EXACT)


def payable(amounts: Iterable[Decimal], currency: str) -> Decimal:
    """Return the sum of amounts, rounded half up to the currency's smallest coin."""
    total = Decimal(0)
    for amount in amounts:
        total = EXACT.add(total, amount)
    return total.quantize(Decimal(1).scaleb(-COINS.get(currency, 2)), ROUND_HALF_UP, EXACT)


def fits(meter: Meter, unit: PriceUnit) -> bool:
    """Return whether a meter can have a price for such a unit: time for time, GiB for traffic."""
    return (unit is PriceUnit.GIB) == (meter in PASSING)


def cut(begin_s: int, until_s: int, at: Sequence[int]) -> list[tuple[int, int]]:
    """Return the pieces of a time between these moments."""
    return list(pairwise([begin_s, *at, until_s]))


def _charge(line: Line, total: int, price: Price | None) -> Charge:
    return Charge(
        tenant=line.tenant,
        account=line.account,
        meter=line.meter,
        kind=line.kind or None,
        realm_id=line.realm or None,
        quantity=quantity_of(line.meter, total),
        unit=SCALES[line.meter].unit,
        price=price.amount if price else None,
        price_unit=price.unit if price else None,
        price_id=price.id if price else None,
        currency=price.currency if price else None,
        amount=amount_of(line.meter, total, price) if price else None,
    )


def _begin(price: Price) -> int:
    return int(price.valid_from.timestamp()) if price.valid_from else 0


def _end(price: Price) -> int | None:
    return int(price.valid_until.timestamp()) if price.valid_until else None


def _holds(price: Price, at_s: int) -> bool:
    end = _end(price)
    return _begin(price) <= at_s and (end is None or at_s < end)
