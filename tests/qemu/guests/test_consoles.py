"""Sitting before a guest: its serial line, its screen, and what is plugged in meanwhile."""

import asyncio
import io
import os
import re
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Picture

from nimbi.qemu import Conflict, Console, ConsoleKind, GuestSpec, Hypervisor, NotFound, State
from nimbi.qemu.errors import Failed
from nimbi.qemu.guests.consoles import BEHIND_BYTES, SerialConsole
from nimbi.qemu.guests.qmp import conversation
from nimbi.qemu.guests.record import QMP
from nimbi.qemu.guests.screens import from_ppm
from nimbi.qemu.host.programs import Missing, program

ANSWER_S = 60
SHELL = b"# "


@asynccontextmanager
async def opened(hypervisor: Hypervisor, id: str, kind: ConsoleKind) -> AsyncIterator[Console]:
    console = await hypervisor.open_console(id, kind)
    try:
        yield console
    finally:
        await console.aclose()


async def said(console: Console, last: bytes) -> bytes:
    """Return what the guest says, up to something."""
    text = b""
    with suppress(TimeoutError):
        async with asyncio.timeout(ANSWER_S):
            while last not in text and (more := await console.read()):
                text += more
    assert last in text, text
    return text


async def shell(console: Console, line: str) -> str:
    """Return what a command prints in the shell on the serial line."""
    # In two pieces, since the line itself is printed too.
    await console.write(f"{line}; echo en''ded\r".encode())
    return (await said(console, b"ended\r\n")).decode(errors="replace")


@pytest.mark.guest
async def test_whoever_sits_at_the_serial_line_has_a_shell(hypervisor, shared) -> None:
    async with opened(hypervisor, shared.id, ConsoleKind.SERIAL) as console:
        await console.write(b"\r")
        await said(console, SHELL)
        told = await shell(console, "uname -s; id -un")
    assert "Linux\r\nroot\r\n" in told
    assert b"Linux" in await hypervisor.console(shared.id)


@pytest.mark.guest
async def test_the_serial_line_is_for_one_at_a_time(hypervisor, shared) -> None:
    async with opened(hypervisor, shared.id, ConsoleKind.SERIAL):
        with pytest.raises(Conflict, match="already"):
            await hypervisor.open_console(shared.id, ConsoleKind.SERIAL)
    for _ in range(5):
        async with opened(hypervisor, shared.id, ConsoleKind.SERIAL) as console:
            await console.write(b"\r")


@pytest.mark.guest
async def test_a_screen_can_be_looked_at_by_several(hypervisor, shared) -> None:
    async with (
        opened(hypervisor, shared.id, ConsoleKind.VNC) as one,
        opened(hypervisor, shared.id, ConsoleKind.VNC) as other,
    ):
        assert await shaken(one) == await shaken(other)


async def shaken(screen: Console) -> tuple[int, int]:
    """Return width and height of a screen, after the handshake of RFC 6143, 7.1 to 7.3."""
    rest = bytearray()

    async def exactly(count: int) -> bytes:
        async with asyncio.timeout(ANSWER_S):
            while len(rest) < count and (more := await screen.read()):
                rest.extend(more)
        found = bytes(rest[:count])
        del rest[:count]
        return found

    assert await exactly(12) == b"RFB 003.008\n"
    await screen.write(b"RFB 003.008\n")
    kinds = await exactly((await exactly(1))[0])
    assert 1 in kinds, "no way in without a password"
    await screen.write(b"\x01")
    assert await exactly(4) == bytes(4)
    await screen.write(b"\x01")
    width, height = struct.unpack(">HH", await exactly(4))
    return width, height


@pytest.mark.guest
async def test_a_screenshot_shows_text(hypervisor, shared) -> None:
    with Picture.open(io.BytesIO(await hypervisor.screenshot(shared.id))) as picture:
        assert (picture.format, picture.size) == ("PNG", (720, 400))
        light = sum(picture.convert("L").histogram()[100:])
    assert light > 500, "the screen is dark"
    assert list((shared.root / "guests" / shared.id).glob(".screen-*")) == []


@pytest.mark.guest
async def test_a_card_that_is_plugged_in_gets_an_address_by_itself(hypervisor, shared) -> None:
    socket = shared.root / "guests" / shared.id / QMP
    async with opened(hypervisor, shared.id, ConsoleKind.SERIAL) as console:
        await console.write(b"\r")
        await said(console, SHELL)
        async with conversation(socket) as talk:
            network = {"type": "user", "id": "more", "net": "10.9.8.0/24", "restrict": True}
            await talk.ask("netdev_add", network)
            card: dict[str, Any] = {"driver": "virtio-net-pci", "netdev": "more", "id": "more"}
            await talk.ask("device_add", card | {"addr": "0x14", "romfile": ""})
        wait = "until ip addr show eth1 2>/dev/null | grep -q 10.9.8; do usleep 100000; done"
        await shell(console, wait)
        routes = await shell(console, "ip route")
        assert re.search(r"^default via \S+ dev eth0", routes, re.MULTILINE)
        async with conversation(socket) as talk:
            await talk.ask("device_del", {"id": "more"})
        await shell(console, "while ip link show eth1 >/dev/null 2>&1; do usleep 100000; done")
        await shell(console, "while [ -e /run/card.eth1 ]; do usleep 100000; done")
        async with conversation(socket) as talk:
            await talk.ask("netdev_del", {"id": "more"})


@pytest.mark.guest
async def test_the_guest_agent_runs_where_the_host_has_one(hypervisor, shared) -> None:
    try:
        program("qemu-ga")
    except Missing as error:
        pytest.skip(str(error))
    async with opened(hypervisor, shared.id, ConsoleKind.SERIAL) as console:
        await console.write(b"\r")
        await said(console, SHELL)
        await shell(console, "until [ -s /run/qemu-ga.pid ]; do usleep 100000; done")


@pytest.mark.guest
async def test_the_end_of_the_guest_is_the_end_of_its_consoles(hypervisor, image) -> None:
    guest = await hypervisor.create(GuestSpec(name="ends", image_id=image.id, memory_mib=96))
    await hypervisor.wait(guest.id, frozenset({State.RUNNING}), 120)
    consoles = [await hypervisor.open_console(guest.id, kind) for kind in ConsoleKind]
    await hypervisor.destroy(guest.id)
    for console in consoles:
        async with asyncio.timeout(ANSWER_S):
            while await console.read():
                pass
        await console.aclose()
        with pytest.raises(Conflict):
            await console.write(b"x")
    for kind in ConsoleKind:
        with pytest.raises(NotFound):
            await hypervisor.open_console(guest.id, kind)
    with pytest.raises(NotFound):
        await hypervisor.screenshot(guest.id)


class Line:
    """A serial line of this test's own: a socket that prints as much as it is told to."""

    def __init__(self) -> None:
        self.writer: asyncio.StreamWriter | None = None
        self.came = asyncio.Event()

    async def served(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self.came.set()


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[tuple[Line, SerialConsole]]:
    line = Line()
    server = await asyncio.start_unix_server(line.served, tmp_path / "line")
    reader, writer = await asyncio.open_unix_connection(str(tmp_path / "line"))
    console = SerialConsole(reader, writer, os.open(tmp_path / "lock", os.O_CREAT))
    await line.came.wait()
    yield line, console
    await console.aclose()
    if line.writer is not None:
        line.writer.close()
    server.close()


async def test_a_reader_who_stays_behind_never_holds_the_guest_up(line) -> None:
    guest, console = line
    for _ in range(2 * BEHIND_BYTES // 65536):
        guest.writer.write(bytes(65536))
        try:
            async with asyncio.timeout(ANSWER_S):
                await guest.writer.drain()
        except ConnectionError:
            break
    read = 0
    while data := await console.read():
        read += len(data)
    assert BEHIND_BYTES < read < 2 * BEHIND_BYTES
    with pytest.raises(Conflict):
        await console.write(b"x")


async def test_closing_wakes_who_waits_for_the_guest(line) -> None:
    _, console = line
    waiting = asyncio.create_task(console.read())
    await asyncio.sleep(0)
    await console.aclose()
    assert await waiting == b""
    assert await console.read() == b""


def test_a_plain_picture_becomes_a_png() -> None:
    points = bytes(range(2 * 3 * 3))
    with Picture.open(io.BytesIO(from_ppm(b"P6\n2 3\n255\n" + points))) as picture:
        assert (picture.format, picture.size, picture.mode) == ("PNG", (2, 3), "RGB")
        assert picture.tobytes() == points


@pytest.mark.parametrize(
    "bad", [b"", b"P6\n2 3\n255\n", b"P5\n1 1\n255\nx", b"P6\n0 0\n255\n", b"P6\n99999999 1\n255\n"]
)
def test_what_is_no_picture_is_refused(bad: bytes) -> None:
    with pytest.raises(Failed):
        from_ppm(bad)
