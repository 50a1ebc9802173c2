"""Images on a real cloud: bytes up and down, and who sees them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from openstack.connection import Connection
from tests.drivers.openstack.conftest import login
from tests.drivers.openstack.glance import chunks, whole
from tests.targets.openstack.projects import Project, quiet

from nimbi.driver.compute import Images
from nimbi.drivers.openstack import DRIVER
from nimbi.drivertest import opened
from nimbi.gateway.cloud import Cloud
from nimbi.model.errors import NotFound
from nimbi.model.images import ImageFilter, NewUpload, Visibility


async def test_bytes_come_back_from_a_real_cloud(cloud: Cloud, oracle: Connection) -> None:
    parts = [bytes([n]) * 2**20 for n in range(5)]
    wish = NewUpload(name="bytes", format="raw", architecture="x86_64", properties={"a": "ü"})
    made = await cloud.images.upload(wish, chunks(*parts))
    try:
        assert await whole(cloud, made.id) == b"".join(parts)
        with quiet():
            seen = oracle.image.get_image(made.id)
        assert (seen.status, seen.disk_format, seen.architecture) == ("active", "raw", "x86_64")
        assert seen.properties["a"] == "ü"
    finally:
        await cloud.images.destroy(made.id)


async def test_a_torn_upload_leaves_nothing_in_a_real_cloud(cloud: Cloud) -> None:
    before = {image.id async for image in cloud.each(Images.page)}

    async def torn() -> AsyncIterator[bytes]:
        yield b"x" * 2**20
        raise RuntimeError("torn")

    with pytest.raises(RuntimeError, match="torn"):
        await cloud.images.upload(NewUpload(name="torn", format="raw"), torn())
    assert {image.id async for image in cloud.each(Images.page)} == before


async def test_another_project_sees_what_is_shared_with_it_and_no_more(
    cloud: Cloud, other_project: Project, tmp_path: Path
) -> None:
    made = await cloud.images.upload(NewUpload(name="ours", format="raw"), chunks(b"disk"))
    shared = ImageFilter(visibility=Visibility.SHARED)
    other = opened(
        DRIVER,
        tmp_path / "other",
        credentials=login(other_project),
        provider=other_project.auth_url,
    )
    try:
        async with other as others:
            with pytest.raises(NotFound):
                await others.images.get(made.id)
            await cloud.images.share(made.id, other_project.id)
            assert (await others.images.get(made.id)).owner_id == made.owner_id
            assert made.id in {i.id async for i in others.each(Images.page, where=shared)}
            await cloud.images.unshare(made.id, other_project.id)
            with pytest.raises(NotFound):
                await others.images.get(made.id)
    finally:
        await cloud.images.destroy(made.id)
