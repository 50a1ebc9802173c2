"""Opening a driver's cloud for a test, through the gateway and from nothing else."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from nimbi.driver.interface import Driver
from nimbi.gateway.cloud import Cloud
from nimbi.gateway.clouds import Clouds
from nimbi.gateway.registry import Registry


@asynccontextmanager
async def opened(
    driver: Driver[Any, Any],
    state_dir: Path,
    *,
    credentials: Any | None = None,
    provider: str | None = None,
    settings: Mapping[str, Any] | None = None,
) -> AsyncIterator[Cloud]:
    """Give a cloud of this very driver; start and stop the driver around it.

    `settings` is the driver's part of the settings file, as read; its part `calls` sets the limits.
    """
    clouds = Clouds(Registry({driver.name: driver}), {driver.name: settings or {}}, state_dir)
    try:
        async with clouds.use(driver.name, provider, credentials) as cloud:
            yield cloud
    finally:
        await clouds.aclose()
