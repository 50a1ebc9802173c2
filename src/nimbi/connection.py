"""One HTTP connection: what uvicorn's httptools protocol does, with limits on request heads."""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# The request line and all headers; as much as common servers and proxies allow.
HEAD_BYTES = 64 * 1024

# A head comes in one packet as a rule; who takes longer than this holds a connection for nothing.
HEAD_S = 30.0

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
