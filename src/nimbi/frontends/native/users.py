"""Users: people who sign in, and programs that have tokens."""

from nimbi.frontends.native.answer import Answer, created, json_answer, nothing
from nimbi.frontends.native.exchange import Exchange
from nimbi.frontends.native.route import Route
from nimbi.model.people import NewUser, User, UserChange

PLACE = "/v1/users"
ONE = PLACE + "/{id}"


async def page(exchange: Exchange) -> Answer:
    return json_answer({"items": await exchange.broker.rights.users.page(exchange.caller)})


async def create(exchange: Exchange) -> Answer:
    new = await exchange.decoded(NewUser)
    made = await exchange.broker.rights.users.create(exchange.caller, new)
    return created(made, f"{PLACE}/{made.id}")


async def show(exchange: Exchange) -> Answer:
    users = exchange.broker.rights.users
    return json_answer(await users.get(exchange.caller, exchange.arguments["id"]))


async def change(exchange: Exchange) -> Answer:
    """Change a user, or one's own password; which of them decides what is asked of the caller."""
    wish = await exchange.decoded(UserChange)
    users, id = exchange.broker.rights.users, exchange.arguments["id"]
    return json_answer(await users.change(exchange.caller, id, wish, exchange.where))


async def destroy(exchange: Exchange) -> Answer:
    await exchange.broker.rights.users.destroy(exchange.caller, exchange.arguments["id"])
    return nothing()


ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        PLACE,
        page,
        "users.page",
        text="Return the users of the caller's tenant and below, by name.",
        gives=tuple[User, ...],
    ),
    Route(
        "POST",
        PLACE,
        create,
        "users.create",
        key="whole",
        text="Make a user, who has no role yet.",
        takes=NewUser,
        gives=User,
        status=201,
    ),
    Route("GET", ONE, show, None, text="Return one user, by id or name.", gives=User),
    Route(
        "PATCH",
        ONE,
        change,
        None,
        text="Change what is told of a user; everybody may change a password of their own.",
        takes=UserChange,
        gives=User,
    ),
    Route(
        "DELETE",
        ONE,
        destroy,
        "users.destroy",
        text="Remove a user with its tokens and roles.",
        status=204,
    ),
)
