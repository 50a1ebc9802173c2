"""Orphans: what Nimbi made, and nobody owns."""

from nimbi.frontends.native.answer import Answer, json_answer, nothing
from nimbi.frontends.native.exchange import Exchange
from nimbi.frontends.native.names import names
from nimbi.frontends.native.route import Route
from nimbi.model.inventory import Orphan

PLACE = "/v1/orphans"
ONE = "/v1/accounts/{account}/orphans/{collection}/{id}"


async def page(exchange: Exchange) -> Answer:
    """Answer with the orphans of the accounts that the caller may look at."""
    found = await exchange.broker.orphans.list(names(exchange, "account"), exchange.caller)
    return json_answer({"items": found})


async def destroy(exchange: Exchange) -> Answer:
    await exchange.broker.orphans.remove(*_named(exchange), exchange.caller)
    return nothing()


async def adopt(exchange: Exchange) -> Answer:
    await exchange.broker.orphans.adopt(*_named(exchange), exchange.caller)
    return nothing()


def _named(exchange: Exchange) -> tuple[str, str, str]:
    told = exchange.arguments
    return told["account"], told["collection"], told["id"]


ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        PLACE,
        page,
        None,
        frozenset({"account"}),
        text="Return what Nimbi made, or may have made, and nobody owns; asks no cloud.",
        gives=tuple[Orphan, ...],
    ),
    Route(
        "DELETE",
        ONE,
        destroy,
        "orphans.destroy",
        text="Destroy an orphan in its cloud.",
        status=204,
    ),
    Route(
        "POST",
        ONE + "/adopt",
        adopt,
        "orphans.adopt",
        key="whole",
        text="Keep it: it is no orphan any more.",
        status=204,
    ),
)
