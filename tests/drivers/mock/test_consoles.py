"""Pausing, resizing and sitting before machines that are only words."""

import asyncio
import io

import pytest
from PIL import Image

from nimbi.drivers.mock.console import LONGEST_BYTES
from nimbi.drivers.mock.instances import MockInstances
from nimbi.drivers.mock.session import Session
from nimbi.model.consoles import ConsoleKind
from nimbi.model.errors import Conflict, Invalid
from nimbi.model.hardware_profiles import Sizes
from nimbi.model.instances import InstanceState


async def test_a_paused_instance_goes_on_by_resume_and_by_start(session: Session) -> None:
    instances = MockInstances(session)
    for wake in (instances.resume, instances.start):
        await instances.pause("inst1")
        assert (await instances.get("inst1")).state is InstanceState.PAUSED
        await wake("inst1")
        assert (await instances.get("inst1")).state is InstanceState.RUNNING


async def test_sizes_that_are_the_profiles_own_are_not_told(session: Session) -> None:
    instances = MockInstances(session)
    await instances.stop("inst2")
    grown = await instances.resize("inst2", Sizes(cpus=4, memory_mib=8192))
    assert grown.sizes == Sizes(cpus=4, memory_mib=8192)
    assert (await instances.resize("inst2", Sizes(memory_mib=10240))).sizes == Sizes(cpus=4)


async def test_a_disk_is_not_resized_with_its_instance(session: Session) -> None:
    instances = MockInstances(session)
    await instances.stop("inst2")
    with pytest.raises(Invalid, match="only CPUs and memory"):
        await instances.resize("inst2", Sizes(storage_gib=1024))


async def test_a_screenshot_is_the_same_for_the_same_words(session: Session) -> None:
    instances = MockInstances(session)
    one, other = await instances.screenshot("inst1"), await instances.screenshot("inst2")
    assert one == await instances.screenshot("inst1")
    assert one != other
    with Image.open(io.BytesIO(one)) as picture:
        assert len(picture.convert("RGB").getcolors(1 << 16) or []) > 1


async def test_a_console_echoes(session: Session) -> None:
    console = await MockInstances(session).open_console("inst1", ConsoleKind.SERIAL)
    assert await console.read() == b"inst1 login: "
    reading = asyncio.create_task(console.read())
    await console.write(b"hello")
    assert await reading == b"hello"
    await console.aclose()


async def test_a_console_takes_no_more_than_somebody_reads(session: Session) -> None:
    console = await MockInstances(session).open_console("inst1", ConsoleKind.SERIAL)
    await console.write(bytes(LONGEST_BYTES))
    writing = asyncio.create_task(console.write(b"last"))
    await asyncio.sleep(0)
    assert not writing.done()
    read = 0
    while not writing.done():
        read += len(await console.read())
    assert read >= LONGEST_BYTES
    await console.aclose()


async def test_closing_ends_what_waits(session: Session) -> None:
    console = await MockInstances(session).open_console("inst1", ConsoleKind.VNC)
    assert await console.read() == b"RFB 003.008\n"
    reading = asyncio.create_task(console.read())
    await asyncio.sleep(0)
    await console.aclose()
    assert await reading == b""
    with pytest.raises(Conflict):
        await console.write(b"x")
