"""Tokens, and the login that gives one for a password."""

from datetime import datetime

import msgspec

from nimbi.broker.access import Caller
from nimbi.frontends.native.answer import Answer, created, json_answer, nothing
from nimbi.frontends.native.exchange import Exchange
from nimbi.frontends.native.login import is_foreign
from nimbi.frontends.native.route import Route
from nimbi.model.errors import Forbidden
from nimbi.model.people import RoleRule
from nimbi.model.tokens import CreatedToken, NewToken, Scope, Token

PLACE = "/v1/tokens"
ONE = PLACE + "/{id}"


class SignIn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask for a token by user and password. The token is as `NewToken` says.

    `tenant` is the id of a domain or project, or its place (`acme/web`).
    """

    user: str
    password: str
    name: str = "login"
    scopes: tuple[Scope, ...] = (Scope(),)
    expires_at: datetime | None = None
    tenant: str | None = None

    def __repr__(self) -> str:
        return f"SignIn(user={self.user!r}, …)"


class Me(msgspec.Struct, frozen=True, kw_only=True):
    """Who the caller is, and where it acts; `rules` are what its roles come to there."""

    id: str
    name: str
    scopes: tuple[Scope, ...]
    expires_at: datetime | None
    user: str
    tenant: str
    rules: tuple[RoleRule, ...]


async def sign_in(exchange: Exchange) -> Answer:
    """Answer with a new token for whoever knows the password."""
    if is_foreign(exchange):
        raise Forbidden("a page of another site may not do this")
    told = await exchange.decoded(SignIn)
    people = exchange.broker.people
    exchange.caller = caller = await people.sign_in(
        told.user, told.password, exchange.where, told.tenant
    )
    new = NewToken(name=told.name, scopes=told.scopes, expires_at=told.expires_at)
    return json_answer(await people.create_token(caller, new), 201)


async def me(exchange: Exchange) -> Answer:
    caller: Caller = exchange.caller
    return json_answer(
        Me(
            id=caller.id,
            name=caller.name,
            scopes=caller.scopes,
            expires_at=caller.expires_at,
            user=caller.user,
            tenant=caller.tenant,
            rules=caller.rules,
        )
    )


async def sign_out(exchange: Exchange) -> Answer:
    """End the token by which this is asked."""
    await exchange.broker.people.sign_out(exchange.caller)
    return nothing()


async def page(exchange: Exchange) -> Answer:
    return json_answer({"items": await exchange.broker.people.tokens(exchange.caller)})


async def create(exchange: Exchange) -> Answer:
    new = await exchange.decoded(NewToken)
    made = await exchange.broker.people.create_token(exchange.caller, new)
    return created(made, f"{PLACE}/{made.token.id}")


async def show(exchange: Exchange) -> Answer:
    people = exchange.broker.people
    return json_answer(await people.token(exchange.arguments["id"], exchange.caller))


async def revoke(exchange: Exchange) -> Answer:
    await exchange.broker.people.revoke(exchange.arguments["id"], exchange.caller)
    return nothing()


ROUTES: tuple[Route, ...] = (
    Route(
        "POST",
        "/v1/login",
        sign_in,
        None,
        text="Return a token for a user and password. Its secret is told this once.",
        takes=SignIn,
        gives=CreatedToken,
        status=201,
        is_open=True,
    ),
    Route("GET", "/v1/login", me, None, text="Return whose token this is.", gives=Me),
    Route("DELETE", "/v1/login", sign_out, None, text="End this token at once.", status=204),
    Route(
        "GET",
        PLACE,
        page,
        "tokens.page",
        text="Return all tokens, the oldest first, without their secrets.",
        gives=tuple[Token, ...],
    ),
    Route(
        "POST",
        PLACE,
        create,
        "tokens.create",
        key="whole",
        text="Make a token that may do no more than the caller's. Its secret is told this once.",
        takes=NewToken,
        gives=CreatedToken,
        status=201,
    ),
    Route("GET", ONE, show, "tokens.get", text="Return one token.", gives=Token),
    Route("DELETE", ONE, revoke, "tokens.destroy", text="End a token at once.", status=204),
)
