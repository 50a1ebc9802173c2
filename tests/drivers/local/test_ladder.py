"""What a session of the local cloud tells of the ladder of networks: its own rung."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from nimbi.driver.network import Firewalls, NetworkInterfaces, Networks, Subnets
from nimbi.drivers.local import DRIVER
from nimbi.gateway.cloud import Cloud
from nimbi.gateway.clouds import Clouds
from nimbi.gateway.registry import Registry
from nimbi.model.errors import Unsupported
from nimbi.qemu.network.rungs import Rung, choose

Opening = Callable[[str], AbstractAsyncContextManager[Cloud]]


@pytest.fixture
def opened(tmp_path: Path) -> Opening:
    """Open a session, as somebody who has not logged in, on a rung of the ladder."""

    @asynccontextmanager
    async def opening(network: str) -> AsyncIterator[Cloud]:
        settings = {"local": {"network": network}}
        clouds = Clouds(Registry({"local": DRIVER}), settings, tmp_path)
        try:
            async with clouds.use("local", None, None) as cloud:
                yield cloud
        finally:
            await clouds.aclose()

    return opening


async def test_the_lowest_rung_lacks_networks_by_name(opened: Opening) -> None:
    async with opened("user") as cloud:
        assert cloud.notes["network"].startswith("user: ")
        assert {"networks.create", "subnets.page", "firewalls.create_rule"} <= cloud.lacks
        assert {id.partition(".")[0] for id in cloud.lacks} <= {
            *(each.name for each in (Firewalls, Networks, Subnets, NetworkInterfaces)),
            "addresses",
        }
        with pytest.raises(Unsupported, match=r"networks\.page"):
            await cloud.networks.page(None, 10)


async def test_the_best_rung_of_this_machine_is_told(opened: Opening, tmp_path: Path) -> None:
    found = await choose(tmp_path / "ladder", "auto")
    async with opened("auto") as cloud:
        assert cloud.notes["network"].startswith(f"{found.rung}: ")
        assert cloud.supports(Networks.create) is (found.rung is not Rung.USER)
        assert all(rung in cloud.notes["network"] for rung in found.refusals)
