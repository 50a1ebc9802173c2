"""What holds for the networks that a new instance is to join."""

import ipaddress
from typing import Any

import pytest
from msgspec.structs import replace

from nimbi.driver.compute import Instances
from nimbi.driver.network import NetworkInterfaces, Networks, Subnets
from nimbi.drivertest.conformance import Conformance, fresh_name
from nimbi.drivertest.moves import comes_true, rested
from nimbi.drivertest.needs import needs, needs_feature
from nimbi.drivertest.tracking import Made
from nimbi.gateway.cloud import Cloud
from nimbi.model.errors import Invalid
from nimbi.model.instances import Instance, NewInstance
from nimbi.model.networks import NetworkInterface, NewNetworkInterface, Subnet


class ConformsToInstanceNetworks(Conformance):
    @needs("create", "get", Networks.create, Subnets.create)
    @needs_feature(Instances, "networks")
    async def test_an_instance_has_an_address_in_the_network_that_was_asked(
        self, cloud: Cloud, made: Made, new_instance: NewInstance, subnet: Subnet
    ) -> None:
        found = await self.joined(cloud, made, new_instance, network_ids=(subnet.network_id,))
        block = ipaddress.ip_network(self.subnet_block)
        assert [ip for ip in addresses(found) if ipaddress.ip_address(ip) in block]

    @needs("create", "get", Networks.create, Subnets.create)
    @needs_feature(Instances, "networks", "fixed_address")
    async def test_an_instance_has_the_fixed_address_that_was_asked(
        self, cloud: Cloud, made: Made, new_instance: NewInstance, subnet: Subnet
    ) -> None:
        asked = str(ipaddress.ip_network(self.subnet_block)[77])
        network_ids = (subnet.network_id,)
        found = await self.joined(
            cloud, made, new_instance, network_ids=network_ids, fixed_address=asked
        )
        assert addresses(found) == [asked]

    @needs("create", Networks.create, Subnets.create)
    @needs_feature(Instances, "networks", "fixed_address")
    @pytest.mark.parametrize("text", ["", "nonsense", "300.1.1.1", "10.77.1.7/24"])
    async def test_a_fixed_address_that_is_none_is_invalid(
        self, made: Made, new_instance: NewInstance, subnet: Subnet, text: str
    ) -> None:
        network_ids = (subnet.network_id,)
        with pytest.raises(Invalid):
            wish = replace(new_instance, network_ids=network_ids, fixed_address=text)
            await made.create(Instances, wish)

    @needs("create", "get", "destroy", NetworkInterfaces.create, NetworkInterfaces.get)
    @needs_feature(Instances, "network_interfaces")
    @needs_feature(NetworkInterfaces, "unattached")
    async def test_an_interface_that_was_there_before_outlives_its_instance(
        self, cloud: Cloud, made: Made, new_instance: NewInstance, subnet: Subnet
    ) -> None:
        wish = NewNetworkInterface(
            unattached=True, network_id=subnet.network_id, subnet_id=subnet.id, name=fresh_name()
        )
        nic: NetworkInterface = await made.create(NetworkInterfaces, wish)
        assert nic.instance_id is None
        elsewhere = replace(new_instance, network_ids=())
        found = await self.joined(cloud, made, elsewhere, network_interface_ids=(nic.id,))
        assert found.network_interface_ids in {(), (nic.id,)}
        assert addresses(found) == [nic.ip_address]
        assert (await cloud.call(NetworkInterfaces.get, nic.id)).instance_id == found.id
        await made.destroy(Instances, found.id)

        async def is_free() -> bool:
            return (await cloud.call(NetworkInterfaces.get, nic.id)).instance_id is None

        await comes_true(is_free, "it is still at the instance", self.patience_s)

    async def joined(
        self, cloud: Cloud, made: Made, new_instance: NewInstance, **asked: Any
    ) -> Instance:
        """Return an instance made with these wishes besides, at rest."""
        new = await made.create(Instances, replace(new_instance, **asked))
        return await rested(cloud, new.id, self.patience_s)


def addresses(instance: Instance) -> list[str]:
    return [endpoint.address for endpoint in instance.private_addresses]
