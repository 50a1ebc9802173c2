"""Consoles of real guests, over WebSockets, with a client of somebody else's making."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.frontends.consoles.conftest import Site, serving
from websockets.exceptions import ConnectionClosed, InvalidStatus

from nimbi.driver.interface import Place
from nimbi.drivers.local import DRIVER
from nimbi.drivers.local.login import own_login
from nimbi.drivertest.moves import brought
from nimbi.gateway.cloud import Cloud
from nimbi.model.instances import InstanceState

pytestmark = pytest.mark.guest

ANSWER_S = 60


@pytest.fixture
async def id(cloud: Cloud, shared_guest) -> str:
    """A guest that runs, whatever the test before has done."""
    await brought(cloud, shared_guest.id, InstanceState.RUNNING, ANSWER_S)
    return str(shared_guest.id)


@pytest.fixture
async def site(state_dir: Path, id: str) -> AsyncIterator[Site]:
    login = own_login(None, Place(state_dir / "local"))
    auth = (login.user, login.password)
    async with serving(state_dir, {"local": DRIVER}, auth) as site:
        yield site


async def said(socket: Any, last: bytes) -> bytes:
    text = b""
    async with asyncio.timeout(ANSWER_S):
        while last not in text:
            text += await socket.recv()
    return text


async def test_the_serial_console_is_a_shell(site: Site, id: str) -> None:
    told = await site.ticket(instance_id=id, kind="serial")
    async with await site.open(told["url"]) as socket:
        await socket.send(b"\r")
        await said(socket, b"# ")
        await socket.send(b"uname; echo en''ded\r")
        assert b"\nLinux\r\n" in await said(socket, b"ended\r\n")


async def test_the_screen_shakes_hands_as_rfb_does(site: Site, id: str) -> None:
    told = await site.ticket(instance_id=id, kind="vnc")
    async with await site.open(told["url"], subprotocols=["binary"]) as socket:
        assert await said(socket, b"\n") == b"RFB 003.008\n"
        await socket.send(b"RFB 003.008\n")
        # RFC 6143, 7.1.2: one way in, and that is without a password.
        assert await said(socket, b"\x01\x01") == b"\x01\x01"


async def test_a_second_one_at_the_serial_console_is_told_so(site: Site, id: str) -> None:
    one, other = [(await site.ticket(instance_id=id))["url"] for _ in range(2)]
    async with await site.open(one):
        with pytest.raises(InvalidStatus) as raised:
            await site.open(other)
    assert raised.value.response.status_code == 409
    assert b"already" in bytes(raised.value.response.body or b"")


async def test_the_screen_and_the_log_are_had_by_http(site: Site, id: str) -> None:
    picture = await site.http.get("/consoles/screenshot", params={"instance_id": id})
    assert picture.content.startswith(b"\x89PNG")
    log = await site.http.get("/consoles/log", params={"instance_id": id})
    assert "nimbi: ready" in log.text


async def test_the_end_of_the_guest_ends_its_console(cloud: Cloud, site: Site, id: str) -> None:
    told = await site.ticket(instance_id=id)
    async with await site.open(told["url"]) as socket:
        await cloud.instances.stop(id)
        with pytest.raises(ConnectionClosed) as raised:
            async with asyncio.timeout(ANSWER_S):
                while True:
                    await socket.recv()
    assert raised.value.rcvd is not None
    assert raised.value.rcvd.code == 1000
    await brought(cloud, id, InstanceState.RUNNING, ANSWER_S)
