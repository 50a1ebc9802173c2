"""What holds for the consoles of instances: the log, the screen, and sitting before them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from nimbi.driver.compute import Instances
from nimbi.driver.consoles import ConsoleStream
from nimbi.drivertest.conformance import Conformance
from nimbi.drivertest.moves import brought
from nimbi.drivertest.needs import needs, require
from nimbi.gateway.cloud import Cloud
from nimbi.model.consoles import ConsoleKind
from nimbi.model.errors import Conflict, Unsupported
from nimbi.model.instances import Instance, InstanceState

CONSOLE_BYTES = 64 * 1024
PNG = b"\x89PNG\r\n\x1a\n"

# RFC 6143, 7.1.1: the server of a screen speaks first, and tells its version.
SCREEN = b"RFB 003."

ANSWER_S = 30.0
RETURN_KEY = b"\r"

VIEWS: dict[str, tuple[Any, ...]] = {
    "screenshot": (),
    "open_console": (ConsoleKind.SERIAL,),
    "console_link": (),
}


class ConformsToConsoles(Conformance):
    @needs("console", "create", "get")
    async def test_a_console_gives_at_most_64_kib(self, cloud: Cloud, instance: Instance) -> None:
        told = await cloud.call(Instances.console, instance.id)
        assert isinstance(told, bytes)
        assert len(told) <= CONSOLE_BYTES

    @needs("screenshot", "create", "get")
    async def test_a_screenshot_is_a_png(self, cloud: Cloud, instance: Instance) -> None:
        await brought(cloud, instance.id, InstanceState.RUNNING, self.patience_s)
        assert (await cloud.call(Instances.screenshot, instance.id)).startswith(PNG)

    @needs("console_link", "create", "get")
    async def test_a_link_to_a_console_is_a_url_that_no_repr_shows(
        self, cloud: Cloud, instance: Instance
    ) -> None:
        await brought(cloud, instance.id, InstanceState.RUNNING, self.patience_s)
        link = await cloud.call(Instances.console_link, instance.id)
        assert link.url.partition("://")[0] in {"http", "https", "ws", "wss"}
        assert urlsplit(link.url).hostname
        assert link.protocol
        assert link.url not in repr(link)

    @needs("open_console", "create", "get")
    async def test_a_serial_console_answers_when_a_key_is_hit(
        self, cloud: Cloud, instance: Instance
    ) -> None:
        await brought(cloud, instance.id, InstanceState.RUNNING, self.patience_s)
        async with self.console(cloud, instance, ConsoleKind.SERIAL) as console:
            await console.write(RETURN_KEY)
            async with asyncio.timeout(ANSWER_S):
                assert await console.read()

    @needs("open_console", "create", "get")
    async def test_a_screen_tells_its_protocol(self, cloud: Cloud, instance: Instance) -> None:
        await brought(cloud, instance.id, InstanceState.RUNNING, self.patience_s)
        async with self.console(cloud, instance, ConsoleKind.VNC) as console:
            said = b""
            async with asyncio.timeout(ANSWER_S):
                while len(said) < len(SCREEN) and (more := await console.read()):
                    said += more
            assert said.startswith(SCREEN)

    @needs("open_console", "create", "get")
    @pytest.mark.parametrize("kind", list(ConsoleKind))
    async def test_a_closed_console_says_nothing_and_takes_nothing(
        self, cloud: Cloud, instance: Instance, kind: ConsoleKind
    ) -> None:
        await brought(cloud, instance.id, InstanceState.RUNNING, self.patience_s)
        async with self.console(cloud, instance, kind) as console:
            await console.aclose()
            async with asyncio.timeout(ANSWER_S):
                while await console.read():
                    pass
            with pytest.raises(Conflict):
                await console.write(RETURN_KEY)

    @needs("open_console", "create", "get")
    @pytest.mark.parametrize("kind", list(ConsoleKind))
    async def test_a_console_can_be_opened_again(
        self, cloud: Cloud, instance: Instance, kind: ConsoleKind
    ) -> None:
        await brought(cloud, instance.id, InstanceState.RUNNING, self.patience_s)
        for _ in range(2):
            async with self.console(cloud, instance, kind) as console:
                await console.write(RETURN_KEY)

    @needs("create", "get", "stop")
    @pytest.mark.parametrize("verb", list(VIEWS))
    async def test_what_is_stopped_has_no_console(
        self, cloud: Cloud, instance: Instance, verb: str
    ) -> None:
        operation = getattr(Instances, verb)
        require(cloud, operation)
        await brought(cloud, instance.id, InstanceState.STOPPED, self.patience_s)
        with pytest.raises(Conflict):
            await cloud.call(operation, instance.id, *VIEWS[verb])

    @asynccontextmanager
    async def console(
        self, cloud: Cloud, instance: Instance, kind: ConsoleKind
    ) -> AsyncIterator[ConsoleStream]:
        try:
            console = await cloud.call(Instances.open_console, instance.id, kind)
        except Unsupported:
            pytest.skip(f"{cloud.driver.name} has no console of kind {kind}")
        try:
            yield console
        finally:
            await console.aclose()
