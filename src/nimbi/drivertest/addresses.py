"""What holds for addresses on every cloud."""

import ipaddress
from typing import Any, ClassVar

import pytest

from nimbi.driver.compute import Instances
from nimbi.driver.network import Addresses
from nimbi.driver.operation import Collection
from nimbi.drivertest.creating import ConformsToCreating, Wish
from nimbi.drivertest.moves import comes_true
from nimbi.drivertest.needs import needs
from nimbi.drivertest.oddities import FEW_ODD_IDS
from nimbi.drivertest.reading import ConformsToActions
from nimbi.drivertest.tracking import Made
from nimbi.gateway.cloud import Cloud
from nimbi.model.addresses import Address, NewAddress
from nimbi.model.errors import Conflict, NotFound
from nimbi.model.instances import Instance
from nimbi.model.resource import Resource


class ConformsToAddresses(ConformsToActions, ConformsToCreating):
    interface: ClassVar[type[Collection]] = Addresses
    kind: ClassVar[type[Resource]] = Address
    actions: ClassVar[dict[str, tuple[Any, ...]]] = {
        "associate": ("no-such-thing",),
        "disassociate": (),
    }

    @pytest.fixture
    async def wish(self) -> Wish:
        return NewAddress

    @pytest.fixture
    async def address(self, made: Made) -> Address:
        address: Address = await made.create(Addresses, NewAddress())
        return address

    @needs("page")
    async def test_every_address_is_one(self, cloud: Cloud, several: tuple[str, ...]) -> None:
        for address in await self.things(cloud, ()):
            assert str(ipaddress.ip_address(address.ip)) == address.ip

    @needs("create")
    async def test_a_new_address_is_free_and_nobody_elses(
        self, cloud: Cloud, address: Address
    ) -> None:
        assert address.instance_id is None
        ips = [other.ip for other in await self.things(cloud, ())]
        assert ips.count(address.ip) == 1

    @needs("create", "associate", "get", Instances.get)
    async def test_an_associated_address_is_seen_at_both_ends(
        self, cloud: Cloud, address: Address, instance: Instance
    ) -> None:
        await cloud.call(Addresses.associate, address.id, instance.id)
        assert (await cloud.call(Addresses.get, address.id)).instance_id == instance.id

        async def answers() -> bool:
            told = (await cloud.call(Instances.get, instance.id)).public_addresses
            return address.ip in {endpoint.address for endpoint in told}

        await comes_true(answers, "the instance does not tell the address", self.patience_s)

    @needs("create", "associate", "disassociate", "get", Instances.get)
    async def test_a_disassociated_address_is_gone_from_both_ends(
        self, cloud: Cloud, address: Address, instance: Instance
    ) -> None:
        await cloud.call(Addresses.associate, address.id, instance.id)
        await cloud.call(Addresses.disassociate, address.id)
        assert (await cloud.call(Addresses.get, address.id)).instance_id is None

        async def is_forgotten() -> bool:
            told = (await cloud.call(Instances.get, instance.id)).public_addresses
            return address.ip not in {endpoint.address for endpoint in told}

        await comes_true(is_forgotten, "the instance still tells the address", self.patience_s)

    @needs("create", "associate", "get")
    async def test_an_address_does_not_leave_its_instance_for_another(
        self, cloud: Cloud, address: Address, instance: Instance, other_instance: Instance
    ) -> None:
        await cloud.call(Addresses.associate, address.id, instance.id)
        with pytest.raises(Conflict):
            await cloud.call(Addresses.associate, address.id, other_instance.id)
        assert (await cloud.call(Addresses.get, address.id)).instance_id == instance.id

    @needs("create", "associate")
    @pytest.mark.parametrize("id", FEW_ODD_IDS)
    async def test_associating_with_an_unknown_instance_is_not_found(
        self, cloud: Cloud, address: Address, id: str
    ) -> None:
        with pytest.raises(NotFound):
            await cloud.call(Addresses.associate, address.id, id)

    @needs("create", "disassociate")
    async def test_disassociating_a_free_address_is_a_conflict(
        self, cloud: Cloud, address: Address
    ) -> None:
        with pytest.raises(Conflict):
            await cloud.call(Addresses.disassociate, address.id)

    @needs("create", "associate", "destroy", "get")
    async def test_an_address_in_use_stays(
        self, cloud: Cloud, address: Address, instance: Instance
    ) -> None:
        await cloud.call(Addresses.associate, address.id, instance.id)
        with pytest.raises(Conflict):
            await cloud.call(Addresses.destroy, address.id)
        assert (await cloud.call(Addresses.get, address.id)).instance_id == instance.id

    @needs("create", "associate", "get", Instances.destroy)
    async def test_an_address_is_free_when_its_instance_is_gone(
        self, cloud: Cloud, made: Made, address: Address, doomed_instance: Instance
    ) -> None:
        await cloud.call(Addresses.associate, address.id, doomed_instance.id)
        await made.destroy(Instances, doomed_instance.id)
        assert (await cloud.call(Addresses.get, address.id)).instance_id is None
