"""Usage, prices, bills and budgets by the API: who sees what, and in which form."""

import csv
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec
import pytest
from tests.frontends.native.conftest import Api

from nimbi.frontends.native.usage import table
from nimbi.model.inventory import EventKind
from nimbi.model.metering import Report, ReportRow
from nimbi.model.tokens import Scope
from nimbi.store.events import Change, EventStore

pytestmark = pytest.mark.asyncio(loop_scope="module")

PRICE = {"meter": "instances.running", "amount": "1", "currency": "EUR", "account": "mock"}
SINCE = datetime.now(UTC) - timedelta(hours=1)


async def metered(api: Api) -> None:
    """Let an instance have run for an hour, and be charged."""
    await api.broker.metering.catch_up()
    body = msgspec.json.encode({"id": "=i", "state": "running", "tags": {"team": "=1+1"}})
    change = Change("mock", "instances", "=i", EventKind.APPEARED, "running", body)
    await EventStore(api.broker.database).append(SINCE, [change])
    while (await api.broker.metering.meter.advance()).taken:
        pass
    assert (await api.ask("POST", "/v1/prices", {"prices": [PRICE]})).status_code == 201


async def test_a_report_comes_as_json_a_table_and_a_drawing(api: Api) -> None:
    await metered(api)
    place = f"/v1/usage?begin={SINCE:%Y-%m-%dT%H:%M:%SZ}&by=tag.team,meter"
    told = (await api.ask("GET", place)).json()
    (row,) = told["rows"]
    assert row["key"] == ["=1+1", "instances.running"]
    assert Decimal(row["amount"]) >= 1
    answer = await api.ask("GET", place + "&form=csv")
    assert answer.headers["content-type"].startswith("text/csv")
    titles, cells = csv.reader(io.StringIO(answer.text))
    assert titles[:2] == ["tag.team", "meter"]
    # No spreadsheet takes it for a formula.
    assert cells[0] == "'=1+1"
    drawn = await api.ask("GET", place + "&form=svg")
    assert drawn.headers["content-type"] == "image/svg+xml"
    assert drawn.text.startswith("<svg")
    found = (await api.ask("GET", "/v1/usage/intervals?thing=%3Di")).json()
    assert [one["thing_id"] for one in found["items"]] == ["=i"]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("form=pdf", 400),
        ("by=colour", 422),
        ("by=", 400),
        ("begin=yesterday", 400),
        ("begin=2030-01-01T00:00:00", 400),
        ("begin=2199-01-01T00:00:00Z", 422),
        ("month=2030-13", 422),
        ("month=2030-01&begin=2030-01-01T00:00:00Z", 422),
        ("zone=Moon", 422),
        ("zone=../../etc/passwd", 422),
        ("tenant=nobody", 422),
    ],
)
async def test_a_report_that_cannot_be_is_refused(api: Api, query: str, status: int) -> None:
    answer = await api.ask("GET", f"/v1/usage?{query}")
    assert answer.status_code in ({status, 400} if status == 422 else {status})


async def test_prices_come_from_a_table_and_are_ended(api: Api) -> None:
    new = {"csv": "meter,amount,currency\naddresses,0.004,EUR\n", "origin": "list.csv"}
    made = await api.ask("POST", "/v1/prices", new)
    assert (made.status_code, made.json()) == (201, {"added": 1, "unchanged": 0})
    (one,) = (await api.ask("GET", "/v1/prices?meter=addresses")).json()["items"]
    assert (one["amount"], one["source"], one["origin"]) == ("0.004", "csv", "list.csv")
    assert (await api.ask("DELETE", f"/v1/prices/{one['id']}")).status_code == 204
    ended = (await api.ask("GET", f"/v1/prices/{one['id']}")).json()
    assert ended["valid_until"] is not None
    assert (await api.ask("GET", "/v1/prices/pr_none")).status_code == 404
    assert (await api.ask("POST", "/v1/prices", {"csv": "a,b\n"})).status_code == 422


async def test_a_month_is_billed_once_it_is_over_and_checked(api: Api) -> None:
    await metered(api)
    early = await api.ask("POST", "/v1/bills", {"month": "2199-01"})
    assert early.status_code == 409
    made = await api.ask("POST", "/v1/bills", {"month": "2026-01"})
    assert (made.status_code, made.json()["items"]) == (201, [])
    assert (await api.ask("GET", "/v1/bills/bill_none")).status_code == 404


async def test_a_budget_is_set_changed_and_removed(api: Api) -> None:
    new = {"amount": "10", "currency": "EUR", "warn_at": [80, 50, 80]}
    made = (await api.ask("POST", "/v1/budgets", new)).json()
    assert (made["tenant"], made["warn_at"]) == ("root", [50, 80])
    place = f"/v1/budgets/{made['id']}"
    changed = (await api.ask("PATCH", place, {"amount": "20"})).json()
    assert (changed["amount"], changed["spent_at"] is not None) == ("20", True)
    listed = (await api.ask("GET", "/v1/budgets")).json()["items"]
    assert [one["id"] for one in listed] == [made["id"]]
    assert (await api.ask("DELETE", place)).status_code == 204
    assert (await api.ask("GET", place)).status_code == 404
    wrong = await api.ask("POST", "/v1/budgets", new | {"tenant": "nobody"})
    assert wrong.status_code == 404


async def test_a_reader_reads_and_sets_nothing(api: Api) -> None:
    async with await api.reader(Scope(operations="read")) as client:
        assert (await client.get("/v1/usage")).status_code in {200, 422}
        assert (await client.get("/v1/prices")).status_code == 200
        for place, body in (
            ("/v1/prices", {"prices": [PRICE]}),
            ("/v1/bills", {"month": "2026-01"}),
            ("/v1/budgets", {"amount": "1", "currency": "EUR"}),
        ):
            assert (await client.post(place, json=body)).status_code == 403


async def test_a_project_sees_its_own_and_sets_no_price_of_an_account_of_others(api: Api) -> None:
    await metered(api)
    budget = (await api.ask("POST", "/v1/budgets", {"amount": "1", "currency": "EUR"})).json()
    project = (await api.ask("POST", "/v1/projects", {"name": "money"})).json()["id"]
    new = {"name": "inside", "tenant": project}
    secret = (await api.ask("POST", "/v1/tokens", new)).json()["secret"]
    began = f"begin={SINCE:%Y-%m-%dT%H:%M:%SZ}"
    async with api.client_of(secret) as client:
        assert (await client.get(f"/v1/usage?{began}")).json()["rows"] == []
        assert (await client.get(f"/v1/usage?{began}&tenant={project}")).status_code == 200
        assert (await client.get(f"/v1/usage?{began}&tenant=money")).status_code == 200
        assert (await client.get(f"/v1/usage?{began}&form=svg")).status_code == 200
        assert (await client.get(f"/v1/usage?{began}&tenant=root")).status_code == 403
        assert (await client.get("/v1/usage/intervals")).json()["items"] == []
        assert (await client.post("/v1/prices", json={"prices": [PRICE]})).status_code == 403
        assert (await client.post("/v1/bills", json={"month": "2026-01"})).status_code == 403
        # It sees what stands above it, and cannot change that.
        place = f"/v1/budgets/{budget['id']}"
        assert (await client.get(place)).status_code == 200
        assert (await client.patch(place, json={"amount": "99"})).status_code == 403
        assert (await client.delete(place)).status_code == 403
        own = {"amount": "1", "currency": "EUR", "tenant": project}
        assert (await client.post("/v1/budgets", json=own)).status_code == 201
        above = own | {"tenant": "root"}
        assert (await client.post("/v1/budgets", json=above)).status_code == 403


async def test_a_table_tells_quantities_only_of_one_meter() -> None:
    row = ReportRow(
        key=("a",), quantity=None, unit=None, currency="EUR", amount=Decimal("1.5"), unpriced=0
    )
    report = Report(
        begin=SINCE, until=SINCE, zone="UTC", by=("tenant",), rows=(row,), known_until=None
    )
    assert table(report).splitlines()[1] == "a,,,1.5,EUR,0"


async def test_a_warning_of_a_budget_is_an_event_that_can_be_asked_for(api: Api) -> None:
    new = {"amount": "0.000001", "currency": "EUR", "warn_at": [100]}
    await metered(api)
    made = (await api.ask("POST", "/v1/budgets", new)).json()
    await api.broker.metering.budgets.look_at_all()
    found = (await api.ask("GET", "/v1/events?collection=budgets&limit=1000")).json()["items"]
    (warned,) = [one for one in found if one["thing_id"] == made["id"] and one["kind"] == "changed"]
    assert (warned["state"], warned["body"]["warned"]) == ("spent", 100)
