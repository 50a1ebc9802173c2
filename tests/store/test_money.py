"""Prices, bills and budgets on each database."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from tests.store.samples import START, at

from nimbi.model.errors import NotFound
from nimbi.model.metering import (
    Bill,
    Budget,
    BudgetChange,
    Charge,
    Imported,
    Meter,
    NewPrice,
)
from nimbi.store.bills import BillStore
from nimbi.store.budgets import BudgetStore
from nimbi.store.database import Database
from nimbi.store.events import EventStore
from nimbi.store.prices import PriceStore

SOURCE = {"source": "api", "origin": None, "published_at": None}


def price(amount: str, **values: object) -> NewPrice:
    return NewPrice(
        meter=Meter.RUNNING,
        amount=Decimal(amount),
        currency="EUR",
        **values,  # type: ignore[arg-type]
    )


async def test_prices_known_at_a_time_are_those_that_were_told_until_then(
    database: Database,
) -> None:
    store = PriceStore(database)
    added = await store.add((price("1"), price("1", kind="a")), START, **SOURCE)  # type: ignore[arg-type]
    assert added == Imported(added=2, unchanged=0)
    again = await store.add((price("1"), price("2", kind="a")), at(10), **SOURCE)  # type: ignore[arg-type]
    assert again == Imported(added=1, unchanged=1)
    assert {one.amount for one in await store.all(at(5))} == {Decimal(1)}
    (second,) = [one for one in await store.all() if one.amount == 2]
    assert second.valid_from == at(10)
    await store.end(second.id, at(20))
    assert (await store.get(second.id)).valid_until == at(20)
    # It was not known then that it would end.
    (before,) = [one for one in await store.all(at(15)) if one.amount == 2]
    assert before.valid_until is None


def bill(tenant: str, month: str = "2026-01") -> Bill:
    line = Charge(
        tenant=tenant,
        account="a",
        meter=Meter.RUNNING,
        kind=None,
        realm_id=None,
        quantity=Decimal("1.000000"),
        unit="hours",
        amount=Decimal("0.100000"),
        currency="EUR",
    )
    return Bill(
        id=f"bill_{month}_{tenant}",
        tenant=tenant,
        month=month,
        zone="UTC",
        begin=datetime(2026, 1, 1, tzinfo=UTC),
        until=datetime(2026, 2, 1, tzinfo=UTC),
        currency="EUR",
        total=Decimal("0.10"),
        made_at=START,
        lines=(line,),
    )


async def test_a_bill_is_kept_digit_by_digit_and_made_once(database: Database) -> None:
    store = BillStore(database)
    assert not await store.has("2026-01", "UTC")
    web, other = bill("web"), bill("other")
    await store.add([(web, "/root/acme/web/"), (other, "/root/other/")], 7)
    await store.add([(web, "/root/acme/web/")], 9)
    assert await store.get(web.id) == (web, "/root/acme/web/", 7)
    found = await store.page(tenant="acme", month=None, after="", limit=10)
    assert [(one.tenant, one.lines) for one in found] == [("web", ())]
    assert await store.has("2026-01", "UTC")
    with pytest.raises(NotFound):
        await store.get("bill_none")


async def test_a_budget_is_told_of_when_more_is_spent_and_not_again(database: Database) -> None:
    store = BudgetStore(database)
    budget = Budget(
        id="b",
        tenant="root",
        owner="root",
        amount=Decimal(10),
        currency="EUR",
        zone="UTC",
        warn_at=(50, 100),
        stops_launches=True,
        created_at=START,
    )
    await store.add(budget, "/root/", "/root/")
    for spent, warned in ((1, 0), (5, 50), (6, 50), (10, 100)):
        await store.found("b", "2026-01", Decimal(spent), warned, at(spent))
    await store.found("b", "2026-02", Decimal(1), 0, at(20))
    await store.found("b", "2026-02", Decimal(6), 50, at(21))
    events = await EventStore(database).after(0, 100, collections=["budgets"])
    assert [event.state for event in events] == ["ok", "warned", "spent", "warned"]
    assert [one.id for one in await store.spent_of("root")] == ["b"]
    changed = await store.change("b", BudgetChange(amount=Decimal(1)), at(30))
    assert changed.is_spent
    await store.remove("b", at(31))
    assert await store.spent_of("root") == ()
    with pytest.raises(NotFound):
        await store.get("b")
