"""Metering and money: what was used, what a unit of it costs, what is owed, what may be spent."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

import msgspec

from nimbi.model.people import ROOT
from nimbi.model.resource import NewResource

LONGEST = 200
Short = Annotated[str, msgspec.Meta(max_length=LONGEST)]
Currency = Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")]


class Meter(StrEnum):
    """What is counted: time that something is there, or bytes that passed.

    An instance has a meter for the time that it runs and one for the time that it is stopped; its
    vCPUs and memory count while it runs.
    """

    RUNNING = "instances.running"
    STOPPED = "instances.stopped"
    VCPUS = "vcpus"
    MEMORY = "memory"
    VOLUMES = "volumes"
    SNAPSHOTS = "snapshots"
    ADDRESSES = "addresses"
    BLOBS = "blobs"
    TRAFFIC_IN = "traffic.in"
    TRAFFIC_OUT = "traffic.out"


class PriceUnit(StrEnum):
    """What a price is for: one thing or vCPU or GiB for an hour or a month of 730, one GiB."""

    HOUR = "hour"
    MONTH = "month"
    GIB = "gib"


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """A time in which a thing was used in one way, in whole seconds; no `until` is until now.

    `amount` is 1 of an instance or address, MiB of what has a size, bytes of traffic, which counts
    in its first second. `tenant` is whose it was then. A thing that is not in use has no meter.
    """

    id: int
    account: str
    collection: str
    thing_id: str
    name: str | None
    told_at: datetime
    begin: datetime
    until: datetime | None
    tenant: str | None
    state: str | None
    kind: str | None
    realm_id: str | None
    amount: int
    vcpus: int
    memory_mib: int
    tags: Mapping[str, str] = {}
    event_id: int | None = None


class NewPrice(NewResource, frozen=True, kw_only=True):
    """What a unit of a meter costs from a time on. What is not told fits any.

    `kind` is a hardware profile or a kind of volume. Without `valid_from` it holds since ever, or,
    where another one for the same holds, from now on.
    """

    meter: Meter
    amount: Decimal
    currency: Currency
    unit: PriceUnit = PriceUnit.HOUR
    account: Short | None = None
    kind: Short | None = None
    realm_id: Short | None = None
    valid_from: datetime | None = None
    valid_until: datetime | None = None


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """A price; of several that fit the one that names more holds, then the one that began last.

    `source` is `api`, `csv` or `ec2`, `origin` the file or URL, `published_at` what that says of
    its age. One that was ended charges what is used until then.
    """

    id: str
    meter: Meter
    amount: Decimal
    currency: str
    unit: PriceUnit
    account: str | None
    kind: str | None
    realm_id: str | None
    valid_from: datetime | None
    valid_until: datetime | None
    source: str
    origin: str | None
    published_at: datetime | None
    created_at: datetime


class NewPrices(NewResource, frozen=True, kw_only=True):
    """Many prices at once: all of them are kept or none; `csv` is a table with a line of titles.

    `origin` is where they come from, for people.
    """

    prices: tuple[NewPrice, ...] = ()
    csv: str | None = None
    source: Annotated[str, msgspec.Meta(pattern="^(api|csv|ec2)$")] = "api"
    origin: Short | None = None
    published_at: datetime | None = None


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """How many prices were new, and how many were known already, from the same time on or so."""

    added: int
    unchanged: int


class Charge(msgspec.Struct, frozen=True, kw_only=True):
    """What was used of one meter, and what it costs; no `amount` where no price fits.

    `quantity` is in hours, GiB hours, vCPU hours or GiB, as `unit` says, rounded half up to six
    decimals, and so is `amount`.
    """

    tenant: str
    account: str
    meter: Meter
    kind: str | None
    realm_id: str | None
    quantity: Decimal
    unit: str
    price: Decimal | None = None
    price_unit: PriceUnit | None = None
    price_id: str | None = None
    currency: str | None = None
    amount: Decimal | None = None


class ReportRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of a report: `key` has what was asked for `by`, in that order."""

    key: tuple[str, ...]
    quantity: Decimal | None
    unit: str | None
    currency: str | None
    amount: Decimal
    unpriced: int


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What was used and what it costs, from a time until another, by what was asked for.

    `known_until` is up to when what happened in the clouds has been taken in. `unpriced` of a row
    is how many of its charges have no price: they cost nothing here, and somebody pays for them.
    """

    begin: datetime
    until: datetime
    zone: str
    by: tuple[str, ...]
    rows: tuple[ReportRow, ...]
    known_until: datetime | None


class NewBills(NewResource, frozen=True, kw_only=True):
    """Make the bills of all tenants for a month (`2030-03`), as clocks in a time zone have it."""

    month: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$")]
    zone: Short = "UTC"


class Bill(msgspec.Struct, frozen=True, kw_only=True):
    """What one tenant owes for a month in one currency; it never changes.

    `total` is the sum of the lines' amounts, rounded half up to what the currency's coins can pay.
    """

    id: str
    tenant: str
    month: str
    zone: str
    begin: datetime
    until: datetime
    currency: str
    total: Decimal
    made_at: datetime
    lines: tuple[Charge, ...] = ()


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """A bill made again from what was told of each thing, and where it differs from the stored.

    `differences` are lines for people, and none when both are the same.
    """

    bill: str
    total: Decimal
    recomputed: Decimal
    differences: tuple[str, ...]


class NewBudget(NewResource, frozen=True, kw_only=True):
    """How much a tenant, and all below it together, may spend in a month.

    It is told (event, webhook) when so many percent are spent; `stops_launches` refuses to make
    anything more when all of it is.
    """

    tenant: str = ROOT
    amount: Decimal
    currency: Currency
    zone: Short = "UTC"
    warn_at: tuple[Annotated[int, msgspec.Meta(ge=1, le=1000)], ...] = (50, 80, 100)
    stops_launches: bool = False


class BudgetChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be different; what is not told stays."""

    amount: Decimal | None = None
    warn_at: tuple[Annotated[int, msgspec.Meta(ge=1, le=1000)], ...] | None = None
    stops_launches: bool | None = None


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """A budget, and what was spent of it in the month, as it was found at `spent_at`.

    `owner` is the tenant that set it. `warned` is the highest of `warn_at` that was told.
    """

    id: str
    tenant: str
    owner: str
    amount: Decimal
    currency: str
    zone: str
    warn_at: tuple[int, ...]
    stops_launches: bool
    created_at: datetime
    month: str | None = None
    spent: Decimal = Decimal(0)
    spent_at: datetime | None = None
    warned: int = 0

    @property
    def is_spent(self) -> bool:
        """Whether all of it is spent."""
        return self.spent >= self.amount
