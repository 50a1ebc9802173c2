"""Prices: what a unit of what is used costs."""

import msgspec

from nimbi.broker.access import check
from nimbi.frontends.native.answer import Answer, json_answer, nothing
from nimbi.frontends.native.exchange import Exchange
from nimbi.frontends.native.problems import bad_request
from nimbi.frontends.native.route import Route
from nimbi.model.errors import Forbidden
from nimbi.model.metering import Imported, Meter, NewPrices, Price
from nimbi.model.people import ROOT

PLACE = "/v1/prices"
ONE = PLACE + "/{id}"
LARGEST_LIMIT = 1000


class PricePage(msgspec.Struct, frozen=True):
    """Some prices, in the order of their ids; `next` is the marker of the rest."""

    items: tuple[Price, ...]
    next: str | None = None


async def page(exchange: Exchange) -> Answer:
    limit = exchange.number("limit", 100, 1, LARGEST_LIMIT)
    found = await exchange.broker.metering.prices.page(
        account=exchange.query.get("account"),
        meter=_meter(exchange),
        after=exchange.query.get("marker", ""),
        limit=limit,
    )
    return json_answer(PricePage(found, found[-1].id if len(found) == limit else None))


async def create(exchange: Exchange) -> Answer:
    new = await exchange.decoded(NewPrices)
    prices = exchange.broker.metering.prices
    told = prices.read(new)
    for account in {price.account for price in told}:
        _check(exchange, "prices.create", account)
    return json_answer(await prices.add(told, new), 201)


async def show(exchange: Exchange) -> Answer:
    return json_answer(await exchange.broker.metering.prices.get(exchange.arguments["id"]))


async def end(exchange: Exchange) -> Answer:
    prices, id = exchange.broker.metering.prices, exchange.arguments["id"]
    _check(exchange, "prices.destroy", (await prices.get(id)).account)
    await prices.end(id)
    return nothing()


def _check(exchange: Exchange, operation: str, account: str | None) -> None:
    """Raise Forbidden unless the caller says what an account costs: it owns it, or all."""
    caller = exchange.caller
    check(caller, operation, account)
    is_owned = account is not None and (caller.owned is None or account in caller.owned)
    if caller.tenant != ROOT and not is_owned:
        what = "all accounts" if account is None else f"the account {account!r}"
        raise Forbidden(f"{caller.name} may not say what {what} cost")


def _meter(exchange: Exchange) -> Meter | None:
    told = exchange.query.get("meter")
    if told is None:
        return None
    try:
        return Meter(told)
    except ValueError as error:
        raise bad_request(f"meter is one of {', '.join(Meter)}") from error


ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        PLACE,
        page,
        "prices.page",
        frozenset({"account", "meter", "limit", "marker"}),
        text="Return prices: those of an account and those of all, each with its source and age.",
        gives=PricePage,
    ),
    Route(
        "POST",
        PLACE,
        create,
        "prices.create",
        key="whole",
        text="Keep prices, all or none; one that says what holds already changes nothing.",
        takes=NewPrices,
        gives=Imported,
        status=201,
    ),
    Route("GET", ONE, show, "prices.get", text="Return one price.", gives=Price),
    Route(
        "DELETE",
        ONE,
        end,
        "prices.destroy",
        text="Let a price hold no longer from now on; what was used before is charged by it.",
        status=204,
    ),
)
