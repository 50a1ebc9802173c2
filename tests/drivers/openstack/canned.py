"""A login to the stand-in for an OpenStack."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.drivers.openstack.neutron import StandIn
from tests.targets.exchange import served

from nimbi.drivers.openstack import DRIVER
from nimbi.drivers.openstack.login import Login
from nimbi.drivertest import opened
from nimbi.gateway.cloud import Cloud


@asynccontextmanager
async def standing_in(stand_in: StandIn) -> AsyncIterator[StandIn]:
    """Serve a stand-in on a free port of the loopback."""
    async with served(stand_in) as url:
        stand_in.url = url
        yield stand_in


@asynccontextmanager
async def logged_in(
    stand_in: StandIn, tmp_path: Path, settings: dict[str, Any] | None = None
) -> AsyncIterator[Cloud]:
    """Give a login to the only project of a stand-in."""
    async with opened(
        DRIVER,
        tmp_path,
        settings=settings or {},
        credentials=Login("tests+tests", "secret"),
        provider=f"{stand_in.url}/v3",
    ) as cloud:
        yield cloud
