"""Roles: ordered rules over operations."""

from nimbi.frontends.native.answer import Answer, created, json_answer, nothing
from nimbi.frontends.native.exchange import Exchange
from nimbi.frontends.native.route import Route
from nimbi.model.people import NewRole, Role, RoleChange

PLACE = "/v1/roles"
ONE = PLACE + "/{id}"


async def page(exchange: Exchange) -> Answer:
    return json_answer({"items": await exchange.broker.rights.roles.page(exchange.caller)})


async def create(exchange: Exchange) -> Answer:
    new = await exchange.decoded(NewRole)
    made = await exchange.broker.rights.roles.create(exchange.caller, new)
    return created(made, f"{PLACE}/{made.id}")


async def show(exchange: Exchange) -> Answer:
    roles = exchange.broker.rights.roles
    return json_answer(await roles.get(exchange.caller, exchange.arguments["id"]))


async def change(exchange: Exchange) -> Answer:
    wish = await exchange.decoded(RoleChange)
    roles, id = exchange.broker.rights.roles, exchange.arguments["id"]
    return json_answer(await roles.change(exchange.caller, id, wish))


async def destroy(exchange: Exchange) -> Answer:
    await exchange.broker.rights.roles.destroy(exchange.caller, exchange.arguments["id"])
    return nothing()


ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        PLACE,
        page,
        "roles.page",
        text="Return built-in roles, and those of the caller's tenant, above and below.",
        gives=tuple[Role, ...],
    ),
    Route(
        "POST",
        PLACE,
        create,
        "roles.create",
        key="whole",
        text="Make a role, which may not allow more than the caller has.",
        takes=NewRole,
        gives=Role,
        status=201,
    ),
    Route("GET", ONE, show, "roles.get", text="Return one role, by id or name.", gives=Role),
    Route(
        "PATCH",
        ONE,
        change,
        "roles.update",
        text="Change the rules of a role for all who have it.",
        takes=RoleChange,
        gives=Role,
    ),
    Route(
        "DELETE", ONE, destroy, "roles.destroy", text="Remove a role that nobody has.", status=204
    ),
)
