"""A bill adds up, and made again from what was told it is the same."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.broker.whole import Whole, open_whole

from nimbi.broker.metering.metering import Metering
from nimbi.broker.metering.reports import Question
from nimbi.model.errors import Conflict, Invalid
from nimbi.model.inventory import EventKind
from nimbi.model.metering import Meter, NewBills, NewPrice, NewPrices, PriceUnit
from nimbi.store.events import Change, EventStore
from nimbi.store.schema import holdings, usage

MONTH = NewBills(month="2026-03", zone="Europe/Berlin")
# The month has 743 hours: clocks go forward on its last Sunday.
BEGIN, UNTIL = datetime(2026, 2, 28, 23, tzinfo=UTC), datetime(2026, 3, 31, 22, tzinfo=UTC)
HOURS = 743


@dataclass
class Site:
    whole: Whole

    @property
    def metering(self) -> Metering:
        return self.whole.broker.metering

    async def happen(self, hour: float, id: str, state: str | None, **values: Any) -> None:
        """Let a change of an instance be told, so many hours after the month began."""
        kind = EventKind.CHANGED if state else EventKind.VANISHED
        body = {"id": id, "state": state, "hardware_profile_id": "small"} | values
        told = msgspec.json.encode(body) if state else None
        at = datetime.fromtimestamp(BEGIN.timestamp() + hour * 3600, UTC)
        change = Change("one", "instances", id, kind, state, told)
        await EventStore(self.whole.broker.database).append(at, [change])

    async def price(self, amount: str, meter: Meter = Meter.RUNNING, **values: Any) -> None:
        told = {"currency": "EUR"} | values
        new = NewPrice(meter=meter, amount=Decimal(amount), **told)
        prices = self.metering.prices
        await prices.add(prices.read(NewPrices(prices=(new,))), NewPrices())

    async def bills(self, tenant: str | None = None) -> Any:
        # What is in the events is not in the inventory here: only the events are taken in.
        await self.take_in()
        await self.metering.bills.make(MONTH)
        found = await self.metering.bills.page(tenant=tenant, month=None, after="", limit=100)
        return [(await self.metering.bills.get(bill.id))[0] for bill in found]

    async def take_in(self) -> None:
        while (await self.metering.meter.advance()).taken:
            pass


@pytest.fixture
async def site(tmp_path: Path, ready_database: Path) -> AsyncIterator[Site]:
    file = shutil.copy(ready_database, tmp_path)
    async with open_whole(f"sqlite:///{file}", tmp_path) as whole:
        await whole.add("one")
        await whole.broker.metering.catch_up()
        yield Site(whole)


async def test_a_month_with_a_change_of_clocks_has_its_own_hours(site: Site) -> None:
    await site.price("0.10")
    await site.happen(-100, "i-1", "running")
    await site.happen(HOURS + 100, "i-1", None)
    (bill,) = await site.bills()
    assert (bill.begin, bill.until) == (BEGIN, UNTIL)
    assert bill.lines[0].quantity == HOURS
    assert bill.total == Decimal("74.30")


async def test_an_hour_is_charged_as_an_hour_and_a_second_as_a_second(site: Site) -> None:
    await site.price("3.60")
    await site.happen(1, "i-1", "running")
    await site.happen(2, "i-1", "stopped")
    await site.happen(3, "i-2", "running")
    await site.happen(3 + 1 / 3600, "i-2", None)
    (bill,) = await site.bills()
    running = next(line for line in bill.lines if line.meter is Meter.RUNNING)
    assert running.amount == Decimal("3.601")
    # Stopped ones have no price here; that is told and not passed over.
    stopped = next(line for line in bill.lines if line.meter is Meter.STOPPED)
    assert (stopped.amount, stopped.price) == (None, None)


async def test_lines_are_rounded_half_up_to_six_decimals_and_the_total_to_coins(
    site: Site,
) -> None:
    # 1 s at 0.0018 an hour is 0.0000005, which is rounded up to 0.000001.
    await site.price("0.0018")
    await site.price("4.995", Meter.STOPPED)
    await site.happen(1, "i-1", "running")
    await site.happen(1 + 1 / 3600, "i-1", "stopped")
    await site.happen(2 + 1 / 3600, "i-1", None)
    (bill,) = await site.bills()
    assert {line.amount for line in bill.lines} == {Decimal("0.000001"), Decimal("4.995")}
    assert bill.total == Decimal("5.00")


async def test_a_price_holds_from_when_it_is_valid(site: Site) -> None:
    await site.price("1")
    await site.price("2", valid_from=datetime(2026, 3, 2, 23, tzinfo=UTC))
    await site.happen(0, "i-1", "running")
    await site.happen(72, "i-1", None)
    (bill,) = await site.bills()
    assert {(line.price, line.quantity) for line in bill.lines} == {
        (Decimal(1), Decimal(48)),
        (Decimal(2), Decimal(24)),
    }
    assert bill.total == 96


async def test_the_price_that_names_more_holds(site: Site) -> None:
    await site.price("1")
    await site.price("2", kind="small")
    await site.price("3", account="one")
    await site.price("4", account="two", kind="small")
    await site.happen(0, "i-1", "running")
    await site.happen(1, "i-1", None)
    (bill,) = await site.bills()
    assert bill.total == 3


async def test_an_instance_without_a_price_of_its_profile_costs_its_vcpus_and_memory(
    site: Site,
) -> None:
    await site.price("0.02", Meter.VCPUS)
    await site.price("0.01", Meter.MEMORY)
    sizes = {"cpus": 2, "memory_mib": 3072}
    await site.happen(0, "i-1", "running", sizes=sizes)
    await site.happen(100, "i-1", None)
    (bill,) = await site.bills()
    assert {line.meter: line.amount for line in bill.lines} == {
        Meter.VCPUS: Decimal(4),
        Meter.MEMORY: Decimal(3),
    }


async def test_each_tenant_and_currency_has_a_bill_of_its_own(site: Site) -> None:
    async with site.whole.broker.database.writing() as connection:
        row = {"account": "one", "token": "t", "number": 0, "tenant": "web", "path": "root/web/"}
        row |= {"user": "u", "collection": "instances", "thing_id": "i-2", "state": "held"}
        await connection.execute(holdings.insert().values(row | {"created_us": 0}))
    await site.price("1")
    await site.price("100", Meter.STOPPED, currency="JPY")
    await site.happen(0, "i-1", "running")
    await site.happen(0, "i-2", "stopped")
    await site.happen(1.5, "i-1", None)
    await site.happen(1.125, "i-2", None)
    bills = await site.bills()
    totals = {(bill.tenant, bill.currency): bill.total for bill in bills}
    # 112.5 yen: the smallest coin is one, and half of it is rounded up.
    assert totals == {("root", "EUR"): Decimal("1.50"), ("web", "JPY"): Decimal(113)}
    assert [bill.tenant for bill in await site.bills("web")] == ["web"]


async def test_a_bill_once_made_stays_what_it_is(site: Site) -> None:
    await site.price("1")
    await site.happen(0, "i-1", "running")
    (before,) = await site.bills()
    await site.price("5", valid_from=BEGIN)
    await site.happen(10, "i-1", None)
    (after,) = await site.bills()
    assert after == before
    check = await site.metering.bills.check(after.id)
    assert check.differences == ()
    assert check.recomputed == check.total == HOURS


async def test_an_interval_that_was_tampered_with_is_found(site: Site) -> None:
    await site.price("1")
    await site.happen(0, "i-1", "running")
    await site.happen(10, "i-1", None)
    await site.take_in()
    async with site.whole.broker.database.writing() as connection:
        row = usage.c.until_s - usage.c.begin_s > 0
        await connection.execute(usage.update().where(row).values(until_s=usage.c.until_s - 3600))
    (bill,) = await site.bills()
    check = await site.metering.bills.check(bill.id)
    assert (check.total, check.recomputed) == (9, 10)
    assert "stored 9" in check.differences[0]
    assert "recomputed 10" in check.differences[0]


async def test_a_month_that_is_not_over_has_no_bill(site: Site) -> None:
    with pytest.raises(Conflict):
        await site.metering.bills.make(NewBills(month="2199-01"))
    for wrong in (NewBills(month="2026-13"), NewBills(month="2026-01", zone="Moon/Crater")):
        with pytest.raises(Invalid):
            await site.metering.bills.make(wrong)


async def test_a_report_is_by_tag_account_and_day(site: Site) -> None:
    await site.price("1")
    await site.happen(0, "i-1", "running", tags={"team": "a"})
    await site.happen(0, "i-2", "running", tags={"team": "b"})
    await site.happen(30, "i-1", None)
    await site.happen(1, "i-2", None)
    await site.take_in()

    async def rows(*by: str) -> dict[tuple[str, ...], Decimal]:
        question = Question(month=MONTH.month, zone=MONTH.zone, by=by)
        report = await site.metering.reports.make(question)
        return {row.key: row.amount for row in report.rows}

    assert await rows("tag.team") == {("a",): Decimal(30), ("b",): Decimal(1)}
    assert await rows("account", "day") == {
        ("one", "2026-03-01"): Decimal(25),
        ("one", "2026-03-02"): Decimal(6),
    }
    with pytest.raises(Invalid):
        await rows("colour")


HOUR = st.integers(-2, HOURS * 60 + 2).map(lambda minutes: minutes / 60)
CHANGES = st.lists(
    st.tuples(HOUR, st.sampled_from(["i-1", "i-2"]), st.sampled_from(["running", "stopped", None])),
    max_size=12,
)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(changes=CHANGES, amounts=st.tuples(st.integers(1, 10**6), st.integers(1, 10**6)))
def test_whatever_happened_a_bill_made_again_is_the_same(
    tmp_path_factory: pytest.TempPathFactory,
    ready_database: Path,
    changes: list[tuple[float, str, str | None]],
    amounts: tuple[int, int],
) -> None:
    """Also when clocks went back and forth: nothing in it depends on the order of their times."""

    async def check() -> None:
        place = tmp_path_factory.mktemp("bill")
        file = shutil.copy(ready_database, place)
        async with open_whole(f"sqlite:///{file}", place) as whole:
            await whole.add("one")
            await whole.broker.metering.catch_up()
            site = Site(whole)
            await site.price(str(Decimal(amounts[0]) / 10**4))
            await site.price(str(Decimal(amounts[1]) / 10**4), Meter.STOPPED)
            for hour, id, state in changes:
                await site.happen(hour, id, state)
            for bill in await site.bills():
                made = await site.metering.bills.check(bill.id)
                assert made.differences == ()
                assert made.recomputed == bill.total
                for line in bill.lines:
                    assert 0 <= line.quantity <= 2 * HOURS

    asyncio.run(check())


async def test_volumes_are_priced_by_the_gib_and_month_of_730_hours(site: Site) -> None:
    await site.price("0.73", Meter.VOLUMES, unit=PriceUnit.MONTH)
    body = msgspec.json.encode({"id": "v", "state": "available", "size_gib": 10})
    store = EventStore(site.whole.broker.database)
    await store.append(BEGIN, [Change("one", "volumes", "v", EventKind.APPEARED, None, body)])
    (bill,) = await site.bills()
    assert bill.total == Decimal("7.43")
