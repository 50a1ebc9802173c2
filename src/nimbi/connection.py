"""One connection: what uvicorn's httptools protocol does, with limits on request heads."""

import asyncio
from typing import Any

from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from nimbi.outgoing import EXTENSIONS, Outgoing

# The request line and all headers; as much as common servers and proxies allow.
HEAD_BYTES = 64 * 1024

# A head comes in one packet as a rule; who takes longer than this holds a connection for nothing.
HEAD_S = 30.0

# Where a request may become a WebSocket.
WEBSOCKETS = b"/consoles/"

# Whoever reads one comes again when it ends.
ENDLESS = b"text/event-stream"

TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-type: text/plain; charset=utf-8\r\n"
    b"content-length: 33\r\nconnection: close\r\n\r\n"
    b"The request's headers are too big"
)
TOO_SLOW = (
    b"HTTP/1.1 408 Request Timeout\r\n"
    b"content-type: text/plain; charset=utf-8\r\n"
    b"content-length: 31\r\nconnection: close\r\n\r\n"
    b"The request's head took too long"
)


class LimitedConnection(HttpToolsProtocol):
    """Ends a connection whose request head is too large (431) or too slow (408)."""

    _head_bytes = 0
    _in_head = False
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self.scheme == "http":
            # What TLS protects has to come through this process.
            self.app = self._serve
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_head and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES:
                self._end(TOO_LARGE)
            elif self._deadline is None:
                self._arm()

    def on_message_begin(self) -> None:
        self._in_head = True
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._disarm()
        super().on_headers_complete()

    def _should_upgrade(self) -> bool:
        # Who asks for another protocol elsewhere is answered by HTTP (RFC 9110, 7.8).
        return self.url.startswith(WEBSOCKETS) and super()._should_upgrade()

    def on_body(self, body: bytes) -> None:
        # uvicorn gathers in an array and copies that; bytes after nothing are taken as they are.
        waiting = self.cycle.body
        if not waiting:
            self.cycle.body = b""  # type: ignore[assignment]
        elif not isinstance(waiting, bytearray):
            self.cycle.body = bytearray(waiting)
        super().on_body(body)

    def shutdown(self) -> None:
        """Finish what is in flight, and end what never ends by itself."""
        super().shutdown()
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            wants = [value for name, value in cycle.scope["headers"] if name == b"accept"]
            if any(ENDLESS in value for value in wants):
                self.transport.close()

    def _serve(self, scope: Any, receive: Any, send: Any) -> Any:
        scope["extensions"] = EXTENSIONS
        return self.config.loaded_app(scope, receive, Outgoing(self.loop, send))

    def _arm(self) -> None:
        self._deadline = self.loop.call_later(HEAD_S, self._late)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _late(self) -> None:
        # Browsers keep connections ready that never said anything; those are not told.
        self._end(TOO_SLOW if self._in_head else b"")

    def _end(self, answer: bytes) -> None:
        self._disarm()
        if not self.transport.is_closing():
            # An answer under way may not be mixed with another one; then only the end is left.
            if answer and (self.cycle is None or self.cycle.response_complete):
                self.transport.write(answer)
            self.transport.close()


def websocket_connection(
    config: Config, server_state: ServerState, app_state: dict[str, Any]
) -> asyncio.Protocol:
    """Return what speaks WebSocket on a connection whose request asks for that."""
    # Its library takes memory in each worker, and most servers never meet a WebSocket.
    from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

    return WebSocketsSansIOProtocol(config, server_state, app_state)
