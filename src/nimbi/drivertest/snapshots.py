"""What holds for snapshots on every cloud."""

from typing import ClassVar

import pytest

from nimbi.driver.operation import Collection
from nimbi.driver.storage import Snapshots, Volumes
from nimbi.drivertest.conformance import fresh_name
from nimbi.drivertest.creating import ConformsToNaming, Wish
from nimbi.drivertest.needs import needs
from nimbi.drivertest.oddities import FEW_ODD_IDS
from nimbi.drivertest.tracking import Made
from nimbi.gateway.cloud import Cloud
from nimbi.model.errors import Conflict, NotFound
from nimbi.model.resource import Resource
from nimbi.model.snapshots import NewSnapshot, Snapshot, SnapshotState
from nimbi.model.volumes import Volume


class ConformsToSnapshots(ConformsToNaming):
    interface: ClassVar[type[Collection]] = Snapshots
    kind: ClassVar[type[Resource]] = Snapshot

    @pytest.fixture
    async def wish(self, volume: Volume) -> Wish:
        return lambda: NewSnapshot(volume_id=volume.id, name=fresh_name())

    @needs("create", "get")
    async def test_a_new_snapshot_is_completed(self, cloud: Cloud, made: Made, wish: Wish) -> None:
        new = await made.create(Snapshots, wish())
        await self.completed(cloud, new)

    @needs("create", "get")
    async def test_a_snapshot_knows_its_volume(
        self, cloud: Cloud, made: Made, wish: Wish, volume: Volume
    ) -> None:
        new = await made.create(Snapshots, wish())
        done = await self.completed(cloud, new)
        assert done.volume_id == volume.id
        assert done.size_gib in {None, volume.size_gib}

    @needs("create", "get")
    async def test_a_description_is_kept(self, cloud: Cloud, made: Made, volume: Volume) -> None:
        wish = NewSnapshot(volume_id=volume.id, description="made by a test, ünïcödé")
        new = await made.create(Snapshots, wish)
        assert (await cloud.call(Snapshots.get, new.id)).description == wish.description

    @needs("create")
    @pytest.mark.parametrize("id", FEW_ODD_IDS)
    async def test_a_snapshot_of_an_unknown_volume_is_not_found(self, made: Made, id: str) -> None:
        with pytest.raises(NotFound):
            await made.create(Snapshots, NewSnapshot(volume_id=id))

    @needs("create", "get", Volumes.destroy)
    async def test_a_snapshot_outlives_its_volume_or_keeps_it(
        self, cloud: Cloud, made: Made, wish: Wish, volume: Volume
    ) -> None:
        new = await made.create(Snapshots, wish())
        await self.completed(cloud, new)
        try:
            await made.destroy(Volumes, volume.id)
        except Conflict:
            assert (await cloud.call(Volumes.get, volume.id)).id == volume.id
        left = await cloud.call(Snapshots.get, new.id)
        assert left.state is SnapshotState.COMPLETED
        assert left.volume_id in {None, volume.id}

    async def completed(self, cloud: Cloud, snapshot: Snapshot) -> Snapshot:
        return await cloud.wait(
            Snapshots.get,
            snapshot.id,
            until={SnapshotState.COMPLETED},
            failing={SnapshotState.ERROR},
            timeout_s=self.patience_s,
        )
