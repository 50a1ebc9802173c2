"""Images of the local cloud: of instances, imported ones, and which profiles bear them."""

import struct
from pathlib import Path

import pytest

from nimbi.driver.compute import Images
from nimbi.driver.interface import Place
from nimbi.drivers.local import DRIVER
from nimbi.drivers.local.hardware_profiles import default_for
from nimbi.drivers.local.login import own_login
from nimbi.drivertest import opened
from nimbi.gateway.cloud import Cloud
from nimbi.model.errors import Conflict, Invalid, NotFound
from nimbi.model.images import ImageState, NewImage
from nimbi.model.instances import NewInstance
from nimbi.qemu import Order, open_hypervisor
from nimbi.qemu.images.store import Facts

SETTLED = {ImageState.AVAILABLE}
FAILED = {ImageState.ERROR}


async def added(place: Path, megabytes: int) -> str:
    """Import a disk that BIOS would start, and return the image's id."""
    disk = place / "disk.raw"
    with disk.open("wb") as new:
        new.write(b"\xeb\xfe".ljust(446, b"\0") + struct.pack("<16x48x") + b"\x55\xaa")
        new.truncate(megabytes * 2**20)
    async with open_hypervisor(place / "local") as hypervisor:
        return (await hypervisor.import_image(Order(source=str(disk), name="big"))).id


async def test_an_imported_image_names_the_profiles_that_bear_it(tmp_path: Path):
    id = await added(tmp_path, 1100)
    login = own_login(None, Place(tmp_path / "local"))
    async with opened(DRIVER, tmp_path, credentials=login) as cloud:
        image = await cloud.images.get(id)
        assert (image.name, image.state) == ("big", ImageState.AVAILABLE)
        assert image.hardware_profile_ids == ("medium", "custom")
        assert image.extra["boot_modes"] == ["bios"]
        with pytest.raises(Invalid, match="disk_gib"):
            new = NewInstance(image_id=id, hardware_profile_id="small")
            await cloud.instances.create(new)
        await cloud.images.destroy(id)
        with pytest.raises(NotFound):
            await cloud.images.destroy(id)


async def test_other_images_are_listed_where_the_demo_image_cannot_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    id = await added(tmp_path, 8)
    login = own_login(None, Place(tmp_path / "local"))
    monkeypatch.setenv("PATH", "")
    async with opened(DRIVER, tmp_path, credentials=login) as cloud:
        assert [image.id async for image in cloud.each(Images.page)] == [id]


@pytest.mark.parametrize(
    ("memory_mib", "disk_gib", "profile"),
    [(0, 0.1, "small"), (256, 2, "medium"), (600, 2, "custom"), (0, 60, "custom")],
)
def test_without_a_wish_the_smallest_profile_that_suffices_is_taken(memory_mib, disk_gib, profile):
    facts = Facts(
        name="n",
        description="",
        recipe="r",
        disk_bytes=int(disk_gib * 2**30),
        architecture="x86_64",
        least_memory_mib=memory_mib,
    )
    assert default_for(facts).id == profile


@pytest.mark.guest
async def test_an_image_in_use_cannot_be_destroyed(cloud: Cloud, shared_guest):
    image_id = (await cloud.instances.get(shared_guest.id)).image_id or ""
    with pytest.raises(Conflict, match=shared_guest.id):
        await cloud.images.destroy(image_id)
    assert (await cloud.images.get(image_id)).state is ImageState.AVAILABLE


@pytest.mark.guest
async def test_the_same_token_is_the_same_image(cloud: Cloud, shared_guest):
    new = NewImage(instance_id=shared_guest.id, name="n", token="image-token")
    first, second = await cloud.images.create(new), await cloud.images.create(new)
    assert first.id == second.id
    with pytest.raises(Conflict):
        other = NewImage(instance_id=shared_guest.id, name="m", token="image-token")
        await cloud.images.create(other)
    await cloud.wait(Images.get, first.id, until=SETTLED, failing=FAILED, timeout_s=60)
    await cloud.images.destroy(first.id)
