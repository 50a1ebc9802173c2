"""Consoles by WebSocket, with a client of somebody else's making."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.frontends.consoles.conftest import LOGIN, Serve, Site
from websockets.exceptions import ConnectionClosed, InvalidStatus

from nimbi.driver.compute import Instances
from nimbi.driver.interface import Driver, UserAndPassword
from nimbi.driver.states import StateMachine
from nimbi.model.errors import CloudError, Conflict
from nimbi.model.instances import Instance, InstanceState


async def refused(site: Site, url: str) -> int:
    """Return the status with which a handshake is refused."""
    with pytest.raises(InvalidStatus) as raised:
        await site.open(url)
    body = bytes(raised.value.response.body or b"")
    assert url.rpartition("/")[2].encode() not in body
    return int(raised.value.response.status_code)


async def test_bytes_go_both_ways(site: Site) -> None:
    async with await site.open() as console:
        assert await console.recv() == b"inst1 login: "
        await console.send(b"\x00\xffbytes")
        assert await console.recv() == b"\x00\xffbytes"
        await console.send("text is taken too, ü")
        assert await console.recv() == "text is taken too, ü".encode()


async def test_a_screen_speaks_its_own_protocol(site: Site) -> None:
    told = await site.ticket(kind="vnc")
    async with await site.open(told["url"], subprotocols=["binary"]) as console:
        assert console.subprotocol == "binary"
        assert await console.recv() == b"RFB 003.008\n"


async def test_no_other_subprotocol_is_promised(site: Site) -> None:
    told = await site.ticket()
    async with await site.open(told["url"], subprotocols=["chat"]) as console:
        assert console.subprotocol is None


async def test_an_address_opens_once(site: Site) -> None:
    told = await site.ticket()
    async with await site.open(told["url"]):
        assert await refused(site, told["url"]) == 403
    assert await refused(site, told["url"]) == 403


async def test_a_wrong_address_is_forbidden(site: Site) -> None:
    told = await site.ticket()
    right = told["url"]
    for wrong in (right[:-1] + ("A" if right[-1] != "A" else "B"), right + "x", right[:-5]):
        assert await refused(site, wrong) == 403
    async with await site.open(right):
        pass


async def test_an_address_is_burnt_by_an_instance_that_has_stopped(site: Site) -> None:
    told = await site.ticket()
    async with site.clouds.use("mock", None, UserAndPassword(*LOGIN)) as cloud:
        await cloud.instances.stop("inst1")
        assert await refused(site, told["url"]) == 409
        await cloud.instances.start("inst1")
    assert await refused(site, told["url"]) == 403


async def test_more_consoles_than_may_be_are_refused_and_their_tickets_kept(serve: Serve) -> None:
    async with serve(most_open=1) as site:
        told = await site.ticket()
        async with await site.open() as first:
            await first.recv()
            assert site.app.open_consoles == 1
            assert await refused(site, told["url"]) == 503
        await until(lambda: site.app.open_consoles == 0)
        async with await site.open(told["url"]) as second:
            assert await second.recv()


async def test_a_console_where_nothing_moves_is_closed(serve: Serve) -> None:
    async with serve(idle_s=0.02) as site, await site.open() as console:
        assert await console.recv() == b"inst1 login: "
        with pytest.raises(ConnectionClosed) as raised:
            await console.recv()
    assert raised.value.rcvd is not None
    assert raised.value.rcvd.code == 1001


async def test_a_message_that_is_too_large_ends_the_console(site: Site) -> None:
    async with await site.open() as console:
        await console.recv()
        with pytest.raises(ConnectionClosed) as raised:
            await console.send(bytes(300 * 1024))
            await console.recv()
            await console.recv()
    assert raised.value.rcvd is not None
    assert raised.value.rcvd.code == 1009


class Scripted:
    """A console of a script: what it says, then how it ends. `sent` is what it was told."""

    def __init__(self, said: list[bytes], end: Exception | None = None) -> None:
        self.said = list(said)
        self.end = end
        self.sent: list[bytes] = []
        self.closed = asyncio.Event()
        self.room = asyncio.Event()

    async def read(self) -> bytes:
        if self.said:
            return self.said.pop(0)
        if self.end is not None:
            raise self.end
        return b""

    async def write(self, data: bytes) -> None:
        self.sent.append(data)
        await self.room.wait()

    async def aclose(self) -> None:
        self.closed.set()


class Silent(Scripted):
    async def read(self) -> bytes:
        if self.said:
            return self.said.pop(0)
        await self.closed.wait()
        return b""


class Flooding(Scripted):
    def __init__(self) -> None:
        super().__init__([])
        self.reads = 0

    async def read(self) -> bytes:
        self.reads += 1
        await asyncio.sleep(0)
        return bytes(65536)


def cloud_of(console: Any) -> dict[str, Driver[Any, Any]]:
    """Return a cloud of one instance with this console."""

    class Machines(Instances):
        def __init__(self, _session: Any) -> None:
            pass

        async def get(self, id: str) -> Instance:
            return Instance(
                id=id,
                name=None,
                owner_id=None,
                image_id=None,
                realm_id=None,
                hardware_profile_id=None,
                state=InstanceState.RUNNING,
            )

        async def open_console(self, id: str, kind: Any) -> Any:
            return console

    @asynccontextmanager
    async def opened(*_: Any) -> AsyncIterator[None]:
        yield None

    driver: Driver[Any, Any] = Driver(
        name="one",
        title="One",
        start=opened,
        open=opened,
        collections=(Machines,),
        instance_states=StateMachine((), ()),
    )
    return {"one": driver}


async def until(is_true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not is_true():  # noqa: ASYNC110  it is nobody's event
            await asyncio.sleep(0.005)


@pytest.mark.parametrize(
    ("end", "code"), [(None, 1000), (Conflict("over"), 1011), (CloudError("broken"), 1011)]
)
async def test_the_end_of_the_console_ends_the_websocket(
    serve: Serve, end: Exception | None, code: int
) -> None:
    console = Scripted([b"one", b"two"], end)
    async with serve(cloud_of(console)) as site, await site.open() as socket:
        assert [await socket.recv(), await socket.recv()] == [b"one", b"two"]
        with pytest.raises(ConnectionClosed) as raised:
            await socket.recv()
    assert raised.value.rcvd is not None
    assert raised.value.rcvd.code == code
    assert console.closed.is_set()


@pytest.mark.parametrize("politely", [True, False])
async def test_the_end_of_the_websocket_ends_the_console(serve: Serve, politely: bool) -> None:
    console = Silent([b"hello"])
    async with serve(cloud_of(console)) as site:
        socket = await site.open()
        await socket.recv()
        if politely:
            await socket.close()
        else:
            socket.transport.abort()
        async with asyncio.timeout(10):
            await console.closed.wait()
        await until(lambda: site.app.open_consoles == 0)


async def test_the_end_of_the_server_ends_the_console(serve: Serve) -> None:
    console = Silent([b"hello"])
    async with serve(cloud_of(console)) as site:
        socket = await site.open()
        await socket.recv()
    with pytest.raises(ConnectionClosed) as raised:
        await socket.recv()
    assert raised.value.rcvd is not None
    assert raised.value.rcvd.code == 1012
    assert console.closed.is_set()


async def test_an_instance_that_takes_nothing_holds_the_client_back(serve: Serve) -> None:
    console = Silent([])
    async with serve(cloud_of(console)) as site:
        socket = await site.open()
        sending = asyncio.create_task(flood(socket))
        _, pending = await asyncio.wait({sending}, timeout=0.5)
        # One message is with the console, the rest waits in the client, the network and one queue.
        assert pending
        assert len(console.sent) == 1
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        console.room.set()
        socket.transport.abort()


async def flood(socket: Any) -> None:
    for _ in range(2000):
        await socket.send(bytes(65536))


async def test_a_client_that_reads_nothing_holds_the_instance_back(serve: Serve) -> None:
    console = Flooding()
    async with serve(cloud_of(console)) as site:
        socket = await site.open(max_queue=1)
        await until(lambda: console.reads > 1)
        seen = -1
        while seen != console.reads:
            seen = console.reads
            await asyncio.sleep(0.2)
        assert seen < 2000
        socket.transport.abort()
        async with asyncio.timeout(10):
            await console.closed.wait()
