"""Consoles on their way through the gateway."""

import asyncio

import pytest

from nimbi.driver.interface import UserAndPassword
from nimbi.drivers.mock import DRIVER
from nimbi.gateway.clouds import Clouds
from nimbi.gateway.limits import Limits, PoolLimits
from nimbi.gateway.registry import Registry
from nimbi.model.consoles import ConsoleKind
from nimbi.model.errors import CloudError, CloudUnavailable, Conflict, Throttled, Timeout

pytestmark = pytest.mark.looptime

LIMITS = Limits(idle_s=10, deadline_s=30)
LOGIN = UserAndPassword("mockuser", "mockpassword")


class Console:
    """A console that does as it is told: seconds to wait, then bytes or an error."""

    def __init__(self, read=(0, b""), write_s=0.0, close_s=0.0) -> None:
        self.plan = read
        self.write_s = write_s
        self.close_s = close_s
        self.written = b""
        self.closed = 0

    async def read(self) -> bytes:
        pause_s, what = self.plan
        await asyncio.sleep(pause_s)
        if isinstance(what, Exception):
            raise what
        return what

    async def write(self, data: bytes) -> None:
        await asyncio.sleep(self.write_s)
        self.written += data

    async def aclose(self) -> None:
        self.closed += 1
        await asyncio.sleep(self.close_s)


async def opened(make_cloud, script, console):
    script["instances.open_console"] = [console]
    return await make_cloud(LIMITS).instances.open_console("i-1", ConsoleKind.SERIAL)


async def test_bytes_go_both_ways(make_cloud, script):
    console = Console((0, b"login: "))
    stream = await opened(make_cloud, script, console)
    await stream.write(b"root")
    assert (await stream.read(), console.written) == (b"login: ", b"root")
    await stream.aclose()
    assert console.closed == 1


async def test_nothing_may_be_said_for_days(make_cloud, script, looptime):
    stream = await opened(make_cloud, script, Console((200_000, b"x")))
    assert await stream.read() == b"x"
    assert looptime == 200_000


async def test_an_instance_that_takes_nothing_is_a_timeout(make_cloud, script, looptime):
    stream = await opened(make_cloud, script, Console(write_s=3600))
    with pytest.raises(Timeout, match=r"instances\.open_console"):
        await stream.write(b"x")
    assert looptime == 10


async def test_closing_has_a_limit(make_cloud, script, looptime):
    stream = await opened(make_cloud, script, Console(close_s=3600))
    with pytest.raises(Timeout):
        await stream.aclose()
    assert looptime == 10


async def test_an_error_of_the_stream_is_sorted(make_cloud, script):
    stream = await opened(make_cloud, script, Console((0, OSError("a secret"))))
    with pytest.raises(CloudError) as raised:
        await stream.read()
    assert "secret" not in str(raised.value)


async def test_an_error_that_is_sorted_already_stays(make_cloud, script):
    stream = await opened(make_cloud, script, Console((0, Conflict("over"))))
    with pytest.raises(Conflict, match="over"):
        await stream.read()


async def test_an_opening_is_not_repeated_when_it_may_have_worked(make_cloud, script):
    script["instances.open_console"] = [Timeout("late"), Console()]
    with pytest.raises(Timeout):
        await make_cloud(LIMITS).instances.open_console("i-1", ConsoleKind.SERIAL)
    assert len(script.calls) == 1


async def test_an_opening_that_was_throttled_is_repeated(make_cloud, script):
    script["instances.open_console"] = [Throttled("later"), Console((0, b"x"))]
    stream = await make_cloud(LIMITS).instances.open_console("i-1", ConsoleKind.SERIAL)
    assert await stream.read() == b"x"


async def test_a_session_with_an_open_console_is_not_closed_for_its_age(tmp_path):
    pool = PoolLimits(idle_s=1, age_s=1, sessions=1)
    clouds = Clouds(Registry({"mock": DRIVER}), {}, tmp_path, pool=pool)
    async with clouds.use("mock", None, LOGIN) as cloud:
        stream = await cloud.instances.open_console("inst1", ConsoleKind.SERIAL)
        assert await stream.read()
        await asyncio.sleep(100)
        await stream.write(b"still there")
        assert await stream.read() == b"still there"
        await stream.aclose()
    await clouds.aclose()
    with pytest.raises(CloudUnavailable):
        async with clouds.use("mock", None, LOGIN):
            pass
