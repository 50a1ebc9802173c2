"""A local cloud with state of its own, whose demo image all tests of a run share."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.machines import apart, build_once, stock

from nimbi.driver.compute import Images
from nimbi.driver.interface import Place
from nimbi.drivers.local import DRIVER
from nimbi.drivers.local.login import own_login
from nimbi.drivertest import opened
from nimbi.drivertest.moves import rested
from nimbi.gateway.cloud import Cloud
from nimbi.model.instances import NewInstance
from nimbi.model.keys import NewKey
from nimbi.qemu import open_hypervisor


async def _destroy_all(root: Path) -> None:
    async with open_hypervisor(root) as hypervisor:
        for guest in await hypervisor.guests():
            await hypervisor.destroy(guest.id)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with the kernel and the image, built once in a run of any workers."""
    return build_once(tmp_path_factory)


@pytest.fixture(scope="session")
def state_dir(tmp_path_factory: pytest.TempPathFactory, built: Path) -> Iterator[Path]:
    """Give a state directory that has the image; no guest of it is left at the end."""
    state_dir = tmp_path_factory.mktemp("state")
    place = state_dir / "local"
    stock(place, built)
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
        image = await anext(cloud.each(Images.page))
        new = NewInstance(image_id=image.id, key_id=key.id, user_data=b"for <all>")
        instance = await cloud.instances.create(new)
        await rested(cloud, instance.id, 120)
    assert key.private_key
    return SharedGuest(instance.id, key.private_key)


@pytest.fixture
async def cloud(state_dir: Path) -> AsyncIterator[Cloud]:
    login = own_login(None, Place(state_dir / "local"))
    async with opened(DRIVER, state_dir, credentials=login) as cloud:
        yield cloud
