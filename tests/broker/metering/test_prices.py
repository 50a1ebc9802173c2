"""Prices: of tables, of the file that EC2 publishes, and kept with their source and age."""

import shutil
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from tests.broker.whole import open_whole

from nimbi.broker.metering.ec2_offers import Offers
from nimbi.broker.metering.price_csv import checked, prices_in
from nimbi.broker.metering.prices import Prices
from nimbi.model.errors import Invalid, NotFound
from nimbi.model.metering import Imported, Meter, NewPrice, NewPrices, PriceUnit

SAMPLE = Path(__file__).with_name("sample_offers.csv")
TABLE = """meter,amount,currency,unit,account,kind,valid_from
instances.running,0.10,EUR,,aws,t3.medium,2026-01-01T00:00:00Z
volumes,0.08,EUR,month,,,

traffic.out,0.09,EUR,gib,,,
"""


@pytest.fixture
async def prices(tmp_path: Path, ready_database: Path) -> AsyncIterator[Prices]:
    file = shutil.copy(ready_database, tmp_path)
    async with open_whole(f"sqlite:///{file}", tmp_path) as whole:
        yield whole.broker.metering.prices


def test_a_table_is_read_with_its_titles_in_any_order() -> None:
    first, second, third = prices_in(TABLE)
    assert (first.meter, first.amount, first.unit) == (
        Meter.RUNNING,
        Decimal("0.10"),
        PriceUnit.HOUR,
    )
    assert first.valid_from == datetime(2026, 1, 1, tzinfo=UTC)
    assert (second.account, second.unit) == (None, PriceUnit.MONTH)
    assert third.unit is PriceUnit.GIB


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("meter,amount\nvolumes,1", "currency is missing"),
        ("meter,amount,currency,colour\n", "no column 'colour'"),
        ("meter,meter,amount,currency\n", "comes twice"),
        ("meter,amount,currency\nvolumes,1", "line 2: 3 cells"),
        ("meter,amount,currency\nvolumes,one,EUR", "line 2"),
        ("meter,amount,currency\nvolumes,NaN,EUR", "line 2"),
        ("meter,amount,currency\nvolumes,-1,EUR", "line 2"),
        ("meter,amount,currency\nvolumes,1e-40,EUR", "decimals"),
        ("meter,amount,currency\nvolumes,1,euro", "line 2"),
        ("meter,amount,currency\nbananas,1,EUR", "line 2"),
        ("meter,amount,currency,unit\nvolumes,1,EUR,gib", "not priced by the gib"),
        ("meter,amount,currency\ntraffic.in,1,EUR", "not priced by the hour"),
        ("meter,amount,currency,valid_from\nvolumes,1,EUR,2026-01-01T00:00:00", "time zone"),
        ('meter,amount,currency\n"volumes,1,EUR', "line"),
    ],
)
def test_what_is_wrong_with_a_table_is_told_with_its_line(text: str, words: str) -> None:
    with pytest.raises(Invalid, match=words):
        checked(prices_in(text))


def test_the_file_that_ec2_publishes_gives_the_prices_on_demand() -> None:
    with SAMPLE.open(newline="") as lines:
        offers = Offers(lines, account="aws", region="us-east-1")
        found = checked(offers.prices())
    assert {(one.meter, one.kind, one.unit, one.amount) for one in found} == {
        (Meter.RUNNING, "t3.medium", PriceUnit.HOUR, Decimal("0.0416")),
        (Meter.VOLUMES, "gp3", PriceUnit.MONTH, Decimal("0.08")),
        (Meter.SNAPSHOTS, None, PriceUnit.MONTH, Decimal("0.05")),
        (Meter.ADDRESSES, "free", PriceUnit.HOUR, Decimal("0.005")),
    }
    assert {one.account for one in found} == {"aws"}
    assert offers.published_at == datetime(2026, 2, 27, 18, 22, 41, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "a,b\n" * 50, '"SKU","Unit"\n', '"SKU\n'])
def test_another_file_is_no_offer_file(text: str) -> None:
    with pytest.raises(Invalid):
        list(Offers(text.splitlines(keepends=True), account="aws").prices())


async def test_prices_keep_their_source_and_age(prices: Prices) -> None:
    published = datetime(2026, 2, 27, tzinfo=UTC)
    new = NewPrices(csv=TABLE, origin="list.csv", published_at=published)
    assert await prices.add(prices.read(new), new) == Imported(added=3, unchanged=0)
    found = await prices.page(account="aws", meter=None, after="", limit=10)
    assert {(one.source, one.origin, one.published_at) for one in found} == {
        ("csv", "list.csv", published)
    }
    # What holds for all accounts holds for this one too.
    assert {one.account for one in found} == {"aws", None}
    assert await prices.page(account="b", meter=Meter.RUNNING, after="", limit=10) == ()


async def test_the_same_list_again_changes_nothing_and_a_new_price_holds_from_now_on(
    prices: Prices,
) -> None:
    new = NewPrices(csv=TABLE)
    await prices.add(prices.read(new), new)
    assert await prices.add(prices.read(new), new) == Imported(added=0, unchanged=3)
    dearer = NewPrices(csv=TABLE.replace("0.08", "0.16"))
    assert await prices.add(prices.read(dearer), dearer) == Imported(added=1, unchanged=2)
    found = await prices.page(account=None, meter=Meter.VOLUMES, after="", limit=10)
    begins = {one.amount: one.valid_from for one in found}
    assert begins[Decimal("0.08")] is None
    assert begins[Decimal("0.16")] is not None


async def test_a_price_that_was_ended_is_kept(prices: Prices) -> None:
    new = NewPrices(prices=(NewPrice(meter=Meter.VOLUMES, amount=Decimal(1), currency="EUR"),))
    await prices.add(prices.read(new), new)
    (one,) = await prices.page(account=None, meter=None, after="", limit=10)
    await prices.end(one.id)
    assert (await prices.get(one.id)).valid_until is not None
    with pytest.raises(NotFound):
        await prices.end("pr_none")


def test_a_price_is_told_digit_by_digit() -> None:
    price = NewPrice(meter=Meter.VOLUMES, amount=Decimal("0.10"), currency="EUR")
    assert b'"amount":"0.10"' in msgspec.json.encode(price)
