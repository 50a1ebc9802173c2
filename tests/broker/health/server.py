"""One of several processes that make checks on one database. Run: JSON."""

import asyncio
import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.broker.health.ward import LOCAL

from nimbi.broker.destinations import Destinations
from nimbi.broker.health.health import Health
from nimbi.broker.health.watching import Pace
from nimbi.broker.site import assembled
from nimbi.drivers.mock import DRIVER
from nimbi.gateway.clouds import Clouds
from nimbi.gateway.registry import Registry
from nimbi.store.database import open_database
from nimbi.store.sealing import Keyring

PACE = Pace(look_s=0.05, lease_s=5.0)


async def here(_host: str, _port: int) -> tuple[str, ...]:
    return (LOCAL,)


async def serve(told: Mapping[str, Any]) -> None:
    """Make checks until standard input ends."""
    place = Path(told["place"])
    registry = Registry({"mock": replace(DRIVER, name="mock")})
    async with open_database(told["url"], upgrade=False) as database:
        settings = {"mock": {"storage": str(place / "cloud")}}
        clouds = Clouds(registry, settings, place / told["holder"])
        broker = assembled(database, Keyring.of(told["key"]), clouds, registry, private=True)
        health = Health(
            database,
            broker.ground,
            Destinations(private=True, resolve=here),
            holder=told["holder"],
            pace=PACE,
        )
        async with health.watching():
            sys.stdout.write("ready\n")
            sys.stdout.flush()
            await asyncio.to_thread(sys.stdin.read)
        await broker.inventory.aclose()
        await clouds.aclose()


if __name__ == "__main__":
    asyncio.run(serve(json.loads(sys.argv[1])))
