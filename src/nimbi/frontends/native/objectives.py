"""Objectives: how good checks are meant to be, and how good they are."""

from nimbi.frontends.native.answer import Answer, created, json_answer, nothing
from nimbi.frontends.native.exchange import Exchange
from nimbi.frontends.native.route import Route
from nimbi.model.objectives import NewObjective, Objective

PLACE = "/v1/objectives"
ONE = PLACE + "/{id}"


async def page(exchange: Exchange) -> Answer:
    return json_answer({"items": await exchange.broker.health.objectives(exchange.caller)})


async def create(exchange: Exchange) -> Answer:
    new = await exchange.decoded(NewObjective)
    made = await exchange.broker.health.create_objective(exchange.caller, new)
    return created(made, f"{PLACE}/{made.id}")


async def show(exchange: Exchange) -> Answer:
    id = exchange.arguments["id"]
    return json_answer(await exchange.broker.health.objective(exchange.caller, id))


async def destroy(exchange: Exchange) -> Answer:
    await exchange.broker.health.destroy_objective(exchange.caller, exchange.arguments["id"])
    return nothing()


ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        PLACE,
        page,
        "objectives.page",
        text="Return all objectives, the oldest first, and how they stand.",
        gives=tuple[Objective, ...],
    ),
    Route(
        "POST",
        PLACE,
        create,
        "objectives.create",
        key="whole",
        text="Say how many results of some checks are to be good.",
        takes=NewObjective,
        gives=Objective,
        status=201,
    ),
    Route(
        "GET",
        ONE,
        show,
        "objectives.get",
        text="Return one objective and how it stands.",
        gives=Objective,
    ),
    Route(
        "DELETE",
        ONE,
        destroy,
        "objectives.destroy",
        text="Remove an objective; its alerts are over.",
        status=204,
    ),
)
