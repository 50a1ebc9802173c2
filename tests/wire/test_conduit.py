"""Bytes between sockets, moved by the kernel."""

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.wire.servers import settled

from nimbi.wire.conduit import PIPE_BYTES, Conduit, CutShort

CONTENT = os.urandom(3 * PIPE_BYTES + 12_345)


@dataclass
class Ends:
    """Two connections, `sender` to `source` and `target` to `receiver`; none blocks."""

    sender: socket.socket
    source: socket.socket
    target: socket.socket
    receiver: socket.socket

    async def carry(self, count: int, idle_s: float = 60.0) -> None:
        loop = asyncio.get_running_loop()
        with closing(Conduit(loop, self.source.fileno(), self.target.fileno())) as conduit:
            await conduit.carry(count, idle_s)

    async def sent(self, content: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.sender, content)

    async def received(self, count: int) -> bytes:
        found = b""
        while len(found) < count:
            more = await asyncio.get_running_loop().sock_recv(self.receiver, count - len(found))
            assert more
            found += more
        return found


@pytest.fixture
def ends() -> Iterator[Ends]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        pairs = []
        for _ in range(2):
            near = socket.create_connection(listening.getsockname())
            pairs += [near, listening.accept()[0]]
    for each in pairs:
        each.setblocking(False)
    yield Ends(*pairs)
    for each in pairs:
        each.close()


async def test_all_that_was_asked_for_comes_through_and_no_byte_more(ends: Ends) -> None:
    sending = asyncio.create_task(ends.sent(CONTENT + b"of another answer"))
    receiving = asyncio.create_task(ends.received(len(CONTENT)))
    await ends.carry(len(CONTENT))
    assert await receiving == CONTENT
    await sending
    with pytest.raises(BlockingIOError):
        ends.receiver.recv(1)


async def test_what_trickles_comes_through_as_it_comes(ends: Ends) -> None:
    carrying = asyncio.create_task(ends.carry(3))
    for byte in (b"a", b"b", b"c"):
        await ends.sent(byte)
        assert await ends.received(1) == byte
    await carrying


async def test_who_takes_nothing_holds_the_source_up(ends: Ends) -> None:
    chunk = bytes(PIPE_BYTES)
    sent: list[int] = []

    async def send() -> None:
        while True:
            await ends.sent(chunk)
            sent.append(len(chunk))

    tasks = [asyncio.create_task(send()), asyncio.create_task(ends.carry(2**40))]
    # What the system holds for two connections, at most, beside what is in the pipe.
    assert await settled(sent) < 64
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_source_that_ends_too_early_is_an_error(ends: Ends) -> None:
    await ends.sent(b"abc")
    ends.sender.close()
    with pytest.raises(CutShort, match="broke off"):
        await ends.carry(4)
    assert await ends.received(3) == b"abc"


async def test_a_source_that_is_reset_is_an_error_of_the_source(ends: Ends) -> None:
    ends.sender.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    ends.sender.close()
    with pytest.raises(CutShort, match="broke off: "):
        await ends.carry(4)


async def test_a_source_that_says_nothing_is_given_up(ends: Ends) -> None:
    with pytest.raises(CutShort, match="nothing came for"):
        await ends.carry(1, idle_s=0.001)


async def test_a_target_that_is_gone_is_an_error_of_the_target(ends: Ends) -> None:
    ends.receiver.close()
    await ends.sent(b"a")
    await ends.carry(1)
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        while True:
            await ends.sent(b"a")
            await ends.carry(1)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_neither_pipe_nor_watch_is_left_when_it_is_cancelled(ends: Ends) -> None:
    before = descriptors()
    carrying = asyncio.create_task(ends.carry(1))
    await settled([])
    carrying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await carrying
    assert descriptors() == before
    assert not asyncio.get_running_loop().remove_reader(ends.source.fileno())
