"""What holds for images on every cloud."""

from typing import ClassVar

import pytest
from msgspec.structs import replace

from nimbi.driver.compute import Images, Instances
from nimbi.driver.operation import Collection
from nimbi.drivertest.conformance import fresh_name
from nimbi.drivertest.creating import ConformsToNaming, Wish
from nimbi.drivertest.needs import needs, needs_feature
from nimbi.drivertest.oddities import FEW_ODD_IDS
from nimbi.drivertest.tracking import Made
from nimbi.gateway.cloud import Cloud
from nimbi.model.errors import Conflict, NotFound, Unsupported
from nimbi.model.images import Image, ImageFilter, ImageState, NewImage
from nimbi.model.instances import Instance
from nimbi.model.resource import Resource


class ConformsToImages(ConformsToNaming):
    interface: ClassVar[type[Collection]] = Images
    kind: ClassVar[type[Resource]] = Image

    @pytest.fixture
    async def wish(self, cloud: Cloud, instance: Instance) -> Wish:
        """Images of an instance, named where a name is honoured: some clouds ask for one."""
        if not instance.can_be_imaged:
            pytest.skip(f"{cloud.driver.name} makes no image of the test's instance")
        named = "image_name" in cloud.features(Images)
        return lambda: NewImage(instance_id=instance.id, name=fresh_name() if named else None)

    @needs("page")
    async def test_there_is_an_image_to_launch(self, cloud: Cloud) -> None:
        states = {image.state for image in await self.things(cloud, ())}
        assert ImageState.AVAILABLE in states

    @needs("page")
    async def test_a_root_disk_is_transient_or_persistent(self, cloud: Cloud) -> None:
        kinds = {image.root_type for image in await self.things(cloud, ())}
        assert kinds <= {"transient", "persistent"}

    @needs("create", "get")
    async def test_a_new_image_becomes_available(
        self, cloud: Cloud, made: Made, wish: Wish
    ) -> None:
        new = await made.create(Images, wish())
        await cloud.wait(
            Images.get,
            new.id,
            until={ImageState.AVAILABLE},
            failing={ImageState.ERROR},
            timeout_s=self.patience_s,
        )

    @needs("create", "get")
    @needs_feature(Images, "image_description")
    async def test_a_description_is_kept(self, cloud: Cloud, made: Made, wish: Wish) -> None:
        new = await made.create(Images, replace(wish(), description="made by a test, ünïcödé"))
        assert (await cloud.call(Images.get, new.id)).description == "made by a test, ünïcödé"

    @needs("create")
    @pytest.mark.parametrize("id", FEW_ODD_IDS)
    async def test_an_image_of_an_unknown_instance_is_not_found(self, made: Made, id: str) -> None:
        with pytest.raises(NotFound):
            await made.create(Images, NewImage(instance_id=id))

    @needs("create", Instances.page)
    async def test_an_instance_that_cannot_be_imaged_is_a_conflict(
        self, cloud: Cloud, made: Made
    ) -> None:
        async for instance in cloud.each(Instances.page):
            if not instance.can_be_imaged:
                with pytest.raises(Conflict):
                    await made.create(Images, NewImage(instance_id=instance.id))
                return
        pytest.skip(f"{cloud.driver.name} has no instance that cannot be imaged")

    @needs("page")
    @needs_feature(Images, "owner_id")
    async def test_an_owner_shows_its_own_images(self, cloud: Cloud) -> None:
        whole = await self.things(cloud, ())
        for owner in {image.owner_id for image in whole} - {None}:
            where = ImageFilter(owner_id=owner)
            found = [image.id async for image in cloud.each(Images.page, limit=1, where=where)]
            assert found == [image.id for image in whole if image.owner_id == owner]

    @needs("page")
    @needs_feature(Images, "owner_id")
    async def test_an_unknown_owner_has_no_images(self, cloud: Cloud) -> None:
        where = ImageFilter(owner_id="no-such-owner-☃")
        assert not [image async for image in cloud.each(Images.page, where=where)]

    @needs("page", "create")
    @needs_feature(Images, "owner_id")
    async def test_self_is_the_one_who_asks(self, cloud: Cloud, made: Made, wish: Wish) -> None:
        new = await made.create(Images, wish())
        where = ImageFilter(owner_id="self")
        mine = [image async for image in cloud.each(Images.page, where=where)]
        assert new.id in {image.id for image in mine}
        assert {image.owner_id for image in mine} == {new.owner_id}

    @needs("page")
    async def test_a_filter_that_is_not_honoured_is_refused(self, cloud: Cloud) -> None:
        if "owner_id" in cloud.features(Images):
            pytest.skip(f"{cloud.driver.name} honours images.owner_id")
        with pytest.raises(Unsupported):
            await cloud.call(Images.page, None, 10, ImageFilter(owner_id="self"))
