"""Signing in through an OpenID Connect provider, over HTTP."""

from datetime import datetime

import msgspec

from nimbi.broker.openid.sign_ins import SignIns, Wanted
from nimbi.frontends.native.answer import Answer, header, json_answer, nothing
from nimbi.frontends.native.exchange import Exchange
from nimbi.frontends.native.login import is_foreign
from nimbi.frontends.native.problems import bad_request
from nimbi.frontends.native.route import Route
from nimbi.model.errors import Forbidden, NotFound
from nimbi.model.tokens import CreatedToken, Scope

PLACE = "/v1/openid"
CALLBACK = PLACE + "/callback"

# What providers add to the way back, beside what the standard has.
EXTRAS = frozenset({"session_state", "scope", "authuser", "hd", "prompt", "client_info"})
ANSWERS = frozenset({"state", "code", "iss", "error", "error_description", "error_uri"})

LONGEST = 4096

# Without a provider, and of one that does not answer.
FAILS = frozenset({404, 503, 504})


class Ways(msgspec.Struct, frozen=True, kw_only=True):
    """How one signs in here, beside by password."""

    issuer: str
    has_devices: bool


class Begin(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Begin a sign-in whose code comes to `return_to`, http://127.0.0.1:PORT/PATH, with `state`.

    `challenge` is the S256 of RFC 7636 over a verifier that fetches the token in the end.
    """

    return_to: str
    challenge: str
    state: str = ""


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """Where a browser is to go."""

    url: str


class Fetch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask for the token of a sign-in. The token is as `NewToken` says."""

    code: str
    verifier: str
    name: str = "login"
    scopes: tuple[Scope, ...] = (Scope(),)
    expires_at: datetime | None = None
    tenant: str | None = None

    def __repr__(self) -> str:
        return f"Fetch(name={self.name!r}, …)"


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """Sign in on another device: at `url`, by `user_code`; ask again every `interval_s`."""

    device_code: str
    user_code: str
    url: str
    whole_url: str | None
    expires_s: int
    interval_s: int

    def __repr__(self) -> str:
        return "Device(…)"


class Poll(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask for the token of a sign-in on another device."""

    device_code: str
    name: str = "login"
    scopes: tuple[Scope, ...] = (Scope(),)
    expires_at: datetime | None = None
    tenant: str | None = None

    def __repr__(self) -> str:
        return f"Poll(name={self.name!r}, …)"


async def ways(exchange: Exchange) -> Answer:
    about = await _sign_ins(exchange).provider.about()
    has_devices = about.device_authorization_endpoint is not None
    return json_answer(Ways(issuer=about.issuer, has_devices=has_devices))


async def begin(exchange: Exchange) -> Answer:
    sign_ins, told = _own(exchange), await exchange.decoded(Begin)
    callback = sign_ins.provider.options.callback or f"{exchange.origin}{CALLBACK}"
    url = await sign_ins.begin(
        callback=callback, return_to=told.return_to, echo=told.state, challenge=told.challenge
    )
    return json_answer(Begun(url=url))


async def callback(exchange: Exchange) -> Answer:
    """Send a browser that comes from the provider on, to the program that began."""
    told = exchange.query
    if "state" not in told or any(len(value) > LONGEST for value in told.values()):
        raise bad_request("this is the way back from a sign-in, which this is not")
    onward = await _sign_ins(exchange).came_back(
        state=told["state"],
        code=told.get("code"),
        issuer=told.get("iss"),
        error=told.get("error"),
    )
    # The code is in the address: it goes to nobody as where one comes from, and into no cache.
    headers = (
        header("location", onward),
        (b"referrer-policy", b"no-referrer"),
        (b"cache-control", b"no-store"),
    )
    return Answer(303, b"", None, headers)


async def fetch(exchange: Exchange) -> Answer:
    sign_ins, told = _own(exchange), await exchange.decoded(Fetch)
    exchange.caller, made = await sign_ins.fetched(told.code, told.verifier, _wanted(told))
    return json_answer(made, 201)


async def device(exchange: Exchange) -> Answer:
    code = await _own(exchange).device()
    return json_answer(
        Device(
            device_code=code.device_code,
            user_code=code.user_code,
            url=code.verification_uri,
            whole_url=code.verification_uri_complete,
            expires_s=code.expires_in,
            interval_s=max(1, code.interval),
        )
    )


async def poll(exchange: Exchange) -> Answer:
    sign_ins, told = _own(exchange), await exchange.decoded(Poll)
    found = await sign_ins.polled(told.device_code, _wanted(told))
    if found is None:
        return nothing()
    exchange.caller, made = found
    return json_answer(made, 201)


def _wanted(told: Fetch | Poll) -> Wanted:
    return Wanted(
        name=told.name, scopes=told.scopes, expires_at=told.expires_at, tenant=told.tenant
    )


def _own(exchange: Exchange) -> SignIns:
    if is_foreign(exchange):
        raise Forbidden("a page of another site may not do this")
    return _sign_ins(exchange)


def _sign_ins(exchange: Exchange) -> SignIns:
    found = exchange.broker.sign_ins
    if found is None:
        raise NotFound("this server has no provider to sign in through: see openid_issuer")
    return found


ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        PLACE,
        ways,
        None,
        text="Return the OpenID Connect provider to sign in through.",
        gives=Ways,
        is_open=True,
        fails=FAILS,
    ),
    Route(
        "POST",
        PLACE,
        begin,
        None,
        text="Begin a sign-in in a browser.",
        takes=Begin,
        gives=Begun,
        is_open=True,
        fails=FAILS,
    ),
    Route(
        "GET",
        CALLBACK,
        callback,
        None,
        ANSWERS | EXTRAS,
        text="Where the provider sends a browser back to; it is sent on.",
        status=303,
        is_open=True,
        fails=FAILS,
    ),
    Route(
        "POST",
        PLACE + "/token",
        fetch,
        None,
        text="Return a token for the code of a sign-in, once. Its secret is told this once.",
        takes=Fetch,
        gives=CreatedToken,
        status=201,
        is_open=True,
        fails=FAILS,
    ),
    Route(
        "POST",
        PLACE + "/device",
        device,
        None,
        text="Begin a sign-in on another device.",
        gives=Device,
        is_open=True,
        fails=FAILS,
    ),
    Route(
        "POST",
        PLACE + "/poll",
        poll,
        None,
        text="Return a token once somebody has signed in on another device; 204 before.",
        takes=Poll,
        gives=CreatedToken,
        status=201,
        is_open=True,
        fails=FAILS,
    ),
)
