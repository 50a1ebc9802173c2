"""What holds for network interfaces on every cloud."""

import ipaddress
from typing import ClassVar

import pytest
from msgspec.structs import replace

from nimbi.driver.compute import Instances
from nimbi.driver.network import NetworkInterfaces
from nimbi.driver.operation import Collection
from nimbi.drivertest.conformance import fresh_name
from nimbi.drivertest.creating import ConformsToNaming, Wish
from nimbi.drivertest.needs import needs
from nimbi.drivertest.oddities import FEW_ODD_IDS
from nimbi.drivertest.tracking import Made
from nimbi.gateway.cloud import Cloud
from nimbi.model.errors import Invalid, NotFound
from nimbi.model.instances import Instance
from nimbi.model.networks import Network, NetworkInterface, NewNetworkInterface, Subnet
from nimbi.model.resource import Resource


class ConformsToNetworkInterfaces(ConformsToNaming):
    interface: ClassVar[type[Collection]] = NetworkInterfaces
    kind: ClassVar[type[Resource]] = NetworkInterface

    @pytest.fixture
    async def wish(self, instance: Instance, network: Network, subnet: Subnet) -> Wish:
        return lambda: NewNetworkInterface(
            instance_id=instance.id,
            network_id=network.id,
            subnet_id=subnet.id,
            name=fresh_name(),
        )

    @needs("page")
    async def test_every_interface_is_in_a_network(
        self, cloud: Cloud, several: tuple[str, ...]
    ) -> None:
        for interface in await self.things(cloud, ()):
            assert interface.network_id or interface.subnet_id, interface.id

    @needs("create", "get", Instances.get)
    async def test_a_new_interface_is_seen_at_the_instance(
        self, cloud: Cloud, made: Made, wish: Wish, instance: Instance
    ) -> None:
        new = await made.create(NetworkInterfaces, wish())
        assert new.instance_id == instance.id
        told = (await cloud.call(Instances.get, instance.id)).network_interface_ids
        assert new.id in told

    @needs("create")
    async def test_the_address_is_of_the_subnet(
        self, made: Made, wish: Wish, subnet: Subnet
    ) -> None:
        new = await made.create(NetworkInterfaces, wish())
        if new.ip_address is not None:
            block = ipaddress.ip_network(subnet.address_block)
            assert ipaddress.ip_address(new.ip_address) in block

    @needs("create")
    async def test_two_interfaces_have_two_addresses(self, made: Made, wish: Wish) -> None:
        one = await made.create(NetworkInterfaces, wish())
        other = await made.create(NetworkInterfaces, wish())
        assert one.ip_address is None or one.ip_address != other.ip_address

    @needs("create", "destroy", Instances.get)
    async def test_a_destroyed_interface_is_gone_from_the_instance(
        self, cloud: Cloud, made: Made, wish: Wish, instance: Instance
    ) -> None:
        new = await made.create(NetworkInterfaces, wish())
        await made.destroy(NetworkInterfaces, new.id)
        told = (await cloud.call(Instances.get, instance.id)).network_interface_ids
        assert new.id not in told

    @needs("create")
    @pytest.mark.parametrize("field", ["instance_id", "network_id", "subnet_id"])
    @pytest.mark.parametrize("id", FEW_ODD_IDS)
    async def test_joining_something_unknown_is_not_found(
        self, made: Made, wish: Wish, field: str, id: str
    ) -> None:
        with pytest.raises(NotFound):
            await made.create(NetworkInterfaces, replace(wish(), **{field: id}))

    @needs("create")
    async def test_an_interface_to_nowhere_is_invalid(self, made: Made, instance: Instance) -> None:
        with pytest.raises(Invalid):
            await made.create(NetworkInterfaces, NewNetworkInterface(instance_id=instance.id))

    @needs("create", "get", Instances.destroy)
    async def test_an_interface_does_not_point_at_a_destroyed_instance(
        self, cloud: Cloud, made: Made, wish: Wish, doomed_instance: Instance
    ) -> None:
        asked = replace(wish(), instance_id=doomed_instance.id)
        new = await made.create(NetworkInterfaces, asked)
        await made.destroy(Instances, doomed_instance.id)
        try:
            left = await cloud.call(NetworkInterfaces.get, new.id)
        except NotFound:
            return
        assert left.instance_id is None
