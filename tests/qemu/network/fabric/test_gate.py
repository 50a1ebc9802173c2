"""The gate alone, as on the rung `user`: a real process between clients and servers on loopback."""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from nimbi.qemu.network.alone import Alone
from nimbi.qemu.network.fabric import DIRECTORY
from nimbi.qemu.network.gate import Way, admits
from nimbi.qemu.network.gatekeeper import Gatekeeper
from nimbi.qemu.network.plan import LOCAL, Plan, Publication

MANY = 500
MIB = 2**20

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((str(LOCAL), 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Front:
    """A gate, with one published port and a server behind it."""

    publisher: Alone
    keeper: Gatekeeper
    port: int
    plan: Plan

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(str(LOCAL), self.port)

    def memory_kib(self) -> int:
        (process,) = self.keeper.running()
        status = Path(f"/proc/{process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])


@asynccontextmanager
async def front(root: Path, handler: Handler) -> AsyncIterator[Front]:
    serving = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        with contextlib.suppress(ConnectionError):
            await handler(reader, writer)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, str(LOCAL), 0, backlog=MANY)
    way = Publication(
        address=LOCAL, port=free_port(), to=LOCAL, to_port=server.sockets[0].getsockname()[1]
    )
    plan = Plan(publications=(way,))
    publisher, keeper = Alone(root), Gatekeeper(root / DIRECTORY)
    try:
        async with server:
            assert (await publisher.apply(plan)).refused == {}
            yield Front(publisher, keeper, way.port, plan)
    finally:
        # Now that the gate is gone, all that it carried ends.
        await publisher.apply(Plan())
        assert keeper.running() == []
        await asyncio.gather(*serving)


async def reverse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer once the client has said all."""
    said = await reader.read()
    writer.write(said[::-1])
    await writer.drain()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while said := await reader.read(2**16):
        writer.write(said)
        await writer.drain()


async def test_an_answer_comes_after_the_end_of_the_question(tmp_path: Path):
    async with front(tmp_path, reverse) as gate:
        reader, writer = await gate.connect()
        writer.write(b"abc")
        writer.write_eof()
        assert await reader.read() == b"cba"
        writer.close()


async def test_much_data_goes_both_ways_whole(tmp_path: Path):
    data = os.urandom(MIB) * 16
    async with front(tmp_path, echo) as gate:
        reader, writer = await gate.connect()

        async def send() -> None:
            writer.write(data)
            await writer.drain()
            writer.write_eof()

        _, said = await asyncio.gather(send(), reader.read())
        assert said == data
        writer.close()


async def test_a_slow_receiver_makes_the_sender_wait_and_costs_no_memory(tmp_path: Path):
    async def deaf(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await hear.wait()
        total.append(len(await reader.read()))

    hear, total = asyncio.Event(), list[int]()
    async with front(tmp_path, deaf) as gate:
        reader, writer = await gate.connect()
        before = gate.memory_kib()
        client: socket.socket = writer.get_extra_info("socket")
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < 256 * MIB:
                writer.write(b"x" * MIB)
                sent += MIB
                async with asyncio.timeout(1):
                    await writer.drain()
        assert sent < 64 * MIB
        assert gate.memory_kib() - before < 4096
        hear.set()
        writer.write_eof()
        assert await reader.read() == b""
        assert total == [sent]
        assert client.fileno() >= 0
        writer.close()


async def test_many_connections_at_once_are_served_and_leave_nothing(tmp_path: Path):
    async with front(tmp_path, echo) as gate:

        async def one(number: int) -> bytes:
            reader, writer = await gate.connect()
            writer.write(b"%d" % number)
            said = await reader.read(10)
            opened.append(number)
            if len(opened) == MANY:
                all_open.set()
            await all_open.wait()
            writer.write_eof()
            assert await reader.read() == b""
            writer.close()
            return said

        for _ in range(2):
            opened, all_open = list[int](), asyncio.Event()
            said = await asyncio.gather(*map(one, range(MANY)))
            assert said == [b"%d" % number for number in range(MANY)]
        first = gate.memory_kib()
        opened, all_open = [], asyncio.Event()
        await asyncio.gather(*map(one, range(MANY)))
        assert gate.memory_kib() - first < 4096
        for _ in range(100):
            left = (await gate.keeper.status())["connections"]
            await asyncio.sleep(0.05 if left else 0)
        assert left == 0


async def test_a_client_of_nobody_is_reset(tmp_path: Path):
    async with front(tmp_path, echo) as gate:
        nobody = Publication(address=LOCAL, port=free_port(), to=LOCAL, to_port=1)
        await gate.publisher.apply(Plan(publications=(nobody,)))
        # The reset may come before the connection is even seen to be there.
        with pytest.raises(ConnectionResetError):
            reader, _ = await asyncio.open_connection(str(LOCAL), nobody.port)
            await reader.read()


async def test_a_guest_that_resets_resets_its_client(tmp_path: Path):
    async def rude(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        gone: socket.socket = writer.get_extra_info("socket")
        gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        writer.transport.abort()

    async with front(tmp_path, rude) as gate:
        reader, writer = await gate.connect()
        with pytest.raises(ConnectionResetError):
            await reader.read()
            writer.write(b"x")
            await writer.drain()
            await reader.read()
        writer.close()


async def test_what_is_no_longer_published_is_shut_and_open_connections_stay(tmp_path: Path):
    async with front(tmp_path, echo) as gate:
        reader, writer = await gate.connect()
        writer.write(b"1")
        assert await reader.read(1) == b"1"
        other = Publication(address=LOCAL, port=free_port(), to=LOCAL, to_port=1)
        await gate.publisher.apply(Plan(publications=(other,)))
        with pytest.raises(ConnectionRefusedError):
            await gate.connect()
        writer.write(b"2")
        assert await reader.read(1) == b"2"
        writer.close()


async def test_a_killed_gate_is_back_after_the_next_apply(tmp_path: Path):
    async with front(tmp_path, echo) as gate:
        (before,) = gate.keeper.running()
        os.kill(before.pid, signal.SIGKILL)
        await gate.publisher.apply(gate.plan)
        (after,) = gate.keeper.running()
        assert after != before
        reader, writer = await gate.connect()
        writer.write(b"1")
        assert await reader.read(1) == b"1"
        writer.close()


async def test_an_address_that_this_machine_has_not_is_told(tmp_path: Path):
    async with front(tmp_path, echo) as gate:
        away = Publication(
            address=IPv4Address("203.0.113.7"), port=free_port(), to=LOCAL, to_port=1
        )
        applied = await gate.publisher.apply(Plan(publications=(*gate.plan.publications, away)))
        assert list(applied.refused) == [away]
        assert "assign" in applied.refused[away]


async def test_the_control_socket_is_its_owners_and_takes_no_nonsense(tmp_path: Path):
    async with front(tmp_path, echo) as gate:
        path = tmp_path / DIRECTORY / "gate.sock"
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700
        for nonsense in (b"nonsense\n", b"[]\n", b'{"set": 1}\n', b'{"set": {"ways": [1]}}\n'):
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(nonsense)
            writer.write_eof()
            await reader.read()
            writer.close()
        assert (await gate.keeper.status())["listeners"] == 1


@pytest.mark.parametrize(
    ("source", "block", "let_in"),
    [
        ("127.0.0.1", "127.0.0.1/32", True),
        ("127.83.0.5", "127.0.0.1/32", True),
        ("127.0.0.1", "0.0.0.0/0", True),
        ("192.0.2.7", "127.0.0.0/8", False),
        ("192.0.2.7", "192.0.2.0/24", True),
        ("127.0.0.1", "192.0.2.0/24", False),
    ],
)
def test_clients_of_this_machine_are_one_to_a_firewall(source: str, block: str, let_in: bool):
    way = Way(to="10.83.0.5", to_port=22, admitted=(IPv4Network(block),))
    assert admits(way, IPv4Address(source)) is let_in
