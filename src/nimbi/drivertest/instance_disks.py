"""What holds for disks that are made with an instance, and for the one that it boots from."""

import pytest
from msgspec.structs import replace

from nimbi.driver.compute import Instances
from nimbi.driver.storage import Volumes
from nimbi.drivertest.conformance import Conformance
from nimbi.drivertest.moves import gone, rested
from nimbi.drivertest.needs import needs, needs_feature
from nimbi.drivertest.tracking import Made
from nimbi.gateway.cloud import Cloud
from nimbi.model.errors import Unsupported
from nimbi.model.instances import Instance, NewAttachment, NewInstance
from nimbi.model.volumes import VolumeState

BOOT = NewAttachment(device="/dev/vda", size_gib=1, boot=True)


class ConformsToInstanceDisks(Conformance):
    @needs("create", "get", Volumes.get)
    @needs_feature(Instances, "volume_mappings")
    async def test_mapped_volumes_are_made_with_the_instance(
        self, cloud: Cloud, made: Made, new_instance: NewInstance
    ) -> None:
        asked = replace(new_instance, volumes=(NewAttachment(device="/dev/sdx", size_gib=2),))
        found = await self.at_rest(cloud, made, asked)
        (id,) = [each.volume_id for each in found.volumes if each.device == "/dev/sdx"]
        volume = await cloud.call(Volumes.get, id)
        assert (volume.size_gib, volume.instance_id) == (2, found.id)

    @needs("create", "get", "destroy", Volumes.get)
    @needs_feature(Instances, "volume_mappings")
    async def test_a_mapped_volume_goes_with_its_instance_unless_it_is_to_be_kept(
        self, cloud: Cloud, made: Made, new_instance: NewInstance
    ) -> None:
        asked = replace(
            new_instance,
            volumes=(
                NewAttachment(device="/dev/sdx", size_gib=1),
                NewAttachment(device="/dev/sdy", size_gib=1, keep=True),
            ),
        )
        found = await self.at_rest(cloud, made, asked)
        ids = {each.device: each.volume_id for each in found.volumes}
        made.track(Volumes, ids["/dev/sdy"])
        await made.destroy(Instances, found.id)
        await gone(lambda: cloud.call(Volumes.get, ids["/dev/sdx"]), self.patience_s)
        assert (await cloud.call(Volumes.get, ids["/dev/sdy"])).id == ids["/dev/sdy"]

    @needs("create", "get", "destroy", Volumes.get)
    @needs_feature(Instances, "volume_mappings", "boot_from_volume")
    async def test_a_new_boot_volume_goes_with_its_instance(
        self, cloud: Cloud, made: Made, new_instance: NewInstance
    ) -> None:
        found = await self.at_rest(cloud, made, replace(new_instance, volumes=(BOOT,)))
        (id,) = [each.volume_id for each in found.volumes]
        assert (await cloud.call(Volumes.get, id)).instance_id == found.id
        await made.destroy(Instances, found.id)
        await gone(lambda: cloud.call(Volumes.get, id), self.patience_s)

    @needs("create", "get", "destroy", Volumes.get)
    @needs_feature(Instances, "volume_mappings", "boot_from_volume")
    async def test_an_instance_boots_from_a_volume_that_another_left(
        self, cloud: Cloud, made: Made, new_instance: NewInstance
    ) -> None:
        kept = replace(new_instance, volumes=(replace(BOOT, keep=True),))
        first = await self.at_rest(cloud, made, kept)
        (id,) = [each.volume_id for each in first.volumes]
        made.track(Volumes, id)
        await made.destroy(Instances, first.id)
        await self.free(cloud, id)
        again = replace(new_instance, image_id=None, boot_volume_id=id)
        second = await self.at_rest(cloud, made, again)
        assert [each.volume_id for each in second.volumes] == [id]
        assert (await cloud.call(Volumes.get, id)).instance_id == second.id
        await made.destroy(Instances, second.id)
        await self.free(cloud, id)

    @needs("create", "page")
    @needs_feature(Instances, "volume_mappings")
    async def test_a_boot_volume_that_is_not_honoured_is_refused(
        self, cloud: Cloud, new_instance: NewInstance
    ) -> None:
        if "boot_from_volume" in cloud.features(Instances):
            pytest.skip(f"{cloud.driver.name} honours instances.boot_from_volume")
        with pytest.raises(Unsupported):
            await cloud.call(Instances.create, replace(new_instance, volumes=(BOOT,)))

    async def at_rest(self, cloud: Cloud, made: Made, wish: NewInstance) -> Instance:
        """Return a new instance as soon as it is at rest."""
        new = await made.create(Instances, wish)
        return await rested(cloud, new.id, self.patience_s)

    async def free(self, cloud: Cloud, volume_id: str) -> None:
        """Return when the volume can be attached again."""
        await cloud.wait(
            Volumes.get,
            volume_id,
            until={VolumeState.AVAILABLE},
            failing={VolumeState.ERROR},
            timeout_s=self.patience_s,
        )
