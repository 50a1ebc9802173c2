"""What holds for realms on every cloud."""

from typing import ClassVar

from nimbi.driver.compute import Realms
from nimbi.driver.operation import Collection
from nimbi.drivertest.needs import needs
from nimbi.drivertest.reading import ConformsToReading
from nimbi.gateway.cloud import Cloud
from nimbi.model.realms import Realm
from nimbi.model.resource import Resource


class ConformsToRealms(ConformsToReading):
    interface: ClassVar[type[Collection]] = Realms
    kind: ClassVar[type[Resource]] = Realm

    @needs("page")
    async def test_there_is_a_realm(self, cloud: Cloud) -> None:
        assert await self.listed(cloud, ())

    @needs("page")
    async def test_every_realm_has_a_name(self, cloud: Cloud) -> None:
        assert all(realm.name for realm in await self.things(cloud, ()))

    @needs("page")
    async def test_a_limit_is_none_or_a_number_of_instances(self, cloud: Cloud) -> None:
        assert all(r.limit is None or r.limit >= 0 for r in await self.things(cloud, ()))
