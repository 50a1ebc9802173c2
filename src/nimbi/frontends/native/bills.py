"""Bills: what each tenant owes for a month."""

import msgspec

from nimbi.broker.access import may_touch
from nimbi.broker.metering.budgets import parts
from nimbi.frontends.native.answer import Answer, json_answer
from nimbi.frontends.native.exchange import Exchange
from nimbi.frontends.native.route import Route
from nimbi.frontends.native.usage import tenant
from nimbi.model.errors import Forbidden, NotFound
from nimbi.model.metering import Bill, Check, NewBills
from nimbi.model.people import ROOT

PLACE = "/v1/bills"
ONE = PLACE + "/{id}"
LARGEST_LIMIT = 1000


class BillPage(msgspec.Struct, frozen=True):
    """Some bills without their lines; `next` is the marker of the rest."""

    items: tuple[Bill, ...]
    next: str | None = None


async def page(exchange: Exchange) -> Answer:
    limit = exchange.number("limit", 100, 1, LARGEST_LIMIT)
    found = await exchange.broker.metering.bills.page(
        tenant=await tenant(exchange),
        month=exchange.query.get("month"),
        after=exchange.query.get("marker", ""),
        limit=limit,
    )
    return json_answer(BillPage(found, found[-1].id if len(found) == limit else None))


async def create(exchange: Exchange) -> Answer:
    """Make the bills of all tenants, and answer with the first of them."""
    new = await exchange.decoded(NewBills)
    if exchange.caller.tenant != ROOT:
        raise Forbidden(f"{exchange.caller.name} may not make the bills of all tenants")
    bills = exchange.broker.metering.bills
    await bills.make(new)
    found = await bills.page(tenant=None, month=new.month, after="", limit=LARGEST_LIMIT)
    more = found[-1].id if len(found) == LARGEST_LIMIT else None
    return json_answer(BillPage(found, more), 201)


async def show(exchange: Exchange) -> Answer:
    return json_answer(await _seen(exchange))


async def verify(exchange: Exchange) -> Answer:
    bill = await _seen(exchange)
    return json_answer(await exchange.broker.metering.bills.check(bill.id))


async def _seen(exchange: Exchange) -> Bill:
    """Return the bill that is named. Raises NotFound, for another tenant's too."""
    id = exchange.arguments["id"]
    bill, path = await exchange.broker.metering.bills.get(id)
    if not may_touch(exchange.caller, parts(path)):
        raise NotFound(f"there is no bill {id!r}")
    return bill


ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        PLACE,
        page,
        "bills.page",
        frozenset({"tenant", "month", "limit", "marker"}),
        text="Return bills without their lines, of the caller's tenant and those below.",
        gives=BillPage,
    ),
    Route(
        "POST",
        PLACE,
        create,
        "bills.create",
        key="whole",
        text="Make and keep all tenants' bills of a month that is over; once made they stay.",
        takes=NewBills,
        gives=BillPage,
        status=201,
    ),
    Route("GET", ONE, show, "bills.get", text="Return one bill with its lines.", gives=Bill),
    Route(
        "GET",
        ONE + "/check",
        verify,
        "bills.get",
        text="Make a bill again from all that was told of each thing, and say what differs.",
        gives=Check,
    ),
)
