"""What holds for quotas on every cloud."""

from typing import ClassVar

from nimbi.driver.compute import Quotas
from nimbi.driver.operation import Collection
from nimbi.driver.storage import Volumes
from nimbi.drivertest.moves import comes_true
from nimbi.drivertest.needs import needs
from nimbi.drivertest.reading import ConformsToReading
from nimbi.drivertest.tracking import Made
from nimbi.gateway.cloud import Cloud
from nimbi.model.quotas import Quota
from nimbi.model.resource import Resource
from nimbi.model.volumes import NewVolume


class ConformsToQuotas(ConformsToReading):
    interface: ClassVar[type[Collection]] = Quotas
    kind: ClassVar[type[Resource]] = Quota

    @needs("page")
    async def test_there_is_a_quota_and_none_is_below_nothing(self, cloud: Cloud) -> None:
        quotas = await self.things(cloud, ())
        assert quotas
        for quota in quotas:
            assert quota.used is None or quota.used >= 0, quota.id
            assert quota.limit is None or quota.limit >= 0, quota.id

    @needs("page", "get", Volumes.create)
    async def test_what_was_made_is_counted(
        self, cloud: Cloud, made: Made, new_volume: NewVolume
    ) -> None:
        before = {quota.id: quota.used for quota in await self.things(cloud, ())}
        await made.create(Volumes, new_volume)
        grown = {"volumes": 1, "volume_storage": new_volume.size_gib}

        async def is_counted() -> bool:
            return [
                (await cloud.call(Quotas.get, id)).used
                for id in grown
                if before.get(id) is not None
            ] == [before[id] + more for id, more in grown.items() if before.get(id) is not None]

        await comes_true(is_counted, "a new volume is not counted", self.patience_s)
