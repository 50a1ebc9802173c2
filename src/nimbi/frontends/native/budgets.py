"""Budgets: what a tenant may spend in a month."""

import msgspec

from nimbi.broker.access import Caller, may_touch
from nimbi.broker.metering.budgets import parts
from nimbi.frontends.native.answer import Answer, created, json_answer, nothing
from nimbi.frontends.native.exchange import Exchange
from nimbi.frontends.native.route import Route
from nimbi.model.errors import Forbidden, NotFound
from nimbi.model.metering import Budget, BudgetChange, NewBudget
from nimbi.store.budgets import Kept

PLACE = "/v1/budgets"
ONE = PLACE + "/{id}"


async def page(exchange: Exchange) -> Answer:
    found = await exchange.broker.metering.budgets.all()
    seen = [kept.budget for kept in found if _may_see(exchange.caller, kept)]
    return json_answer({"items": seen})


async def create(exchange: Exchange) -> Answer:
    new = await exchange.decoded(NewBudget)
    caller, budgets = exchange.caller, exchange.broker.metering.budgets
    path = await budgets.path(new.tenant)
    if not may_touch(caller, path):
        raise Forbidden(f"{caller.name} may not set a budget of {new.tenant!r}")
    new = msgspec.structs.replace(new, tenant=path[-1])
    made = await budgets.create(new, caller.path)
    return created(made, f"{PLACE}/{made.id}")


async def show(exchange: Exchange) -> Answer:
    return json_answer((await _seen(exchange)).budget)


async def change(exchange: Exchange) -> Answer:
    wish = await exchange.decoded(BudgetChange)
    kept = await _own(exchange)
    return json_answer(await exchange.broker.metering.budgets.change(kept.budget.id, wish))


async def destroy(exchange: Exchange) -> Answer:
    kept = await _own(exchange)
    await exchange.broker.metering.budgets.destroy(kept.budget.id)
    return nothing()


async def _seen(exchange: Exchange) -> Kept:
    """Return the budget that is named. Raises NotFound, for another tenant's too."""
    id = exchange.arguments["id"]
    kept = await exchange.broker.metering.budgets.get(id)
    if not _may_see(exchange.caller, kept):
        raise NotFound(f"there is no budget {id!r}")
    return kept


async def _own(exchange: Exchange) -> Kept:
    """Return the budget that is named, for whoever set it and those above. Raises Forbidden."""
    kept = await _seen(exchange)
    if not may_touch(exchange.caller, parts(kept.owner_path)):
        raise Forbidden(f"the budget was set by {kept.budget.owner!r}, above the caller's tenant")
    return kept


def _may_see(caller: Caller, kept: Kept) -> bool:
    """Return whether a budget is of the caller's tenant, of one below, or of one above it."""
    path = parts(kept.path)
    return may_touch(caller, path) or kept.budget.tenant in caller.path


ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        PLACE,
        page,
        "budgets.page",
        text="Return the budgets that concern the caller's tenant, and what is spent of them.",
        gives=tuple[Budget, ...],
    ),
    Route(
        "POST",
        PLACE,
        create,
        "budgets.create",
        key="whole",
        text="Say what a tenant and those below may spend in a month, and what happens then.",
        takes=NewBudget,
        gives=Budget,
        status=201,
    ),
    Route("GET", ONE, show, "budgets.get", text="Return one budget.", gives=Budget),
    Route(
        "PATCH",
        ONE,
        change,
        "budgets.update",
        text="Change a budget; warnings are told anew.",
        takes=BudgetChange,
        gives=Budget,
    ),
    Route("DELETE", ONE, destroy, "budgets.destroy", text="Remove a budget.", status=204),
)
