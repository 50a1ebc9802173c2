"""One request on its way to an answer."""

import re
from collections.abc import Container, Mapping, MutableMapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

import msgspec

from nimbi.frontends.native.problems import Problem, bad_request
from nimbi.gateway.audit import REQUEST_ID
from nimbi.gateway.cloud import Cloud
from nimbi.model.errors import Invalid
from nimbi.wire.request_body import BodyTooLarge, MalformedBody, media_type, whole

if TYPE_CHECKING:
    from nimbi.broker.access import Caller
    from nimbi.broker.site import Broker
    from nimbi.gateway.tickets import Tickets

T = TypeVar("T")

LONGEST_HOST = 255
_HOST = re.compile(r"[A-Za-z0-9._~-]+(:[0-9]{0,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{0,5})?")

# More digits than any number here has.
DIGITS = 18

NOTHING: Mapping[str, str] = {}


class Exchange:
    """A request that has been understood as far as its route tells.

    `arguments` are the parts of the path that vary, decoded, by the template's names; `query` the
    parameters of the query string, of which all are known to the route. `headers` are by lower-case
    name, of one that comes twice the first. `caller` is who asks, None where no token is needed;
    `cloud` the account's session where the route opens it. `token` is that of the new thing which
    a request with an Idempotency-Key makes, None without one. `tickets` are for consoles.
    """

    __slots__ = (
        "_body",
        "_max_body_bytes",
        "_request_id",
        "arguments",
        "broker",
        "caller",
        "cloud",
        "extensions",
        "headers",
        "method",
        "query",
        "raw_path",
        "receive",
        "scope",
        "started",
        "tickets",
        "token",
    )

    caller: "Caller"
    cloud: Cloud

    def __init__(
        self,
        scope: MutableMapping[str, Any],
        receive: Any,
        broker: "Broker",
        max_body_bytes: int,
        tickets: "Tickets | None" = None,
    ) -> None:
        self.scope = scope
        self.method: str = scope["method"]
        self.raw_path: bytes = scope.get("raw_path") or b""
        self.headers: Mapping[bytes, bytes] = folded(scope["headers"])
        self.extensions: Container[str] = scope.get("extensions") or ()
        self.receive = receive
        self.broker = broker
        self.arguments: Mapping[str, str] = NOTHING
        self.query: Mapping[str, str] = NOTHING
        self._request_id: str | None = None
        self.started = False
        self.tickets = tickets
        self.token: str | None = None
        self._max_body_bytes = max_body_bytes
        self._body: bytes | None = None

    @property
    def request_id(self) -> str:
        """Return the request's id, made up when the server gave none."""
        if self._request_id is None:
            self._request_id = REQUEST_ID.get() or uuid4().hex
        return self._request_id

    @property
    def account(self) -> str | None:
        """Return the account in the path, None for a route over all."""
        return self.arguments.get("account")

    @property
    def where(self) -> str | None:
        """Return the client's address, for counting its failures; None if unknown."""
        client = self.scope.get("client")
        return str(client[0]) if client else None

    @property
    def origin(self) -> str:
        """Return scheme, host and mount path as the client sees them: `http://host:3001`.

        Raises Problem when the request names no host.
        """
        host = self.headers.get(b"host", b"").decode("latin-1")
        if len(host) > LONGEST_HOST or not _HOST.fullmatch(host):
            raise bad_request("the Host header is not the name of a host")
        return f"{self.scope.get('scheme', 'http')}://{host}{self.scope.get('root_path', '')}"

    def text_header(self, name: bytes) -> str | None:
        """Return a header's value; bytes that are not UTF-8 are read as Latin-1."""
        value = self.headers.get(name)
        if value is None:
            return None
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return value.decode("latin-1")

    def flag(self, name: str) -> bool:
        """Return a parameter that is `true` or `false`; false when it is not there.

        Raises Problem for any other value.
        """
        value = self.query.get(name)
        if value is None or value == "false":
            return False
        if value != "true":
            raise bad_request(f"{name} is true or false")
        return True

    def number(self, name: str, default: int, low: int, high: int) -> int:
        """Return a parameter that is a whole number. Raises Problem when it is none."""
        value = self.query.get(name)
        if value is None:
            return default
        if not (value.isascii() and value.isdigit() and len(value) <= DIGITS):
            raise bad_request(f"{name} is a whole number from {low} to {high}")
        found = int(value)
        if not low <= found <= high:
            raise bad_request(f"{name} is a whole number from {low} to {high}")
        return found

    def moment(self, name: str) -> datetime | None:
        """Return a query parameter that is a time with its zone. Raises Problem."""
        told = self.query.get(name)
        if told is None:
            return None
        try:
            found = msgspec.convert(told, datetime)
        except msgspec.ValidationError as error:
            raise bad_request(f"{name} is a time such as 2030-01-31T12:00:00Z") from error
        if found.tzinfo is None:
            raise bad_request(f"{name} has a time zone, such as Z")
        return found

    async def body(self) -> bytes:
        """Return the whole body, read once.

        Raises Problem when it is over the server's limit or not of the told size, Gone when the
        client goes.
        """
        if self._body is None:
            try:
                self._body = await whole(self.receive, self.headers, self._max_body_bytes)
            except BodyTooLarge as error:
                raise Problem("too_large", str(error)) from error
            except MalformedBody as error:
                raise bad_request(str(error)) from error
        return self._body

    async def decoded(self, kind: type[T]) -> T:
        """Return the JSON body as a type; unknown members are refused.

        Raises Problem for what is no JSON or has another media type, Invalid for what does not fit.
        """
        check_json(self.headers)
        body = await self.body()
        found: T = decode(body, kind)
        return found


def check_json(headers: Mapping[bytes, bytes]) -> None:
    """Raise Problem unless the body's media type is JSON, or is not told."""
    told = media_type(headers)
    if told and told != "application/json":
        raise Problem(
            "unsupported_media_type", f"a body here is application/json, not {told[:60]!r}"
        )


def decode(body: bytes, kind: Any) -> Any:
    """Return JSON as a type. Raises Problem for what is no JSON, Invalid for what does not fit."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise Invalid(str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise bad_request(f"the body is not JSON: {error}") from error
    except RecursionError as error:
        raise bad_request("the body is nested too deep") from error


def folded(headers: Any) -> Mapping[bytes, bytes]:
    """Return headers by lower-case name; of one that comes twice the first counts.

    An Idempotency-Key or an Authorization that comes twice is not two wishes.
    """
    by_name: dict[bytes, bytes] = dict(headers)
    if len(by_name) == len(headers):
        return by_name
    by_name = {}
    for name, value in headers:
        if name in LISTS and name in by_name:
            by_name[name] += b", " + value
        else:
            by_name.setdefault(name, value)
    return by_name


# Headers that may come more than once and then make one list (RFC 9110, section 5.3).
LISTS = frozenset({b"accept", b"if-none-match", b"if-match"})
