"""Prices that EC2 publishes: its offer file of one region, read line by line."""

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation

from nimbi.model.errors import Invalid
from nimbi.model.metering import Meter, NewPrice, PriceUnit

# Source of place and form: "Getting AWS service price list files with the AWS Price List Bulk API",
# https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/using-ppslong.html
PLACE = "https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws/AmazonEC2/current/{}/index.csv"

# The file begins with lines of a name and a value; the line of titles begins with this.
FIRST_TITLE = "SKU"
PUBLISHED = "Publication Date"
MOST_HEAD = 20
COLUMNS = ("TermType", "Unit", "PricePerUnit", "Currency", "Product Family", "Region Code")

Row = Mapping[str, str]

# An instance as it is started by the hour: on nobody's own machine, with an operating system that
# costs nothing more. What is reserved and not used has other rows.
PLAIN = {
    "Product Family": "Compute Instance",
    "Tenancy": "Shared",
    "Operating System": "Linux",
    "Pre Installed S/W": "NA",
    "CapacityStatus": "Used",
    "Unit": "Hrs",
}
GB_MONTH = "GB-Mo"


class Offers:
    """One offer file. `published_at` and `version` are known once the first price was read."""

    def __init__(self, lines: Iterable[str], *, account: str, region: str | None = None) -> None:
        """Read from lines, which need not be in memory; prices are for `account`.

        With a region only its prices are read: where a file has several.
        """
        self._lines = iter(lines)
        self._account = account
        self._region = region
        self.published_at: datetime | None = None

    def prices(self) -> Iterator[NewPrice]:
        """Yield the prices on demand of instances, volumes, snapshots and idle addresses.

        Raises Invalid for what is no offer file.
        """
        try:
            rows = csv.reader(self._lines)
            titles = self._head(rows)
            for cells in rows:
                price = self._price(dict(zip(titles, cells, strict=False)))
                if price is not None:
                    yield price
        except csv.Error as error:
            raise Invalid(f"this is no offer file: {error}") from error

    def _head(self, rows: Iterator[list[str]]) -> list[str]:
        for _, cells in zip(range(MOST_HEAD), rows, strict=False):
            if cells and cells[0].lstrip("\ufeff") == FIRST_TITLE:
                if missing := set(COLUMNS) - set(cells):
                    raise Invalid(f"this offer file lacks {', '.join(sorted(missing))}")
                return cells
            if len(cells) == 2 and cells[0].lstrip("\ufeff") == PUBLISHED:
                self.published_at = _moment(cells[1])
        raise Invalid("this is no offer file: it has no line of titles")

    def _price(self, row: Row) -> NewPrice | None:
        if row.get("TermType") != "OnDemand":
            return None
        if self._region is not None and row.get("Region Code") != self._region:
            return None
        found = next((found for kind in KINDS if (found := kind(row)) is not None), None)
        if found is None:
            return None
        meter, unit, kind = found
        try:
            amount = Decimal(row["PricePerUnit"])
        except InvalidOperation as error:
            raise Invalid(f"{row['PricePerUnit'][:40]!r} is no price") from error
        if not amount:
            return None
        return NewPrice(
            meter=meter,
            amount=amount.normalize(),
            currency=row["Currency"],
            unit=unit,
            account=self._account,
            kind=kind,
        )


Found = tuple[Meter, PriceUnit, str | None]


def _instance(row: Row) -> Found | None:
    is_plain = all(row.get(name) == value for name, value in PLAIN.items())
    return (Meter.RUNNING, PriceUnit.HOUR, row.get("Instance Type")) if is_plain else None


def _volume(row: Row) -> Found | None:
    kind = row.get("Volume API Name")
    is_volume = row.get("Product Family") == "Storage" and row.get("Unit") == GB_MONTH
    return (Meter.VOLUMES, PriceUnit.MONTH, kind) if is_volume and kind else None


def _snapshot(row: Row) -> Found | None:
    of = row.get("usageType", "").rpartition("EBS:")[2]
    is_snapshot = row.get("Product Family") == "Storage Snapshot" and of == "SnapshotUsage"
    fits = is_snapshot and row.get("Unit") == GB_MONTH
    return (Meter.SNAPSHOTS, PriceUnit.MONTH, None) if fits else None


def _address(row: Row) -> Found | None:
    is_idle = row.get("usageType", "").endswith("ElasticIP:IdleAddress")
    return (
        (Meter.ADDRESSES, PriceUnit.HOUR, "free") if is_idle and row.get("Unit") == "Hrs" else None
    )


KINDS: tuple[Callable[[Row], Found | None], ...] = (_instance, _volume, _snapshot, _address)


def _moment(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else None
