"""What holds for volumes on every cloud."""

from collections.abc import Set
from typing import Any, ClassVar

import pytest
from msgspec.structs import replace

from nimbi.driver.compute import Images, Instances
from nimbi.driver.operation import Collection
from nimbi.driver.storage import Snapshots, Volumes
from nimbi.drivertest.creating import ConformsToNaming, Wish
from nimbi.drivertest.moves import comes_true
from nimbi.drivertest.needs import needs, needs_feature
from nimbi.drivertest.oddities import FEW_ODD_IDS
from nimbi.drivertest.reading import ConformsToActions
from nimbi.drivertest.tracking import Made
from nimbi.gateway.cloud import Cloud
from nimbi.model.errors import Conflict, Invalid, NotFound, Unsupported
from nimbi.model.instances import Instance, NewInstance
from nimbi.model.resource import Resource
from nimbi.model.snapshots import NewSnapshot, Snapshot, SnapshotState
from nimbi.model.volumes import NewVolume, Volume, VolumeState, VolumeTarget


class ConformsToVolumes(ConformsToActions, ConformsToNaming):
    interface: ClassVar[type[Collection]] = Volumes
    kind: ClassVar[type[Resource]] = Volume
    # A kind that the cloud has, and does not take by itself.
    volume_kind: ClassVar[str | None] = None
    actions: ClassVar[dict[str, tuple[Any, ...]]] = {
        "attach": (VolumeTarget(instance_id="no-such-thing"),),
        "detach": (),
        "resize": (1,),
        "retype": ("no-such-kind",),
    }

    @pytest.fixture
    async def wish(self, new_volume: NewVolume) -> Wish:
        return lambda: new_volume

    @needs("create", "get")
    async def test_a_volume_has_the_size_that_was_asked(
        self, volume: Volume, new_volume: NewVolume
    ) -> None:
        assert volume.size_gib == new_volume.size_gib

    @needs("create")
    async def test_a_volume_without_a_size_gets_one(
        self, made: Made, new_volume: NewVolume
    ) -> None:
        volume = await made.create(Volumes, replace(new_volume, size_gib=None))
        assert volume.size_gib > 0

    @needs("create")
    @pytest.mark.parametrize("size_gib", [0, -1, 10**12, float("nan"), float("inf")])
    async def test_a_size_that_no_disk_has_is_invalid(
        self, made: Made, new_volume: NewVolume, size_gib: float
    ) -> None:
        with pytest.raises(Invalid):
            await made.create(Volumes, replace(new_volume, size_gib=size_gib))

    @needs("create")
    @pytest.mark.parametrize("id", FEW_ODD_IDS)
    async def test_an_unknown_realm_is_refused(
        self, made: Made, new_volume: NewVolume, id: str
    ) -> None:
        with pytest.raises((NotFound, Invalid)):
            await made.create(Volumes, replace(new_volume, realm_id=id))

    @needs("create")
    @pytest.mark.parametrize("id", FEW_ODD_IDS)
    async def test_an_unknown_snapshot_is_refused(
        self, cloud: Cloud, made: Made, new_volume: NewVolume, id: str
    ) -> None:
        without = () if cloud.supports(Snapshots.get) else (Invalid, Unsupported)
        with pytest.raises((NotFound, *without)):
            await made.create(Volumes, replace(new_volume, snapshot_id=id))

    @needs("create", Snapshots.create, Snapshots.get)
    async def test_a_volume_of_a_snapshot_is_no_smaller_than_it(
        self, cloud: Cloud, made: Made, volume: Volume, new_volume: NewVolume
    ) -> None:
        snapshot: Snapshot = await made.create(Snapshots, NewSnapshot(volume_id=volume.id))
        await cloud.wait(
            Snapshots.get,
            snapshot.id,
            until={SnapshotState.COMPLETED},
            failing={SnapshotState.ERROR},
            timeout_s=self.patience_s,
        )
        wish = replace(new_volume, size_gib=None, snapshot_id=snapshot.id)
        copy = await made.create(Volumes, wish)
        assert copy.id != volume.id
        assert copy.size_gib >= volume.size_gib

    @needs("create", "get")
    @needs_feature(Volumes, "volume_description")
    async def test_a_description_is_kept(
        self, cloud: Cloud, made: Made, new_volume: NewVolume
    ) -> None:
        volume = await made.create(Volumes, replace(new_volume, description="a disk, ünïcödé"))
        assert (await cloud.call(Volumes.get, volume.id)).description == "a disk, ünïcödé"

    @needs("create", "get")
    @needs_feature(Volumes, "volume_encryption")
    async def test_a_volume_is_encrypted_when_that_is_asked(
        self, cloud: Cloud, made: Made, new_volume: NewVolume
    ) -> None:
        volume = await made.create(Volumes, replace(new_volume, encrypted=True))
        assert (await cloud.call(Volumes.get, volume.id)).encrypted is True

    @needs("create", "get", Images.page)
    @needs_feature(Volumes, "volume_of_image")
    async def test_a_volume_is_filled_from_an_image(
        self, cloud: Cloud, made: Made, new_volume: NewVolume, new_instance: NewInstance
    ) -> None:
        volume = await made.create(Volumes, replace(new_volume, image_id=new_instance.image_id))
        await self.settled(cloud, volume, VolumeState.AVAILABLE)

    @needs("create")
    @needs_feature(Volumes, "volume_of_image")
    @pytest.mark.parametrize("id", FEW_ODD_IDS)
    async def test_a_volume_of_an_unknown_image_is_refused(
        self, made: Made, new_volume: NewVolume, id: str
    ) -> None:
        with pytest.raises((NotFound, Invalid)):
            await made.create(Volumes, replace(new_volume, image_id=id))

    @needs("create", "get")
    @needs_feature(Volumes, "volume_kind")
    async def test_a_volume_is_of_the_kind_that_is_asked(
        self, cloud: Cloud, made: Made, new_volume: NewVolume
    ) -> None:
        if self.volume_kind is None:
            pytest.skip("the class names no kind of volume")
        volume = await made.create(Volumes, replace(new_volume, kind=self.volume_kind))
        assert (await cloud.call(Volumes.get, volume.id)).kind == self.volume_kind

    @needs("create")
    @needs_feature(Volumes, "volume_kind")
    async def test_a_kind_that_no_volume_has_is_invalid(
        self, made: Made, new_volume: NewVolume
    ) -> None:
        with pytest.raises(Invalid):
            await made.create(Volumes, replace(new_volume, kind="no-such-kind"))

    @needs("create", "get", "resize")
    async def test_a_volume_grows(self, cloud: Cloud, volume: Volume) -> None:
        size_gib = volume.size_gib + 1
        for _ in range(2):
            assert (await cloud.call(Volumes.resize, volume.id, size_gib)).size_gib == size_gib
        assert (await self.settled(cloud, volume, VolumeState.AVAILABLE)).size_gib == size_gib

    @needs("create", "get", "resize")
    @pytest.mark.parametrize("size_gib", [0, -1, 0.001, 10**12, float("nan"), float("inf")])
    async def test_a_size_to_which_no_volume_grows_is_invalid(
        self, cloud: Cloud, volume: Volume, size_gib: float
    ) -> None:
        with pytest.raises(Invalid):
            await cloud.call(Volumes.resize, volume.id, size_gib)
        assert (await cloud.call(Volumes.get, volume.id)).size_gib == volume.size_gib

    @needs("attach", "get", Instances.get)
    async def test_attaching_is_seen_at_both_ends(
        self, cloud: Cloud, volume: Volume, instance: Instance
    ) -> None:
        attached = await self.attach(cloud, volume, instance)
        (attachment,) = attached.attachments
        assert attached.instance_id == attachment.instance_id == instance.id
        assert attached.device == attachment.device
        seen = {v.volume_id: v.device for v in (await self.look(cloud, instance)).volumes}
        # Lists of some clouds tell which volumes an instance has, and not where.
        assert seen[volume.id] in {None, attached.device}

    @needs("attach", "get")
    async def test_a_device_is_kept_or_refused(
        self, cloud: Cloud, volume: Volume, instance: Instance
    ) -> None:
        target = VolumeTarget(instance_id=instance.id, device="/dev/sdx")
        try:
            attached = await cloud.call(Volumes.attach, volume.id, target)
        except Invalid:
            return
        assert attached.device == "/dev/sdx"

    @needs("attach", "detach", "get", Instances.get)
    async def test_detaching_is_seen_at_both_ends(
        self, cloud: Cloud, volume: Volume, instance: Instance
    ) -> None:
        await self.attach(cloud, volume, instance)
        detached = await self.detach(cloud, volume)
        assert (detached.instance_id, detached.device) == (None, None)
        assert detached.attachments == ()
        told = (await self.look(cloud, instance)).volumes
        assert volume.id not in {attachment.volume_id for attachment in told}

    @needs("attach", "detach", "get")
    async def test_a_detached_volume_can_be_attached_again(
        self, cloud: Cloud, volume: Volume, instance: Instance
    ) -> None:
        await self.attach(cloud, volume, instance)
        await self.detach(cloud, volume)
        assert (await self.attach(cloud, volume, instance)).instance_id == instance.id

    @needs("attach", "get")
    async def test_attaching_an_attached_volume_is_a_conflict(
        self, cloud: Cloud, volume: Volume, instance: Instance
    ) -> None:
        await self.attach(cloud, volume, instance)
        with pytest.raises(Conflict):
            await cloud.call(Volumes.attach, volume.id, VolumeTarget(instance_id=instance.id))

    @needs("attach", "get")
    async def test_attaching_to_another_instance_is_a_conflict(
        self, cloud: Cloud, volume: Volume, instance: Instance, other_instance: Instance
    ) -> None:
        await self.attach(cloud, volume, instance)
        with pytest.raises(Conflict):
            await cloud.call(Volumes.attach, volume.id, VolumeTarget(instance_id=other_instance.id))
        assert (await cloud.call(Volumes.get, volume.id)).instance_id == instance.id

    @needs("attach")
    @pytest.mark.parametrize("id", FEW_ODD_IDS)
    async def test_attaching_to_an_unknown_instance_is_not_found(
        self, cloud: Cloud, volume: Volume, id: str
    ) -> None:
        with pytest.raises(NotFound):
            await cloud.call(Volumes.attach, volume.id, VolumeTarget(instance_id=id))

    @needs("detach")
    async def test_detaching_a_free_volume_is_a_conflict(
        self, cloud: Cloud, volume: Volume
    ) -> None:
        with pytest.raises(Conflict):
            await cloud.call(Volumes.detach, volume.id)

    @needs("attach", "detach", "get")
    async def test_detaching_from_another_instance_is_a_conflict(
        self, cloud: Cloud, volume: Volume, instance: Instance
    ) -> None:
        await self.attach(cloud, volume, instance)
        with pytest.raises(Conflict):
            await cloud.call(Volumes.detach, volume.id, "another-instance")
        assert (await cloud.call(Volumes.get, volume.id)).instance_id == instance.id
        await cloud.call(Volumes.detach, volume.id, instance.id)
        await self.settled(cloud, volume, VolumeState.AVAILABLE)

    @needs("attach", "detach", "create", "get")
    @needs_feature(Volumes, "volume_sharing")
    async def test_a_shared_volume_is_at_several_instances(
        self,
        cloud: Cloud,
        made: Made,
        new_volume: NewVolume,
        instance: Instance,
        other_instance: Instance,
    ) -> None:
        volume = await made.create(Volumes, replace(new_volume, shared=True))
        assert (await self.settled(cloud, volume, VolumeState.AVAILABLE)).shared is True
        await self.attach(cloud, volume, instance)
        await self.attach(cloud, volume, other_instance)
        ids = {instance.id, other_instance.id}
        both = await self.held_by(cloud, volume, ids)
        assert both.instance_id == both.attachments[0].instance_id
        with pytest.raises(Conflict):
            await cloud.call(Volumes.detach, volume.id)
        await cloud.call(Volumes.detach, volume.id, both.instance_id)
        await self.held_by(cloud, volume, ids - {both.instance_id})
        told = (await self.look(cloud, instance)).volumes
        assert (volume.id in {a.volume_id for a in told}) == (instance.id != both.instance_id)

    @needs("retype", "create", "get")
    async def test_a_volume_becomes_of_another_kind(self, cloud: Cloud, volume: Volume) -> None:
        if self.volume_kind is None:
            pytest.skip("the class names no kind of volume")
        for _ in range(2):
            await cloud.call(Volumes.retype, volume.id, self.volume_kind)

            async def is_retyped() -> bool:
                found = await cloud.call(Volumes.get, volume.id)
                return (found.state, found.kind) == (VolumeState.AVAILABLE, self.volume_kind)

            await comes_true(is_retyped, "it is still of its old kind", self.patience_s)

    @needs("retype", "create", "get")
    async def test_becoming_of_a_kind_that_no_volume_has_is_invalid(
        self, cloud: Cloud, volume: Volume
    ) -> None:
        with pytest.raises(Invalid):
            await cloud.call(Volumes.retype, volume.id, "no-such-kind")
        assert (await cloud.call(Volumes.get, volume.id)).kind == volume.kind

    @needs("attach", "destroy", "get")
    async def test_destroying_an_attached_volume_is_a_conflict(
        self, cloud: Cloud, volume: Volume, instance: Instance
    ) -> None:
        await self.attach(cloud, volume, instance)
        with pytest.raises(Conflict):
            await cloud.call(Volumes.destroy, volume.id)
        assert (await cloud.call(Volumes.get, volume.id)).instance_id == instance.id

    @needs("attach", "get", Instances.destroy)
    async def test_a_volume_outlives_its_instance(
        self, cloud: Cloud, made: Made, volume: Volume, doomed_instance: Instance
    ) -> None:
        await self.attach(cloud, volume, doomed_instance)
        await made.destroy(Instances, doomed_instance.id)
        left = await self.settled(cloud, volume, VolumeState.AVAILABLE)
        assert (left.instance_id, left.device) == (None, None)

    async def attach(self, cloud: Cloud, volume: Volume, instance: Instance) -> Volume:
        """Return the volume when the cloud says that it is in use."""
        await cloud.call(Volumes.attach, volume.id, VolumeTarget(instance_id=instance.id))
        return await self.settled(cloud, volume, VolumeState.IN_USE)

    async def detach(self, cloud: Cloud, volume: Volume) -> Volume:
        """Return the volume when the cloud says that it is free."""
        await cloud.call(Volumes.detach, volume.id)
        return await self.settled(cloud, volume, VolumeState.AVAILABLE)

    async def held_by(self, cloud: Cloud, volume: Volume, ids: Set[str | None]) -> Volume:
        """Return the volume as soon as these instances have it, and no others."""
        found: list[Volume] = []

        async def look() -> bool:
            found[:] = [await cloud.call(Volumes.get, volume.id)]
            return {attachment.instance_id for attachment in found[0].attachments} == ids

        await comes_true(look, f"it is not at {ids}", self.patience_s)
        return found[0]

    async def settled(self, cloud: Cloud, volume: Volume, state: VolumeState) -> Volume:
        return await cloud.wait(
            Volumes.get,
            volume.id,
            until={state},
            failing={VolumeState.ERROR},
            timeout_s=self.patience_s,
        )

    async def look(self, cloud: Cloud, instance: Instance) -> Instance:
        return await cloud.call(Instances.get, instance.id)
