"""What requests for consoles ask, from JSON, a form or the query."""

from collections.abc import Mapping
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import Request
from starlette.types import Receive

from nimbi.model.consoles import ConsoleKind
from nimbi.model.errors import Invalid

LONGEST_BODY = 64 * 1024
MOST_FIELDS = 20
LONGEST_NAME = 256
EXPIRES_S = (1, 600)
EXPIRES_DEFAULT_S = 60


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Which instance is meant. No driver is the server's own, no provider the driver's."""

    instance_id: str
    driver: str | None = None
    provider: str | None = None


class NewConsole(Place, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A console to open. `expires` is in how many seconds its address is over."""

    kind: ConsoleKind = ConsoleKind.SERIAL
    expires: int = EXPIRES_DEFAULT_S


class Gone(Exception):
    """The client left."""


async def new_console(request: Request) -> NewConsole:
    """Return what the body asks. Raises Invalid, Gone."""
    body = await _body(request.receive)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if kind == "application/json":
            asked = msgspec.json.decode(body, type=NewConsole)
        elif kind in {"application/x-www-form-urlencoded", ""}:
            asked = msgspec.convert(_pairs(body.decode()), NewConsole, strict=False)
        else:
            raise Invalid("a console is asked for by JSON or by a form")
    except (msgspec.MsgspecError, ValueError) as error:
        raise Invalid(f"the request for a console is wrong: {_first_line(error)}") from error
    if not EXPIRES_S[0] <= asked.expires <= EXPIRES_S[1]:
        raise Invalid(f"expires is {EXPIRES_S[0]} to {EXPIRES_S[1]} seconds, not {asked.expires}")
    _check(asked)
    return asked


def place(query: bytes) -> Place:
    """Return what a query asks. Raises Invalid."""
    try:
        asked = msgspec.convert(_pairs(query.decode()), Place, strict=False)
    except (msgspec.MsgspecError, ValueError) as error:
        raise Invalid(f"the request is wrong: {_first_line(error)}") from error
    _check(asked)
    return asked


def _check(asked: Place) -> None:
    for name in ("instance_id", "driver", "provider"):
        value = getattr(asked, name)
        if value is not None and not (0 < len(value) <= LONGEST_NAME and value.isprintable()):
            raise Invalid(f"{name} is not one that can exist")


async def _body(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        body += message.get("body", b"")
        if len(body) > LONGEST_BODY:
            raise Invalid(f"the request for a console has more than {LONGEST_BODY} bytes")
        if not message.get("more_body", False):
            return bytes(body)


def _pairs(text: str) -> Mapping[str, str]:
    pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict")
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a field comes twice")
    return found


def _first_line(error: Exception) -> str:
    if isinstance(error, msgspec.MsgspecError):
        return str(error).partition("\n")[0][:LONGEST_NAME]
    return "it is no list of names and values, each once"
