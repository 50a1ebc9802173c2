"""Content on its way to the client of an ASGI app, in constant memory and with back-pressure."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Container, MutableMapping
from contextlib import aclosing
from typing import Any, Protocol

from nimbi.wire.request_body import Gone, Receive

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

# https://asgi.readthedocs.io/en/latest/extensions.html, "Zero Copy Send"
ZEROCOPY = "http.response.zerocopysend"
# Our own server's: what one socket brings is passed on.
RELAY = "nimbi.response.relay"


class FileSpan(Protocol):
    """A part of an open file."""

    @property
    def descriptor(self) -> int: ...
    @property
    def first(self) -> int: ...
    @property
    def size_bytes(self) -> int: ...


class SocketSpan(Protocol):
    """Bytes that come over one connection, after those of `head` which were read already."""

    @property
    def descriptor(self) -> int: ...
    @property
    def head(self) -> bytes: ...
    @property
    def size_bytes(self) -> int: ...
    @property
    def idle_s(self) -> float: ...


async def send_stream(
    status: int,
    headers: list[tuple[bytes, bytes]],
    chunks: AsyncIterator[bytes],
    receive: Receive,
    send: Send,
    *,
    file: FileSpan | None = None,
    socket: SocketSpan | None = None,
    extensions: Container[str] = (),
) -> None:
    """Send chunk after chunk; the next one is asked for when the last one has left.

    `file` or `socket` tell where the bytes of `chunks` are, for a server that can have the kernel
    send them. Ends by closing `chunks`. Raises Gone when the client goes: the server takes what is
    sent then, and nobody reads it.
    """
    closing: Any = chunks
    watch = asyncio.ensure_future(_client_leaves(receive))
    try:
        async with aclosing(closing):
            await send({"type": "http.response.start", "status": status, "headers": headers})
            if file is not None and ZEROCOPY in extensions:
                await _sent(_of_file(file), watch, send)
                return
            if socket is not None and RELAY in extensions:
                await _sent(_of_socket(socket), watch, send)
                return
            async for chunk in chunks:
                if watch.done():
                    raise Gone
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
    finally:
        watch.cancel()


def _of_file(file: FileSpan) -> MutableMapping[str, Any]:
    return {
        "type": ZEROCOPY,
        "file": file.descriptor,
        "offset": file.first,
        "count": file.size_bytes,
    }


def _of_socket(socket: SocketSpan) -> MutableMapping[str, Any]:
    return {
        "type": RELAY,
        "socket": socket.descriptor,
        "head": socket.head,
        "count": socket.size_bytes,
        "idle_s": socket.idle_s,
    }


async def _sent(
    message: MutableMapping[str, Any], watch: "asyncio.Future[None]", send: Send
) -> None:
    """Let the server send what is not in this process. Raises Gone when the client goes."""
    sending = asyncio.ensure_future(send(message))
    try:
        await asyncio.wait({sending, watch}, return_when=asyncio.FIRST_COMPLETED)
        if not sending.done():
            raise Gone
        await sending
    finally:
        sending.cancel()


async def _client_leaves(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
