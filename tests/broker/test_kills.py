"""A process is killed at each point of a call: after the next look all is counted rightly."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine
from tests.broker.looking import look_later
from tests.broker.test_quotas import SMALL, WEB
from tests.store.conftest import Databases
from tests.targets.postgres import Server

from nimbi.broker.access import ADMIN
from nimbi.broker.site import Broker, assembled
from nimbi.driver.compute import Instances
from nimbi.driver.storage import Volumes
from nimbi.drivers.mock import DRIVER
from nimbi.drivers.mock.session import LOGIN
from nimbi.gateway.audit import Hooks
from nimbi.gateway.clouds import Clouds
from nimbi.gateway.registry import Registry
from nimbi.model.accounts import NewAccount
from nimbi.model.errors import Invalid
from nimbi.model.volumes import NewVolume
from nimbi.store.database import open_database
from nimbi.store.keys import new_key
from nimbi.store.sealing import Keyring

KILLED = 9
GIB = 1 << 30
# What every mock cloud has from the beginning.
SEEDED = {"inst0", "inst1", "inst2", "inst3", "vol1", "vol2", "vol3"}
KEY = new_key()

Scene = Callable[[Broker], Awaitable[None]]


async def create_several(broker: Broker) -> None:
    async with broker.use(WEB, "one") as cloud:
        await cloud.call(Instances.create_many, told(SMALL), 3)


async def grow(broker: Broker) -> None:
    async with broker.use(WEB, "one") as cloud:
        volume = await cloud.call(Volumes.create, NewVolume(size_gib=1, token="v"))
        await cloud.call(Volumes.resize, volume.id, 7)


async def destroy(broker: Broker) -> None:
    async with broker.use(WEB, "one") as cloud:
        volume = await cloud.call(Volumes.create, NewVolume(size_gib=1, token="v"))
        await cloud.call(Volumes.destroy, volume.id)


async def fail(broker: Broker) -> None:
    async with broker.use(WEB, "one") as cloud:
        with pytest.raises(Invalid):
            await cloud.call(Instances.create, told(SMALL, image_id="nothing"))


def told(new: Any, **values: Any) -> Any:
    return msgspec.structs.replace(new, token="t", **values)


@asynccontextmanager
async def opened(url: str, place: Path, hooks: Hooks | None = None) -> AsyncIterator[Broker]:
    """Give the broker of a process; the cloud is on the disk, as a cloud is elsewhere."""
    registry = Registry({"mock-one": replace(DRIVER, name="mock-one")})
    clouds = Clouds(registry, {"mock-one": {"storage": str(place / "cloud")}}, place, hooks)
    async with open_database(url, upgrade=False) as database:
        broker = assembled(database, Keyring.of(KEY), clouds, registry, private=True)
        yield broker
        await broker.inventory.aclose()
        await clouds.aclose()


async def begin(url: str, place: Path) -> None:
    async with opened(url, place) as broker:
        login = {"user": LOGIN.user, "password": LOGIN.password}
        new = NewAccount(id="one", driver="mock-one", credentials=login)
        await broker.accounts.create(new, test=False)


async def play(url: str, place: Path, scene: Scene, at: int) -> None:
    """Play a scene, and die at the n-th point: before a commit, or when the cloud has acted."""
    left = at

    def point(*_args: Any) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os._exit(KILLED)

    async with opened(url, place, Hooks(point)) as broker:
        event.listen(Engine, "commit", point)
        await scene(broker)


def dies(url: str, place: Path, scene: Scene, at: int) -> bool:
    """Play a scene in a process of its own; return whether it came to the n-th point."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            asyncio.run(play(url, place, scene, at))
            status = 0
        finally:
            os._exit(status)
    _, ended = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(ended)
    assert code in {0, KILLED}
    return code == KILLED


async def check(url: str, place: Path) -> None:
    """Look as the poller does, an hour later, and compare what is counted with the cloud."""
    async with opened(url, place) as broker:
        await look_later(broker, "one")
        assert await broker.quotas.recount(mend=False) == ()
        async with broker.use(ADMIN, "one") as cloud:
            page = await cloud.call(Instances.page, None, 100)
            made = [one.id for one in page.items if one.id not in SEEDED]
            volumes = (await cloud.call(Volumes.page, None, 100)).items
        mine = [one for one in volumes if one.id not in SEEDED]
        used = {q.resource: q.used for q in await broker.ground.holdings.quotas.of(["web"])}
        assert used.get("instances", 0) == len(made)
        assert used.get("volume_bytes", 0) == sum(one.size_gib for one in mine) * GIB
        owners = [await broker.ground.holdings.owner_of("one", "instances", id) for id in made]
        assert owners == ["web"] * len(made)


@pytest.mark.parametrize("scene", [create_several, grow, destroy, fail])
def test_sqlite(tmp_path: Path, ready_database: Path, scene: Scene) -> None:
    first = tmp_path / "first"
    first.mkdir()
    url = f"sqlite:///{shutil.copy(ready_database, first / 'nimbi.db')}"
    asyncio.run(begin(url, first))
    for at in range(1, 100):
        place = tmp_path / f"point{at}"
        shutil.copytree(first, place)
        url = f"sqlite:///{place}/nimbi.db"
        has_died = dies(url, place, scene, at)
        asyncio.run(check(url, place))
        if not has_died:
            assert at > 5
            return
    pytest.fail("the scene does not end")


def test_postgresql(tmp_path: Path, postgresql: Server) -> None:
    databases = Databases(postgresql)
    for at in range(1, 100):
        place = tmp_path / f"point{at}"
        place.mkdir()
        url = databases.take()
        asyncio.run(begin(url, place))
        has_died = dies(url, place, create_several, at)
        asyncio.run(check(url, place))
        if not has_died:
            assert at > 5
            return
    pytest.fail("the scene does not end")
