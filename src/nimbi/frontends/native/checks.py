"""Health checks: what is looked after, what was found, and what was done."""

from nimbi.frontends.native.answer import Answer, created, json_answer, nothing
from nimbi.frontends.native.exchange import Exchange
from nimbi.frontends.native.route import Route
from nimbi.model.checks import HealthCheck, NewCheck, TakenAction

PLACE = "/v1/checks"
ONE = PLACE + "/{id}"


async def page(exchange: Exchange) -> Answer:
    found = await exchange.broker.health.checks(exchange.caller, exchange.query.get("account"))
    return json_answer({"items": found})


async def create(exchange: Exchange) -> Answer:
    new = await exchange.decoded(NewCheck)
    made = await exchange.broker.health.create_check(exchange.caller, new)
    return created(made, f"{PLACE}/{made.id}")


async def show(exchange: Exchange) -> Answer:
    return json_answer(await exchange.broker.health.check(exchange.caller, _id(exchange)))


async def actions(exchange: Exchange) -> Answer:
    found = await exchange.broker.health.actions(exchange.caller, _id(exchange))
    return json_answer({"items": found})


async def enable(exchange: Exchange) -> Answer:
    return await _switched(exchange, is_enabled=True)


async def disable(exchange: Exchange) -> Answer:
    return await _switched(exchange, is_enabled=False)


async def destroy(exchange: Exchange) -> Answer:
    await exchange.broker.health.destroy_check(exchange.caller, _id(exchange))
    return nothing()


def _id(exchange: Exchange) -> str:
    return exchange.arguments["id"]


async def _switched(exchange: Exchange, *, is_enabled: bool) -> Answer:
    health = exchange.broker.health
    found = await health.switch_check(exchange.caller, _id(exchange), is_enabled=is_enabled)
    return json_answer(found)


# A check belongs to an account and a tenant, which only its own row tells: each handler asks.
ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        PLACE,
        page,
        None,
        frozenset({"account"}),
        text="Return all checks, the oldest first, with what they said last.",
        gives=tuple[HealthCheck, ...],
    ),
    Route(
        "POST",
        PLACE,
        create,
        None,
        key="whole",
        text="Look after an instance or an account from now on.",
        takes=NewCheck,
        gives=HealthCheck,
        status=201,
    ),
    Route("GET", ONE, show, None, text="Return one check.", gives=HealthCheck),
    Route(
        "GET",
        ONE + "/actions",
        actions,
        None,
        text="Return what was done when it failed, the last first: each is a job.",
        gives=tuple[TakenAction, ...],
    ),
    Route(
        "POST",
        ONE + "/enable",
        enable,
        None,
        key="whole",
        text="Make it again, as if it were new.",
        gives=HealthCheck,
    ),
    Route(
        "POST",
        ONE + "/disable",
        disable,
        None,
        key="whole",
        text="Make it no more; its alert is over.",
        gives=HealthCheck,
    ),
    Route("DELETE", ONE, destroy, None, text="Remove a check and its results.", status=204),
)
