"""Who asks: a token, as Bearer or as the password of HTTP Basic."""

from typing import TYPE_CHECKING

from nimbi.frontends.native.exchange import Exchange
from nimbi.model.errors import Forbidden, Unauthorized
from nimbi.wire.basic import MalformedLogin, basic_login
from nimbi.wire.origin import is_cross_site

if TYPE_CHECKING:
    from nimbi.broker.access import Caller

# Asks for a token (RFC 6750, section 3). Not for Basic: a browser would ask its user for one.
CHALLENGE = (b"www-authenticate", b'Bearer realm="nimbi"')

# A token has 43 characters and some; what is far longer is none.
LONGEST = 512

READING = frozenset({"GET", "HEAD"})


async def caller_of(exchange: Exchange) -> "Caller":
    """Return who asks. Raises Unauthorized, and Throttled for who guesses."""
    told = exchange.headers.get(b"authorization")
    if told is None:
        raise Unauthorized("a token is needed: Authorization: Bearer TOKEN")
    scheme, _, secret = told.partition(b" ")
    people = exchange.broker.people
    kind = scheme.lower()
    if kind == b"bearer":
        return await people.caller_of(_token(secret), exchange.where)
    if kind == b"basic":
        return await _of_basic(exchange, told)
    raise Unauthorized("the login is neither Bearer nor Basic: Authorization: Bearer TOKEN")


async def _of_basic(exchange: Exchange, told: bytes) -> "Caller":
    # Browsers send such a login along with what a foreign page makes them ask.
    if exchange.method not in READING and is_foreign(exchange):
        raise Forbidden("a page of another site may not do this")
    try:
        login = basic_login(told)
    except MalformedLogin as error:
        raise Unauthorized(f"the login cannot be read: {error}") from error
    if login is None or len(login.password) > LONGEST:
        raise Unauthorized("this is no token")
    return await exchange.broker.people.caller_of_basic(login.user, login.password, exchange.where)


def secret_of(exchange: Exchange) -> str:
    """Return the token that a request has brought along, once `caller_of` has taken it."""
    told = exchange.headers[b"authorization"]
    login = basic_login(told)
    return login.password if login is not None else _token(told.partition(b" ")[2])


def is_foreign(exchange: Exchange) -> bool:
    """Return whether a page of another site caused the request."""
    names = ("origin", "sec-fetch-site", "host")
    return is_cross_site(
        {
            name: exchange.headers[name.encode()].decode("latin-1")
            for name in names
            if name.encode() in exchange.headers
        }
    )


def _token(secret: bytes) -> str:
    text = secret.strip()
    if not text or len(text) > LONGEST or not text.isascii():
        raise Unauthorized("this is no token")
    return text.decode("ascii")
