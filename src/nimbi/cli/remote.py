"""The native API as commands use it: JSON in, JSON out."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import quote, urlencode

from nimbi.cli import config

if TYPE_CHECKING:
    from nimbi.client.flow import Received
    from nimbi.client.transport import Answer, Request, Transport

# What `nimbi up` leaves in the state directory while it runs.
RUNNING = "up.json"

# The largest page that the API gives.
PAGE = 1000

Query = Iterable[tuple[str, str]]


@dataclass(frozen=True)
class Reply:
    """An answer that is read: its status, headers in lower case, and what its JSON says."""

    status: int
    headers: Mapping[str, str]
    value: Any


@dataclass(frozen=True)
class Place:
    """Where the server is and how to log in; no `url` is this very process."""

    url: str | None
    token: str | None = None


class Remote:
    """One server. `is_here` says that it is this very process, which does nothing in between."""

    def __init__(self, transport: "Transport", token: str | None, *, is_here: bool) -> None:
        self._transport = transport
        self._login = {"Authorization": f"Bearer {token}"} if token else {}
        self.is_here = is_here

    def ask(
        self,
        method: str,
        path: str,
        query: Query = (),
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = 60.0,
    ) -> Reply:
        """Send a request and return what was answered. Raises CloudErrors.

        `path` is encoded already; the members of `query` are not. A body is sent as JSON.
        """
        from nimbi.client.flow import new_key
        from nimbi.client.transport import Request

        more = dict(headers or {})
        if method == "POST":
            more.setdefault("Idempotency-Key", new_key())
        content = None
        if body is not None:
            content = json.dumps(body).encode()
            more["Content-Type"] = "application/json"
        return self.send(Request(method, _target(path, query), more, content, None, timeout_s))

    def send(self, request: "Request") -> Reply:
        """Send a request that is made already; JSON is decoded. Raises CloudErrors."""
        received = self._carried(request, open=False)
        is_json = "json" in received.headers.get("content-type", "")
        value = (json.loads(received.body) if is_json else received.body) if received.body else None
        return Reply(received.status, received.headers, value)

    def open(self, request: "Request") -> "Answer":
        """Send a request and return the answer at its head, to be read to its end or closed.

        Raises CloudErrors.
        """
        answer: Any = self._carried(request, open=True).open
        found: Answer = answer
        return found

    def stream(
        self,
        method: str,
        path: str,
        query: Query = (),
        body: "bytes | BinaryIO | Iterable[bytes] | None" = None,
        headers: Mapping[str, str] | None = None,
        *,
        size_bytes: int | None = None,
        timeout_s: float | None = 60.0,
    ) -> "Answer":
        """Send bytes, an open file or chunks, as `open` does."""
        from nimbi.client.transport import Request

        target = _target(path, query)
        return self.open(Request(method, target, headers or {}, body, size_bytes, timeout_s))

    def each(self, path: str, query: Query = (), limit: int | None = None) -> Iterator[Any]:
        """Yield the pages of a list, `limit` items of it or all: `{"items": […], …}`."""
        left = limit
        marker: str | None = None
        while True:
            size = PAGE if left is None else min(left, PAGE)
            marked = [("marker", marker)] if marker else []
            page = self.ask("GET", path, [*query, ("limit", str(size)), *marked]).value
            yield page
            marker = page.get("next")
            if left is not None:
                left -= len(page["items"])
            if not marker or (left is not None and left <= 0):
                return

    def hurried(self, path: str, query: Query, within_s: float) -> Any:
        """Return what is answered to one GET in so many seconds. Raises CloudErrors."""
        from nimbi.client.transport import Request

        request = Request("GET", _target(path, query), dict(self._login), timeout_s=within_s)
        answer = self._transport.send(request)
        return json.loads(answer.read())

    def close(self) -> None:
        """End all connections; may be called again."""
        self._transport.close()

    def _carried(self, request: "Request", *, open: bool) -> "Received":
        from dataclasses import replace

        from nimbi.client.flow import Retries, asked
        from nimbi.client.running import run

        headers = {"Accept": "application/json", **self._login, **request.headers}
        whole = replace(request, headers=headers)
        return run(asked(whole, Retries(), open=open), self._transport)


def segment(text: str) -> str:
    """Return text as one part of a path: `a/b` is `a%2Fb`; dots alone would be resolved."""
    return text.replace(".", "%2E") if text in {".", ".."} else quote(text, safe="")


def of_account(account: str, *parts: str) -> str:
    """Return the path of something in an account: `/v1/accounts/aws/instances/i-1`."""
    return "/".join(("/v1/accounts", segment(account), *map(segment, parts)))


def find(server: str | None = None, token_file: str | None = None) -> Place:
    """Return the server that commands talk to: that of flags, variables, config.toml, `nimbi up`.

    Raises ConfigError.
    """
    settled = config.read()
    url = server or os.environ.get("NIMBI_SERVER") or settled.server
    if url:
        return Place(url.rstrip("/"), _token(token_file, settled.token_file))
    running = _running()
    if running is None:
        return Place(None)
    return Place(running["url"], _token(token_file, running["token_file"]))


def open_remote(place: Place) -> Remote:
    """Return the server at a place; for none, the server's app within this process.

    Raises CloudErrors when no such app can be.
    """
    if place.url is None:
        from nimbi.cli.here import transport_here

        transport, token = transport_here()
        return Remote(transport, token, is_here=True)
    from nimbi.client.http import HttpTransport

    return Remote(HttpTransport(place.url), place.token, is_here=False)


def _target(path: str, query: Query) -> str:
    text = urlencode(list(query))
    return f"{path}?{text}" if text else path


def _token(told: str | None, usual: str | None) -> str | None:
    """Return the token: of the flag's file, NIMBI_TOKEN, NIMBI_TOKEN_FILE, the usual file."""
    if told is None and os.environ.get("NIMBI_TOKEN"):
        return os.environ["NIMBI_TOKEN"]
    file = told or os.environ.get("NIMBI_TOKEN_FILE") or usual
    if file is None:
        return None
    try:
        token = Path(file).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise config.ConfigError(f"{file}: the token cannot be read: {error}") from error
    if not token.isascii() or not token.isprintable():
        raise config.ConfigError(f"{file}: this is no token")
    return token


def _running() -> dict[str, str] | None:
    """Return where the server of `nimbi up` is, when it runs on this machine now."""
    try:
        told = json.loads((config.state_dir() / RUNNING).read_text(encoding="utf-8"))
        os.kill(int(told["pid"]), 0)
        return {"url": str(told["url"]), "token_file": str(told["token_file"])}
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return None
