"""Groups of users."""

from nimbi.frontends.native.answer import Answer, created, json_answer, nothing
from nimbi.frontends.native.exchange import Exchange
from nimbi.frontends.native.route import Route
from nimbi.model.people import Group, NewGroup

PLACE = "/v1/groups"
ONE = PLACE + "/{id}"
MEMBER = ONE + "/members/{user}"


async def page(exchange: Exchange) -> Answer:
    return json_answer({"items": await exchange.broker.rights.groups.page(exchange.caller)})


async def create(exchange: Exchange) -> Answer:
    new = await exchange.decoded(NewGroup)
    made = await exchange.broker.rights.groups.create(exchange.caller, new)
    return created(made, f"{PLACE}/{made.id}")


async def show(exchange: Exchange) -> Answer:
    groups = exchange.broker.rights.groups
    return json_answer(await groups.get(exchange.caller, exchange.arguments["id"]))


async def add_member(exchange: Exchange) -> Answer:
    groups, told = exchange.broker.rights.groups, exchange.arguments
    return json_answer(await groups.add_member(exchange.caller, told["id"], told["user"]))


async def remove_member(exchange: Exchange) -> Answer:
    groups, told = exchange.broker.rights.groups, exchange.arguments
    await groups.remove_member(exchange.caller, told["id"], told["user"])
    return nothing()


async def destroy(exchange: Exchange) -> Answer:
    await exchange.broker.rights.groups.destroy(exchange.caller, exchange.arguments["id"])
    return nothing()


ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        PLACE,
        page,
        "groups.page",
        text="Return the groups of the caller's tenant and below, with their members.",
        gives=tuple[Group, ...],
    ),
    Route(
        "POST",
        PLACE,
        create,
        "groups.create",
        key="whole",
        text="Make a group without members.",
        takes=NewGroup,
        gives=Group,
        status=201,
    ),
    Route("GET", ONE, show, "groups.get", text="Return one group, by id or name.", gives=Group),
    Route(
        "PUT",
        MEMBER,
        add_member,
        "groups.add_member",
        text="Put a user in a group; nothing happens when it is in it.",
        gives=Group,
    ),
    Route(
        "DELETE",
        MEMBER,
        remove_member,
        "groups.remove_member",
        text="Take a user out of a group.",
        status=204,
    ),
    Route("DELETE", ONE, destroy, "groups.destroy", text="Remove a group.", status=204),
)
