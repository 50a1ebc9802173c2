"""Whose accounts are, and which tenants they are lent to."""

from nimbi.frontends.native.answer import Answer, json_answer, nothing
from nimbi.frontends.native.exchange import Exchange
from nimbi.frontends.native.route import Route
from nimbi.model.accounts import Account
from nimbi.model.people import Lend, NewLend

ACCOUNT = "/v1/accounts/{account}"
PLACE = ACCOUNT + "/lends"


async def page(exchange: Exchange) -> Answer:
    lends, account = exchange.broker.rights.lends, exchange.arguments["account"]
    return json_answer({"items": await lends.page(exchange.caller, account)})


async def lend(exchange: Exchange) -> Answer:
    new = await exchange.decoded(NewLend)
    lends, account = exchange.broker.rights.lends, exchange.arguments["account"]
    await lends.lend(exchange.caller, account, new.tenant)
    return nothing()


async def unlend(exchange: Exchange) -> Answer:
    lends, told = exchange.broker.rights.lends, exchange.arguments
    await lends.unlend(exchange.caller, told["account"], told["tenant"])
    return nothing()


async def move(exchange: Exchange) -> Answer:
    new = await exchange.decoded(NewLend)
    lends, account = exchange.broker.rights.lends, exchange.arguments["account"]
    return json_answer(await lends.move(exchange.caller, account, new.tenant))


ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        PLACE,
        page,
        "accounts.lends",
        text="Return which tenants an account is lent to.",
        gives=tuple[Lend, ...],
    ),
    Route(
        "POST",
        PLACE,
        lend,
        "accounts.lend",
        key="whole",
        text="Let a tenant, and all below it, use an account that is another's.",
        takes=NewLend,
        status=204,
    ),
    Route(
        "DELETE",
        PLACE + "/{tenant}",
        unlend,
        "accounts.unlend",
        text="Let a tenant use an account no longer.",
        status=204,
    ),
    Route(
        "POST",
        ACCOUNT + "/move",
        move,
        "accounts.move",
        key="whole",
        text="Give an account to another tenant.",
        takes=NewLend,
        gives=Account,
    ),
)
