"""The record of requests that were answered: lines of the access log, and numbers."""

import asyncio
import re
import time
from collections.abc import Callable, MutableMapping
from typing import Any, NamedTuple

import msgspec

from nimbi.observability.logs import Format, shown
from nimbi.observability.metrics import Metrics
from nimbi.observability.sink import Sink

Scope = MutableMapping[str, Any]

# Requests are noted at once and written down together: that halves the time it takes for each.
COLLECT_S = 0.25
COLLECT_REQUESTS = 256

# The names of parameters that may be shown with their value; any other value may be a secret.
SHOWN_MATRIX = frozenset({"driver", "provider", "format"})
SHOWN_QUERY = frozenset({"format"})

LONGEST_PATH = 512

# What follows in a path is a secret: the address of a console is the right to it.
SECRET_SEGMENT = re.compile(r"(consoles/+)(?!screenshot\b|log\b)[^?]+", re.IGNORECASE)


class Answered(NamedTuple):
    """One request, after its end. `at` is in seconds since 1970, `driver` empty if unknown."""

    scope: Scope
    at: float
    seconds: float
    status: int
    driver: bytes
    request_id: str


class AccessLine(msgspec.Struct, gc=False):
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
    """Turns requests into lines, JSON or text."""

    def __init__(self, sink: Sink, form: Format) -> None:
        self._sink = sink
        self._is_json = form == "json"
        self._encode = msgspec.json.Encoder().encode
        self._second = 0
        self._stamp = ""

    def line(self, answered: Answered, frontend: str) -> bytes:
        """Return the line of one request, with its line feed."""
        scope = answered.scope
        client = scope.get("client")
        line = AccessLine(
            self._time(answered.at),
            "info",
            "request",
            _method(answered),
            shown_path(scope),
            answered.status,
            round(answered.seconds, 6),
            frontend,
            answered.driver.decode("latin-1"),
            client[0] if client else "",
            answered.request_id,
        )
        return self._encode(line) + b"\n" if self._is_json else _as_text(line).encode()

    def write(self, lines: list[bytes]) -> None:
        self._sink.write_bytes(b"".join(lines))

    def _time(self, at: float) -> str:
        second = int(at)
        if second != self._second:
            self._second = second
            self._stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f"{self._stamp}.{int((at - second) * 1000):03d}Z"


class Ledger:
    """Takes requests as they end; writes them to the access log and counts them, soon after.

    `frontend_of` says which front end answers a path.
    """

    def __init__(
        self, metrics: Metrics, access: AccessLog | None, frontend_of: Callable[[str], str]
    ) -> None:
        self._metrics = metrics
        self._access = access
        self._frontend_of = frontend_of
        self._pending: list[Answered] = []
        self._timer: asyncio.TimerHandle | None = None

    def add(self, answered: Answered) -> None:
        """Note a request. Needs a running loop."""
        self._pending.append(answered)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(COLLECT_S, self.flush)
        elif len(self._pending) >= COLLECT_REQUESTS:
            self.flush()

    def flush(self) -> None:
        """Write down and count what was noted."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        pending, self._pending = self._pending, []
        lines: list[bytes] = []
        for answered in pending:
            frontend = self._frontend_of(answered.scope["path"])
            self._metrics.request(frontend, _method(answered), answered.status, answered.seconds)
            if self._access is not None:
                lines.append(self._access.line(answered, frontend))
        self._metrics.flush()
        if self._access is not None and lines:
            self._access.write(lines)


def _method(answered: Answered) -> str:
    """Return the request's verb; the handshake of a WebSocket is always a GET."""
    method: str = answered.scope.get("method", "GET")
    return method


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
    path = SECRET_SEGMENT.sub(r"\1…", raw.decode("ascii", "backslashreplace"))
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
