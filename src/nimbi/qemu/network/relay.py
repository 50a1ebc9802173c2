"""One connection handed on to another: both directions, each with its end, at constant memory."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import cast

HELD_BYTES = 2**16
"""What is kept for a slow receiver before its sender is made to wait."""

RESET = struct.pack("ii", 1, 0)
"""SO_LINGER that ends a connection by a reset."""


class End(asyncio.Protocol):
    """One of the two ends. It reads only as fast as the other one can be written."""

    def __init__(self) -> None:
        """Make an end that waits for its connection and for its other end."""
        self.other: End | None = None
        self.transport: asyncio.Transport | None = None
        self.ended = False
        # What came before there was another end: Python before 3.11.4 reads once in spite of a
        # pause that is made as early as this.
        self.early: list[bytes] | None = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(high=HELD_BYTES)
        self.transport.pause_reading()

    def join(self, other: "End") -> None:
        """Begin to hand on, in both directions."""
        self.other, other.other = other, self
        for end in (self, other):
            early, end.early = end.early, None
            for data in early or ():
                end.data_received(data)
            if end.ended:
                end.eof_received()
            if end.transport is not None:
                end.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        if self.early is not None:
            self.early.append(data)
        elif self.other is not None and self.other.transport is not None:
            self.other.transport.write(data)

    def pause_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.resume_reading()

    def eof_received(self) -> bool:
        if self.early is not None:
            self.ended = True
            return True
        other = self.other
        if other is None or other.transport is None:
            return False
        self.ended = True
        if other.ended:
            # Both have said all: what is still to be written goes out before the end.
            other.transport.close()
            return False
        if other.transport.can_write_eof():
            other.transport.write_eof()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        other, self.other, self.transport = self.other, None, None
        if other is None or other.transport is None:
            return
        if exc is not None:
            reset(other.transport)
        else:
            other.transport.close()


class Doorway(End):
    """The end of a client that has just come in."""

    def __init__(self, welcome: Callable[["Doorway"], Awaitable[None]]) -> None:
        """Have `welcome` find the other end."""
        super().__init__()
        self._welcome = welcome
        self._task: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._task = asyncio.ensure_future(self._welcome(self))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._task is not None and self.other is None:
            self._task.cancel()
        super().connection_lost(exc)


def reset(transport: asyncio.BaseTransport) -> None:
    """End a connection so that its other side learns that something went wrong."""
    found: socket.socket | None = transport.get_extra_info("socket")
    if found is not None and found.fileno() >= 0:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    cast("asyncio.Transport", transport).abort()
