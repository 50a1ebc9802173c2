"""A local cloud with state of its own, whose demo image all tests of a run share."""

import asyncio
import os
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from nimbi.driver.compute import Images
from nimbi.driver.interface import Place
from nimbi.drivers.local import DRIVER
from nimbi.drivers.local.login import own_login
from nimbi.drivertest import opened
from nimbi.drivertest.moves import rested
from nimbi.gateway.cloud import Cloud
from nimbi.model.instances import NewInstance
from nimbi.model.keys import NewKey
from nimbi.qemu import Missing, open_hypervisor
from nimbi.qemu.programs import require

T = TypeVar("T")


def apart(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on a loop in a thread of its own: pytest-asyncio owns this thread's loop."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


async def _build(root: Path) -> None:
    async with open_hypervisor(root) as hypervisor:
        await hypervisor.build_demo_image()


async def _destroy_all(root: Path) -> None:
    async with open_hypervisor(root) as hypervisor:
        for guest in await hypervisor.guests():
            await hypervisor.destroy(guest.id)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with the kernel and the image, built once in a run of any workers."""
    try:
        require(("qemu-system-x86_64", "qemu-img"))
    except Missing as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
    base = tmp_path_factory.getbasetemp()
    root = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "built"
    apart(_build(root))
    return root


@pytest.fixture(scope="session")
def state_dir(tmp_path_factory: pytest.TempPathFactory, built: Path) -> Iterator[Path]:
    """Give a state directory that has the image; no guest of it is left at the end."""
    state_dir = tmp_path_factory.mktemp("state")
    place = state_dir / "local"
    place.mkdir(mode=0o700)
    for shared in ("images", "kernels"):
        if (built / shared).exists():
            (place / shared).symlink_to(built / shared)
    yield state_dir
    apart(_destroy_all(place))


@dataclass(frozen=True)
class SharedGuest:
    """A guest that tests stop and start, and none destroys, with the key that opens it."""

    id: str
    private_key: str


@pytest.fixture(scope="session")
def shared_guest(state_dir: Path) -> SharedGuest:
    """Boot a guest once, for all tests that need one which runs."""
    return apart(_boot(state_dir))


async def _boot(state_dir: Path) -> SharedGuest:
    login = own_login(None, Place(state_dir / "local"))
    async with opened(DRIVER, state_dir, credentials=login) as cloud:
        key = await cloud.keys.create(NewKey(name="shared"))
        images = [image async for image in cloud.each(Images.page)]
        new = NewInstance(image_id=images[-1].id, key_id=key.id, user_data=b"for <all>")
        instance = await cloud.instances.create(new)
        await rested(cloud, instance.id, 120)
    assert key.private_key
    return SharedGuest(instance.id, key.private_key)


@pytest.fixture
async def cloud(state_dir: Path) -> AsyncIterator[Cloud]:
    login = own_login(None, Place(state_dir / "local"))
    async with opened(DRIVER, state_dir, credentials=login) as cloud:
        yield cloud
