"""What goes to a client without passing through this process: files, and what a socket brings."""

import asyncio
import os
from collections.abc import Awaitable, MutableMapping
from contextlib import closing
from threading import Lock
from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from nimbi.wire.conduit import Conduit

Message = MutableMapping[str, Any]

# https://asgi.readthedocs.io/en/latest/extensions.html, "Zero Copy Send"
ZEROCOPY = "http.response.zerocopysend"
# Our own: a `head`, then `count` bytes that come from a `socket`, silent for `idle_s` at most.
RELAY = "nimbi.response.relay"
EXTENSIONS: dict[str, dict[object, object]] = {ZEROCOPY: {}, RELAY: {}}

# The system takes what fits between us and the client, a few MiB at most.
ONCE_BYTES = 8 * 1024 * 1024


class Outgoing:
    """The way out of one request: passes on what uvicorn knows, and sends files by itself."""

    __slots__ = ("_loop", "_send")

    def __init__(self, loop: asyncio.AbstractEventLoop, send: Any) -> None:
        """`send` is that of uvicorn's cycle of this request."""
        self._loop = loop
        self._send = send

    def __call__(self, message: Message) -> Awaitable[None]:
        if message["type"] == ZEROCOPY:
            return self._send_file(message)
        if message["type"] == RELAY:
            return self._relay(message)
        passed: Awaitable[None] = self._send(message)
        return passed

    async def _send_file(self, message: Message) -> None:
        """Send `count` bytes of an open `file` from `offset`; the answer must tell its length."""
        cycle = self._cycle(message["count"])
        count = message["count"]
        if cycle.scope["method"] != "HEAD":
            with closing(Pipe(cycle, message["file"], message["offset"], count)) as pipe:
                await self._empty(cycle)
                while pipe.left and not cycle.disconnected:
                    if not await self._loop.run_in_executor(None, pipe.move):
                        await self._writable(pipe.target)
        await self._end(cycle, message)

    async def _relay(self, message: Message) -> None:
        """Send what a socket brings; the answer must tell its length."""
        cycle = self._cycle(len(message["head"]) + message["count"])
        if cycle.scope["method"] != "HEAD":
            first = {"type": "http.response.body", "body": message["head"], "more_body": True}
            await self._send(first)
            await self._empty(cycle)
            if not cycle.disconnected:
                await self._carry(cycle, message)
        await self._end(cycle, message)

    async def _carry(self, cycle: RequestResponseCycle, message: Message) -> None:
        # A duplicate, since event loops give no access to what is a transport's.
        target = os.dup(cycle.transport.get_extra_info("socket").fileno())
        try:
            with closing(Conduit(self._loop, message["socket"], target)) as conduit:
                await conduit.carry(message["count"], message["idle_s"])
        except (BrokenPipeError, ConnectionResetError):
            # The transport finds out soon, too; nobody is to be told until then.
            cycle.disconnected = True
        finally:
            os.close(target)

    def _cycle(self, count: int) -> RequestResponseCycle:
        cycle: RequestResponseCycle = self._send.__self__
        if cycle.chunked_encoding is not False or count > cycle.expected_content_length:
            raise RuntimeError("a file is sent within the told length of an answer only")
        return cycle

    async def _end(self, cycle: RequestResponseCycle, message: Message) -> None:
        if cycle.disconnected:
            return
        cycle.expected_content_length -= message["count"]
        end = {"type": "http.response.body", "more_body": message.get("more_body", False)}
        await self._send(end)

    async def _empty(self, cycle: RequestResponseCycle) -> None:
        """Wait until all that was written before has left: the file goes past the transport."""
        transport, flow = cycle.transport, cycle.flow
        transport.set_write_buffer_limits(high=0)
        try:
            while transport.get_write_buffer_size() and not cycle.disconnected:
                await flow.drain()
        finally:
            transport.set_write_buffer_limits()

    async def _writable(self, target: int) -> None:
        ready = asyncio.Event()
        self._loop.add_writer(target, ready.set)
        try:
            await ready.wait()
        finally:
            self._loop.remove_writer(target)


class Pipe:
    """A part of a file on its way into a socket.

    Both are duplicates: event loops give no access to what is a transport's, and a thread at work
    must never meet a descriptor that means something else by now. So its steps take turns.
    """

    def __init__(self, cycle: RequestResponseCycle, file: int, first: int, count: int) -> None:
        self.left = count
        self.target = os.dup(cycle.transport.get_extra_info("socket").fileno())
        self._cycle = cycle
        self._source = os.dup(file)
        self._first = first
        self._turn = Lock()
        self._is_open = True

    def move(self) -> bool:
        """Move what the socket takes now, and say whether it took any."""
        with self._turn:
            if not self._is_open:
                return True
            try:
                sent = os.sendfile(
                    self.target, self._source, self._first, min(self.left, ONCE_BYTES)
                )
            except BlockingIOError:
                return False
            except (BrokenPipeError, ConnectionResetError):
                # The transport finds out soon, too; nobody is to be told until then.
                self._cycle.disconnected = True
                return True
            if sent == 0:
                raise RuntimeError("the file is shorter than it was")
            self._first += sent
            self.left -= sent
            return True

    def close(self) -> None:
        with self._turn:
            self._is_open = False
            os.close(self._source)
            os.close(self.target)
