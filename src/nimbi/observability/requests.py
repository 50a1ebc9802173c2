"""Wraps the whole app: a request id, one log line and the numbers for each request."""

import itertools
import os
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec
import structlog

from nimbi.gateway.audit import REQUEST_ID
from nimbi.observability.logs import Format, kind, places, shown
from nimbi.observability.metrics import Metrics
from nimbi.observability.sink import Sink

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# What a caller may choose as a request id: enough for a UUID or a trace id, nothing to inject.
SANE_ID = re.compile(rb"[A-Za-z0-9._:/+=-]{1,64}")

# The names of what may be shown with its value; any other value may be a secret.
SHOWN_MATRIX = frozenset({"driver", "provider", "format"})
SHOWN_QUERY = frozenset({"format"})

LONGEST_PATH = 512

# A front end tells in its answer which driver it used.
DRIVER_HEADER = b"x-deltacloud-driver"

# The client left, or the server stopped, before there was an answer; nginx's number for it.
NO_ANSWER = 499

FAILED = b"The server failed; its log says more under the request id %s.\n"


class AccessLine(msgspec.Struct, omit_defaults=True, gc=False):
    """One request in the log. No user, and no value of a parameter that may be secret."""

    at: str
    level: str
    event: str
    method: str
    path: str
    status: int
    seconds: float
    frontend: str
    driver: str
    client: str
    request_id: str


class AccessLog:
    """Writes a line a request, JSON or text. Cheap: it is on the path of each one."""

    def __init__(self, sink: Sink, form: Format) -> None:
        self._sink = sink
        self._is_json = form == "json"
        self._encode = msgspec.json.Encoder().encode
        self._second = 0
        self._stamp = ""

    def write(
        self, scope: Scope, status: int, seconds: float, frontend: str, driver: str, request_id: str
    ) -> None:
        client = scope.get("client")
        line = AccessLine(
            self._now(),
            "info",
            "request",
            scope["method"],
            shown_path(scope),
            status,
            round(seconds, 6),
            frontend,
            driver,
            client[0] if client else "",
            request_id,
        )
        if self._is_json:
            self._sink.collect(self._encode(line) + b"\n")
        else:
            self._sink.collect(_as_text(line).encode())

    def _now(self) -> str:
        now = time.time()
        second = int(now)
        if second != self._second:
            self._second = second
            self._stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f"{self._stamp}.{int((now - second) * 1000):03d}Z"


def _as_text(line: AccessLine) -> str:
    driver = f" driver={shown(line.driver)}" if line.driver else ""
    return (
        f"{line.at} {line.level:7} {line.client or '-'} {shown(line.method)} {line.path} "
        f"{line.status} {line.seconds * 1000:.1f} ms{driver} {line.request_id}\n"
    )


def shown_path(scope: Scope) -> str:
    """Return a request's path for the log, as it was sent, on one line.

    Values of the query and of matrix parameters are left out, save those that are never secret.
    """
    raw: bytes = scope.get("raw_path") or scope["path"].encode("utf-8", "surrogatepass")
    path = raw.decode("ascii", "backslashreplace")
    if ";" in path:
        path = "/".join(_pairs(part, ";", SHOWN_MATRIX, 1) for part in path.split("/"))
    query: bytes = scope.get("query_string") or b""
    if query:
        pairs = _pairs(query[:LONGEST_PATH].decode("ascii", "backslashreplace"), "&", SHOWN_QUERY)
        path = f"{path}?{pairs}"
    if len(path) > LONGEST_PATH:
        path = f"{path[:LONGEST_PATH]}…"
    return path if path.isprintable() else shown(path, quote=False)


def _pairs(text: str, between: str, names: frozenset[str], start: int = 0) -> str:
    parts = text.split(between)
    kept = [_pair(part, names) for part in parts[start:]]
    return between.join([*parts[:start], *kept])


def _pair(part: str, names: frozenset[str]) -> str:
    name, equals, _ = part.partition("=")
    return part if name in names else f"{name}{'=…' if equals else ''}"


class _Answer:
    """The way out of one request: notes what passes, and adds the request id."""

    __slots__ = ("_send", "driver", "request_id", "status")

    def __init__(self, send: Send, request_id: bytes) -> None:
        self._send = send
        self.request_id = request_id
        self.status = 0
        self.driver = b""

    def __call__(self, message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = [*message["headers"], (b"x-request-id", self.request_id)]
            for name, value in headers:
                if name == DRIVER_HEADER:
                    self.driver = value
            message["headers"] = headers
        return self._send(message)


class Observed:
    """An app with request ids, access lines and numbers around it.

    `frontend_of` says which front end answers a path. A request id that the caller sends is kept
    when it is sane; each answer carries it as X-Request-Id. An error that the app lets out becomes
    a 500 with the id, and a log record with the error's kind and places.
    """

    def __init__(
        self,
        app: App,
        frontend_of: Callable[[str], str],
        metrics: Metrics,
        access: AccessLog | None,
    ) -> None:
        self._app = app
        self._frontend_of = frontend_of
        self._metrics = metrics
        self._access = access
        self._prefix = os.urandom(6).hex()
        self._count = itertools.count(1)
        self._log = structlog.get_logger("nimbi.server")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = self._request_id(scope)
        answer = _Answer(send, request_id.encode())
        token = REQUEST_ID.set(request_id)
        try:
            await self._app(scope, receive, answer)
        except Exception as error:  # noqa: BLE001  the last place that can answer
            self._failed(error)
            # An answer that has begun can only be broken off; the server under us does that.
            if not answer.status:
                await _send_failure(answer, answer.request_id)
        finally:
            REQUEST_ID.reset(token)
            self._told(scope, answer, time.perf_counter() - started, request_id)

    def _told(self, scope: Scope, answer: "_Answer", seconds: float, request_id: str) -> None:
        frontend = self._frontend_of(scope["path"])
        status = answer.status or NO_ANSWER
        self._metrics.request(frontend, scope["method"], status, seconds)
        if self._access is not None:
            driver = answer.driver.decode("latin-1")
            self._access.write(scope, status, seconds, frontend, driver, request_id)

    def _request_id(self, scope: Scope) -> str:
        for name, value in scope["headers"]:
            if name == b"x-request-id":
                if SANE_ID.fullmatch(value):
                    return str(value, "ascii")
                break
        return f"{self._prefix}{next(self._count):08x}"

    def _failed(self, error: Exception) -> None:
        self._log.error("a request failed", error=kind(error), places=places(error.__traceback__))


async def _send_failure(send: Send, request_id: bytes) -> None:
    body = FAILED % request_id
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": 500, "headers": headers})
    await send({"type": "http.response.body", "body": body})
