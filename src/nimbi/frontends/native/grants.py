"""Grants: who has which role at which tenant."""

from nimbi.frontends.native.answer import Answer, created, json_answer, nothing
from nimbi.frontends.native.exchange import Exchange
from nimbi.frontends.native.route import Route
from nimbi.model.people import Grant, NewGrant

PLACE = "/v1/grants"
ONE = PLACE + "/{id}"


async def page(exchange: Exchange) -> Answer:
    found = await exchange.broker.rights.grants.page(
        exchange.caller,
        user=exchange.query.get("user"),
        group=exchange.query.get("group"),
        tenant=exchange.query.get("tenant"),
    )
    return json_answer({"items": found})


async def create(exchange: Exchange) -> Answer:
    new = await exchange.decoded(NewGrant)
    made = await exchange.broker.rights.grants.create(exchange.caller, new)
    return created(made, f"{PLACE}/{made.id}")


async def show(exchange: Exchange) -> Answer:
    grants = exchange.broker.rights.grants
    return json_answer(await grants.get(exchange.caller, exchange.arguments["id"]))


async def destroy(exchange: Exchange) -> Answer:
    await exchange.broker.rights.grants.destroy(exchange.caller, exchange.arguments["id"])
    return nothing()


ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        PLACE,
        page,
        "grants.page",
        frozenset({"user", "group", "tenant"}),
        text="Return who has which role in the caller's tenant and below, the oldest first.",
        gives=tuple[Grant, ...],
    ),
    Route(
        "POST",
        PLACE,
        create,
        "grants.create",
        key="whole",
        text="Give a role at a tenant, and at all below it, to a user or a group.",
        takes=NewGrant,
        gives=Grant,
        status=201,
    ),
    Route("GET", ONE, show, "grants.get", text="Return one grant.", gives=Grant),
    Route("DELETE", ONE, destroy, "grants.destroy", text="Take a role back.", status=204),
)
