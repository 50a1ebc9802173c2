"""Wraps the whole app: a request id, a note of each request, and an answer when the app fails."""

import itertools
import os
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import structlog

from nimbi.gateway.audit import CLIENT, REQUEST_ID
from nimbi.observability.ledger import Answered, Ledger
from nimbi.observability.logs import kind, places

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# What a caller may choose as a request id: enough for a UUID or a trace id, nothing to inject.
SANE_ID = re.compile(rb"[A-Za-z0-9._:/+=-]{1,64}")

# A front end tells in its answer which driver it used.
DRIVER_HEADER = b"x-deltacloud-driver"

# The client left, or the server stopped, before there was an answer; nginx's number for it.
NO_ANSWER = 499

FAILED = b"The server failed; its log says more under the request id %s.\n"


# How an answer begins: to a request, and to the handshake of a WebSocket, taken or not.
STARTS = frozenset({"http.response.start", "websocket.accept", "websocket.http.response.start"})
SWITCHING = 101
REFUSED = 403


class _Answer:
    """The way out of one request: notes what passes, and adds the request id."""

    __slots__ = ("_send", "driver", "request_id", "status")

    def __init__(self, send: Send, request_id: bytes) -> None:
        self._send = send
        self.request_id = request_id
        self.status = 0
        self.driver = b""

    def __call__(self, message: Message) -> Awaitable[None]:
        if message["type"] in STARTS:
            self.status = message.get("status", SWITCHING)
            headers = [*message.get("headers", ()), (b"x-request-id", self.request_id)]
            for name, value in headers:
                if name == DRIVER_HEADER:
                    self.driver = value
                    break
            message["headers"] = headers
        elif message["type"] == "websocket.close" and not self.status:
            self.status = REFUSED
        return self._send(message)


class Observed:
    """An app with request ids around it, and a ledger of its requests.

    A request id that the caller sends is kept when it is sane; each answer carries it as
    X-Request-Id. An error that the app lets out becomes a 500 with the id, and a log record with
    the error's kind and places.
    """

    def __init__(self, app: App, ledger: Ledger) -> None:
        self._app = app
        self._ledger = ledger
        self._prefix = os.urandom(6).hex()
        self._count = itertools.count(1)
        self._log = structlog.get_logger("nimbi.server")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = self._request_id(scope)
        answer = _Answer(send, request_id.encode())
        token = REQUEST_ID.set(request_id)
        client = CLIENT.set(scope["client"][0] if scope.get("client") else None)
        try:
            await self._app(scope, receive, answer)
        except Exception as error:  # noqa: BLE001  the last place that can answer
            self._log.error(
                "a request failed", error=kind(error), places=places(error.__traceback__)
            )
            # An answer that has begun can only be broken off; the server under us does that.
            if not answer.status:
                await _send_failure(answer, answer.request_id, scope["type"])
        finally:
            REQUEST_ID.reset(token)
            CLIENT.reset(client)
            seconds = time.perf_counter() - started
            status = answer.status or NO_ANSWER
            self._ledger.add(
                Answered(scope, time.time(), seconds, status, answer.driver, request_id)
            )

    def _request_id(self, scope: Scope) -> str:
        for name, value in scope["headers"]:
            if name == b"x-request-id":
                if SANE_ID.fullmatch(value):
                    return str(value, "ascii")
                break
        return f"{self._prefix}{next(self._count):08x}"


async def _send_failure(send: Send, request_id: bytes, kind: str) -> None:
    prefix = "websocket." if kind == "websocket" else ""
    body = FAILED % request_id
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": f"{prefix}http.response.start", "status": 500, "headers": headers})
    await send({"type": f"{prefix}http.response.body", "body": body})
