"""A real HAProxy in front of servers of the test: what a change of its configuration costs."""

import asyncio
import os
import shutil
import signal
import socket
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from nimbi.qemu.balancers.configuration import Front, Server, configuration
from nimbi.qemu.balancers.haproxy import CONFIGURATION, LOG, PROCESS, HAProxy
from nimbi.qemu.errors import Failed, Missing
from nimbi.qemu.host.files import write_atomically
from nimbi.qemu.host.process import ended, identify, with_argument

IP = "127.84.7.1"
PLACE = "here"

Backends = Callable[[], Awaitable[Server]]


@pytest.fixture
async def haproxy(tmp_path: Path) -> AsyncIterator[HAProxy]:
    if not shutil.which("haproxy", path=f"{os.environ.get('PATH')}:/usr/sbin"):
        if os.environ.get("CI"):
            raise Missing("haproxy", "haproxy")
        pytest.skip("haproxy is not installed")
    found = HAProxy(tmp_path)
    yield found
    await found.end()
    assert with_argument(str(tmp_path / CONFIGURATION)) == []


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind((IP, 0))
        return int(probe.getsockname()[1])


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer each line by the own port, as HTTP when the line is a request."""
    ours = str(writer.get_extra_info("sockname")[1])
    with_http = False
    try:
        while line := await reader.readline():
            if line.endswith(b"HTTP/1.1\r\n"):
                with_http = True
            elif not with_http:
                writer.write(ours.encode() + b"\n")
            elif line == b"\r\n":
                writer.write(
                    f"HTTP/1.1 200 OK\r\nContent-Length: {len(ours)}\r\n\r\n{ours}".encode()
                )
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


@pytest.fixture
async def backend() -> AsyncIterator[Backends]:
    """Give what makes one more server."""
    servers: list[asyncio.Server] = []

    async def make() -> Server:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        servers.append(server)
        number = server.sockets[0].getsockname()[1]
        return Server(id=f"i-{number}", ip="127.0.0.1", port=number)

    yield make
    for server in servers:
        server.close()


def text(port: int, *servers: Server, protocol: str = "tcp") -> str:
    front = Front(id="lb-1", protocol=protocol, ip=IP, port=port, public_port=80, servers=servers)
    return configuration([front], drop_root=os.geteuid() == 0)


async def ask(port: int) -> str:
    """Return who answers a new connection. Raises OSError, or gives nothing, when none does."""
    reader, writer = await asyncio.open_connection(IP, port)
    try:
        writer.write(b"who\n")
        return (await reader.readline()).decode().strip()
    finally:
        writer.close()
        await writer.wait_closed()


async def get(port: int) -> str:
    """Return the first line and the body of a page."""
    reader, writer = await asyncio.open_connection(IP, port)
    try:
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
        return f"{head.splitlines()[0]} {body}"
    finally:
        writer.close()
        await writer.wait_closed()


async def test_all_members_get_connections(haproxy: HAProxy, port: int, backend: Backends) -> None:
    servers = [await backend(), await backend()]
    await haproxy.apply(text(port, *servers), place=PLACE)
    assert {await ask(port) for _ in range(6)} == {str(server.port) for server in servers}


async def test_http_requests_are_shared_out_and_a_balancer_without_members_says_so(
    haproxy: HAProxy, port: int, backend: Backends
) -> None:
    await haproxy.apply(text(port, protocol="http"), place=PLACE)
    assert "503" in await get(port)
    servers = [await backend(), await backend()]
    await haproxy.apply(text(port, *servers, protocol="http"), place=PLACE)
    told = {await get(port) for _ in range(6)}
    assert told == {f"HTTP/1.1 200 OK {server.port}" for server in servers}


async def test_no_connection_is_lost_while_members_come_and_go(
    haproxy: HAProxy, port: int, backend: Backends
) -> None:
    one, other = await backend(), await backend()
    await haproxy.apply(text(port, one), place=PLACE)
    answers: list[str] = []
    done = asyncio.Event()

    async def knock() -> None:
        while not done.is_set():
            answers.append(await ask(port))

    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(knock())
        for members in [(one, other), (other,), (one, other), (one,)]:
            await haproxy.apply(text(port, *members), place=PLACE)
        done.set()
    assert set(answers) <= {str(one.port), str(other.port)}
    assert len(answers) > 20


async def test_a_connection_goes_on_when_its_member_has_gone(
    haproxy: HAProxy, port: int, backend: Backends
) -> None:
    one, other = await backend(), await backend()
    await haproxy.apply(text(port, one), place=PLACE)
    reader, writer = await asyncio.open_connection(IP, port)
    writer.write(b"who\n")
    assert await reader.readline() == f"{one.port}\n".encode()
    await haproxy.apply(text(port, other), place=PLACE)
    writer.write(b"still\n")
    assert await reader.readline() == f"{one.port}\n".encode()
    assert await ask(port) == str(other.port)
    writer.close()


async def test_a_member_that_is_down_gets_nothing(
    haproxy: HAProxy, port: int, backend: Backends
) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        down = Server(id="i-down", ip="127.0.0.1", port=nobody.getsockname()[1])
        well = await backend()
        await haproxy.apply(text(port, down, well), place=PLACE)
        assert {await ask(port) for _ in range(4)} == {str(well.port)}


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGTERM])
async def test_a_killed_haproxy_is_started_again_and_once(
    haproxy: HAProxy, port: int, backend: Backends, tmp_path: Path, by: signal.Signals
) -> None:
    wanted = text(port, await backend())
    await haproxy.apply(wanted, place=PLACE)
    # It reads its command line anew while it turns into the master.
    while not masters(tmp_path):
        await haproxy.apply(wanted, place=PLACE)
    (before,) = masters(tmp_path)
    os.kill(before, by)
    await gone(before)
    await asyncio.gather(*(HAProxy(tmp_path).apply(wanted, place=PLACE) for _ in range(4)))
    assert len(masters(tmp_path)) == 1
    assert await ask(port)


async def test_one_that_was_started_and_never_written_down_is_replaced(
    haproxy: HAProxy, port: int, backend: Backends, tmp_path: Path
) -> None:
    wanted = text(port, await backend())
    await haproxy.apply(wanted, place=PLACE)
    (before,) = masters(tmp_path)
    (tmp_path / PROCESS).unlink()
    await haproxy.apply(wanted, place=PLACE)
    assert masters(tmp_path) != [before]
    assert len(masters(tmp_path)) == 1
    assert await ask(port)


async def test_what_cannot_be_is_refused_and_the_rest_goes_on(
    haproxy: HAProxy, port: int, backend: Backends, tmp_path: Path
) -> None:
    well = text(port, await backend())
    await haproxy.apply(well, place=PLACE)
    with socket.socket() as taken:
        taken.bind((IP, 0))
        taken.listen()
        with pytest.raises(Failed):
            await haproxy.apply(text(taken.getsockname()[1]), place=PLACE)
        assert await ask(port)
        await haproxy.apply(well, place=PLACE)
    with pytest.raises(Failed):
        nonsense = Server(id="i-1", ip="no address", port=1)
        await haproxy.apply(text(port, nonsense), place=PLACE)
    other = await backend()
    await haproxy.apply(text(port, other), place=PLACE)
    assert await ask(port) == str(other.port)


async def test_another_place_needs_another_haproxy(
    haproxy: HAProxy, port: int, backend: Backends, tmp_path: Path
) -> None:
    wanted = text(port, await backend())
    await haproxy.apply(wanted, place=PLACE)
    before = masters(tmp_path)
    await haproxy.apply(wanted, place="there")
    assert masters(tmp_path) != before


async def test_only_the_owner_can_ask_it_and_its_workers_have_no_rights(
    haproxy: HAProxy, port: int, tmp_path: Path
) -> None:
    await haproxy.apply(text(port), place=PLACE)
    assert mode(tmp_path / "stats.sock") == 0o600
    assert mode(tmp_path) == 0o700
    (master,) = masters(tmp_path)
    assert owners_of_workers(master)
    assert 0 not in owners_of_workers(master)


async def test_its_log_does_not_grow_for_ever(haproxy: HAProxy, port: int, tmp_path: Path) -> None:
    write_atomically(tmp_path / LOG, b"x" * (2**20 + 1))
    await haproxy.apply(text(port), place=PLACE)
    assert (tmp_path / LOG).stat().st_size < 2**16


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def owners_of_workers(master: int) -> list[int]:
    children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    return [Path(f"/proc/{child}").stat().st_uid for child in children]


def masters(root: Path) -> list[int]:
    """Return the processes that nobody's HAProxy has started: each is the parent of its workers."""
    found = {process.pid for process in with_argument(str(root / CONFIGURATION))}
    return sorted(pid for pid in found if parent(pid) not in found)


def parent(pid: int) -> int:
    text = Path(f"/proc/{pid}/stat").read_text()
    return int(text[text.rindex(")") + 2 :].split()[1])


async def gone(pid: int) -> None:
    """Wait until a process has ended, save for its remains."""
    process = identify(pid)
    assert process is None or await ended(process, 10)
