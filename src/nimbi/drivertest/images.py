"""What holds for images on every cloud."""

from typing import Any, ClassVar

import pytest
from msgspec.structs import replace

from nimbi.driver.compute import Images, Instances
from nimbi.driver.operation import Collection
from nimbi.driver.storage import Snapshots
from nimbi.drivertest.conformance import fresh_name
from nimbi.drivertest.creating import ConformsToNaming, Wish
from nimbi.drivertest.image_uploads import ConformsToImageUploads
from nimbi.drivertest.needs import needs, needs_feature
from nimbi.drivertest.oddities import FEW_ODD_IDS
from nimbi.drivertest.reading import ConformsToActions
from nimbi.drivertest.samples import undeclared
from nimbi.drivertest.tracking import Made
from nimbi.gateway.cloud import Cloud
from nimbi.model.errors import Conflict, Invalid, NotFound, Unsupported
from nimbi.model.images import Image, ImageFilter, ImageState, NewImage
from nimbi.model.instances import Instance
from nimbi.model.resource import Resource
from nimbi.model.snapshots import NewSnapshot, SnapshotState
from nimbi.model.volumes import Volume


class ConformsToImages(ConformsToImageUploads, ConformsToActions, ConformsToNaming):
    interface: ClassVar[type[Collection]] = Images
    kind: ClassVar[type[Resource]] = Image
    actions: ClassVar[dict[str, tuple[Any, ...]]] = {
        "read": (),
        "share": ("no-such-account",),
        "unshare": ("no-such-account",),
    }

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
        await self.available(cloud, await made.create(Images, wish()))

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

    @needs("page", "create")
    @needs_feature(Images, "name_filter", "image_name")
    async def test_a_name_with_stars_shows_what_is_named_like_it(
        self, cloud: Cloud, made: Made, wish: Wish
    ) -> None:
        new = await made.create(Images, wish())
        name = new.name or ""
        for like, is_shown in (
            (name, True),
            (f"{name[:-3]}*", True),
            (f"*{name[3:]}", True),
            (f"{name[:-1]}?", True),
            (f"{name}?", False),
            (name[:-1], False),
        ):
            where = ImageFilter(name=like)
            found = {image.id async for image in cloud.each(Images.page, limit=1, where=where)}
            assert (new.id in found) == is_shown, like

    @needs("page")
    @needs_feature(Images, "architecture_filter")
    async def test_an_architecture_shows_its_images(self, cloud: Cloud) -> None:
        whole = await self.things(cloud, ())
        for architecture in {image.architecture for image in whole} - {None}:
            where = ImageFilter(architecture=architecture)
            found = [image.id async for image in cloud.each(Images.page, where=where)]
            assert found == [image.id for image in whole if image.architecture == architecture]

    @needs("page")
    async def test_a_filter_that_is_not_honoured_is_refused(self, cloud: Cloud) -> None:
        lacking = undeclared(ImageFilter, cloud.features(Images))
        if not lacking:
            pytest.skip(f"{cloud.driver.name} honours all filters of images")
        for field, (_feature, value) in lacking.items():
            where = replace(ImageFilter(), **{field: value})
            with pytest.raises(Unsupported):
                await cloud.call(Images.page, None, 10, where)

    @needs("create", "get", "page")
    @needs_feature(Images, "image_copy", "image_name")
    async def test_a_copy_of_an_image_is_another_image(
        self, cloud: Cloud, made: Made, wish: Wish
    ) -> None:
        source = await made.create(Images, wish())
        await self.available(cloud, source)
        name = fresh_name()
        copy = await made.create(Images, NewImage(source_image_id=source.id, name=name))
        assert copy.id != source.id
        assert copy.name == name
        assert (await self.available(cloud, copy)).architecture == source.architecture

    @needs("create")
    @needs_feature(Images, "image_copy", "image_name")
    @pytest.mark.parametrize("id", FEW_ODD_IDS)
    async def test_a_copy_of_an_unknown_image_is_not_found(self, made: Made, id: str) -> None:
        with pytest.raises(NotFound):
            await made.create(Images, NewImage(source_image_id=id, name=fresh_name()))

    @needs("create", "get", Snapshots.create, Snapshots.get)
    @needs_feature(Images, "image_of_snapshot", "image_name")
    async def test_an_image_can_be_made_of_a_snapshot(
        self, cloud: Cloud, made: Made, volume: Volume
    ) -> None:
        snapshot = await made.create(Snapshots, NewSnapshot(volume_id=volume.id))
        await cloud.wait(
            Snapshots.get,
            snapshot.id,
            until={SnapshotState.COMPLETED},
            failing={SnapshotState.ERROR},
            timeout_s=self.patience_s,
        )
        wish = NewImage(snapshot_id=snapshot.id, architecture="x86_64", name=fresh_name())
        image = await made.create(Images, wish)
        assert (await self.available(cloud, image)).architecture == "x86_64"

    @needs("create")
    async def test_an_image_has_one_source(self, cloud: Cloud) -> None:
        for wish in (
            NewImage(),
            NewImage(instance_id="a", snapshot_id="b"),
            NewImage(instance_id="a", source_image_id="b"),
            NewImage(instance_id="a", architecture="x86_64"),
            NewImage(instance_id="a", source_provider="b"),
        ):
            with pytest.raises((Invalid, Unsupported)):
                await cloud.call(Images.create, wish)

    async def available(self, cloud: Cloud, image: Image) -> Image:
        return await cloud.wait(
            Images.get,
            image.id,
            until={ImageState.AVAILABLE},
            failing={ImageState.ERROR},
            timeout_s=self.patience_s,
        )
