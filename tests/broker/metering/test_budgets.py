"""Budgets: warnings are told once a month, and launches are refused when one says so."""

import shutil
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from tests.broker.whole import Whole, open_whole

from nimbi.broker.access import ADMIN
from nimbi.broker.metering.charges import payable
from nimbi.broker.metering.chart import bar, svg
from nimbi.broker.metering.measures import Measures, passed, wanted_of
from nimbi.broker.metering.metering import Rhythm
from nimbi.broker.metering.reports import Question
from nimbi.driver.blobs import Blobs
from nimbi.driver.compute import Instances
from nimbi.driver.storage import Volumes
from nimbi.model.errors import Invalid, NotFound, QuotaExceeded
from nimbi.model.holdings import Amounts
from nimbi.model.instances import NewInstance
from nimbi.model.inventory import EventKind
from nimbi.model.metering import BudgetChange, Meter, NewBudget, NewPrice, NewPrices
from nimbi.model.metrics import Metric, Sample, Series, Unit
from nimbi.model.volumes import NewVolume
from nimbi.store.events import Change, EventStore

NEW = NewInstance(image_id="img1", name="web")


@pytest.fixture
async def whole(tmp_path: Path, ready_database: Path) -> AsyncIterator[Whole]:
    file = shutil.copy(ready_database, tmp_path)
    async with open_whole(f"sqlite:///{file}", tmp_path) as opened:
        await opened.add("one")
        await opened.broker.metering.catch_up()
        yield opened


async def price(whole: Whole, amount: str, meter: Meter = Meter.RUNNING) -> None:
    new = NewPrice(meter=meter, amount=Decimal(amount), currency="EUR")
    prices = whole.broker.metering.prices
    await prices.add(prices.read(NewPrices(prices=(new,))), NewPrices())


async def run_since_an_hour(whole: Whole, id: str = "i-1") -> None:
    """Let it be told that an instance runs since an hour ago."""
    body = msgspec.json.encode({"id": id, "state": "running", "hardware_profile_id": "small"})
    change = Change("one", "instances", id, EventKind.APPEARED, "running", body)
    await EventStore(whole.broker.database).append(datetime.now(UTC) - timedelta(hours=1), [change])
    await whole.broker.metering.meter.advance()


async def told(whole: Whole) -> list[tuple[EventKind, str | None]]:
    events = await whole.broker.events.after(0, 100, collections=("budgets",))
    return [(event.kind, event.state) for event in events]


async def test_each_warning_is_told_once(whole: Whole) -> None:
    budgets = whole.broker.metering.budgets
    made = await budgets.create(NewBudget(amount=Decimal(1000), currency="EUR"), ("root",))
    await price(whole, "600")
    await run_since_an_hour(whole)
    await budgets.look_at_all()
    await budgets.look_at_all()
    first = (await budgets.get(made.id)).budget
    # When the month has just begun a part of the hour is not in it.
    assert 0 < first.spent <= 601
    assert first.warned in (0, 50)
    await run_since_an_hour(whole, "i-2")
    await run_since_an_hour(whole, "i-3")
    await budgets.look_at_all()
    states = await told(whole)
    assert len(states) == len(set(states))
    assert states[0] == (EventKind.APPEARED, "ok")


async def test_a_budget_that_is_spent_stops_launches_and_nothing_else(whole: Whole) -> None:
    budgets = whole.broker.metering.budgets
    await price(whole, "1000000")
    await run_since_an_hour(whole)
    new = NewBudget(amount=Decimal("0.01"), currency="EUR", stops_launches=True)
    made = await budgets.create(new, ("root",))
    async with whole.broker.use(ADMIN, "one") as cloud:
        # Nobody has looked yet.
        await cloud.call(Instances.create, NEW)
        await budgets.look_at_all()
        with pytest.raises(QuotaExceeded, match="budget"):
            await cloud.call(Instances.create, NEW)
        with pytest.raises(QuotaExceeded):
            await cloud.call(Volumes.create, NewVolume(size_gib=1))
        (first, *_rest) = (await cloud.call(Instances.page, None, 10)).items
        await cloud.call(Instances.stop, first.id)
        await budgets.change(made.id, BudgetChange(stops_launches=False))
        await cloud.call(Instances.create, NEW)


async def test_another_currency_is_not_spent(whole: Whole) -> None:
    budgets = whole.broker.metering.budgets
    made = await budgets.create(NewBudget(amount=Decimal(1), currency="USD"), ("root",))
    await price(whole, "1000")
    await run_since_an_hour(whole)
    await budgets.look_at_all()
    assert (await budgets.get(made.id)).budget.spent == 0
    await budgets.destroy(made.id)
    with pytest.raises(NotFound):
        await budgets.get(made.id)


@pytest.mark.parametrize("amount", ["0", "-1", "NaN", "1e30"])
async def test_what_is_no_amount_is_refused(whole: Whole, amount: str) -> None:
    new = NewBudget(amount=Decimal(amount), currency="EUR")
    with pytest.raises(Invalid):
        await whole.broker.metering.budgets.create(new, ("root",))
    with pytest.raises(NotFound):
        await whole.broker.metering.budgets.path("nobody")


async def test_what_a_launch_would_cost_is_what_is_charged(whole: Whole) -> None:
    prices = whole.broker.metering.prices
    amounts = Amounts(instances=1, vcpus=2, memory_mib=2048)
    asked = ("one", "instances", "small", None)
    assert await prices.price_hour_micros(*asked, amounts) is None
    await price(whole, "0.01", Meter.VCPUS)
    assert await prices.price_hour_micros(*asked, amounts) == 20_000
    await price(whole, "0.5")
    assert await prices.price_hour_micros(*asked, amounts) == 500_000
    await price(whole, "0.001", Meter.VOLUMES)
    disk = Amounts(volumes=1, volume_bytes=10 * 2**30)
    assert await prices.price_hour_micros("one", "volumes", None, None, disk) == 10_000


async def test_a_meter_that_runs_takes_in_what_happens(whole: Whole) -> None:
    metering = whole.broker.metering
    metering._rhythm = Rhythm(look_s=0.01)
    async with metering.running():
        body = msgspec.json.encode({"id": "v", "state": "available", "size_gib": 1})
        change = Change("one", "volumes", "v", EventKind.APPEARED, None, body)
        await EventStore(whole.broker.database).append(datetime.now(UTC), [change])
        from tests.broker.sites import soon

        async def is_metered() -> bool:
            return bool(await metering.usage.intervals())

        await soon(is_metered)


async def test_blobs_are_counted_by_bucket(whole: Whole) -> None:
    broker = whole.broker
    measures = Measures(broker.accounts, broker.registry)
    await measures.measure(broker.metering.meter, datetime.now(UTC))
    found = await broker.metering.usage.intervals(collection="blobs")
    async with broker.accounts.use("one") as cloud:
        page = await cloud.call(Blobs.page, "bucket1", None, 1000)
    size = sum(blob.size_bytes for blob in page.items)
    (one,) = [one for one in found if one.thing_id == "bucket1"]
    assert one.amount == -(-size // 2**20)


def metric(*samples: tuple[int, float]) -> Metric:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    told = tuple(
        Sample(
            at=at + timedelta(minutes=minute),
            minimum=count,
            maximum=count,
            average=count,
            unit=Unit.BYTES,
        )
        for minute, count in samples
    )
    return Metric(id="i-1", entity="web", series=(Series(name="nicInputByte", samples=told),))


def test_each_sample_of_traffic_counts_once_and_the_last_ones_wait() -> None:
    now = datetime(2026, 1, 1, 0, 10, tzinfo=UTC)
    counted: dict[str, dict[str, int]] = {"traffic_in": {}, "traffic_out": {}}
    (first,) = passed("a", metric((1, 10), (8, 20), (9, 40)), counted, now)
    assert first.seen is not None
    assert first.seen.facts is not None
    assert first.seen.facts.amount == 30
    counted["traffic_in"]["i-1"] = first.at_us
    assert list(passed("a", metric((1, 10), (8, 20), (9, 40)), counted, now)) == []
    later = now + timedelta(minutes=10)
    (second,) = passed("a", metric((8, 20), (9, 40), (11, 1)), counted, later)
    assert second.seen is not None
    assert second.seen.facts is not None
    assert second.seen.facts.amount == 41


async def test_an_account_says_what_is_measured(whole: Whole) -> None:
    account = await whole.broker.accounts.get("one")
    assert wanted_of(account) == {"blobs"}
    tagged = msgspec.structs.replace(account, tags={"metering": "traffic, blobs"})
    assert wanted_of(tagged) == {"traffic", "blobs"}
    assert wanted_of(msgspec.structs.replace(account, tags={"metering": ""})) == frozenset()


async def test_a_chart_shows_names_as_text_only(whole: Whole) -> None:
    await price(whole, "1")
    body = {"id": "i", "state": "running", "tags": {"team": "<script>&\x07"}}
    change = Change("one", "instances", "i", EventKind.APPEARED, None, msgspec.json.encode(body))
    await EventStore(whole.broker.database).append(datetime.now(UTC) - timedelta(days=1), [change])
    await whole.broker.metering.meter.advance()
    now = int(datetime.now(UTC).timestamp())
    question = Question(begin_s=now - 3600, by=("tag.team",))
    drawn = svg(await whole.broker.metering.reports.make(question)).decode()
    assert "&lt;script&gt;&amp;" in drawn
    assert "<script>" not in drawn
    assert "1.00 EUR" in drawn
    # What is less than a cent, too.
    short = Question(begin_s=now - 20, until_s=now, by=("account",))
    assert "0.005556 EUR" in svg(await whole.broker.metering.reports.make(short)).decode()


def test_a_bar_is_as_long_as_its_part_and_never_hides_what_is_there() -> None:
    assert bar(Decimal(10), Decimal(10), 4) == "████"
    assert bar(Decimal(5), Decimal(10), 4) == "██"
    assert bar(Decimal("0.0001"), Decimal(10), 4) == "▏"
    assert bar(Decimal(0), Decimal(10), 4) == ""


@pytest.mark.parametrize(
    ("currency", "amount", "total"),
    [("EUR", "0.005", "0.01"), ("JPY", "0.5", "1"), ("KWD", "0.0005", "0.001"), ("EUR", "0", "0")],
)
def test_a_total_is_rounded_half_up_to_the_smallest_coin(
    currency: str, amount: str, total: str
) -> None:
    assert payable([Decimal(amount)], currency) == Decimal(total)
