"""What holds for networks on every cloud."""

import ipaddress
from typing import ClassVar

import pytest

from nimbi.driver.network import NetworkInterfaces, Networks, Subnets
from nimbi.driver.operation import Collection
from nimbi.drivertest.conformance import fresh_name
from nimbi.drivertest.creating import ConformsToNaming, Wish
from nimbi.drivertest.needs import needs
from nimbi.drivertest.tracking import Made
from nimbi.gateway.cloud import Cloud
from nimbi.model.errors import Conflict, Invalid, NotFound
from nimbi.model.instances import Instance
from nimbi.model.networks import Network, NetworkState, NewNetwork, NewNetworkInterface, Subnet
from nimbi.model.resource import Resource

NO_BLOCKS = ["", "nonsense", "10.0.0.0", "10.0.0.0/33", "300.0.0.0/8", "10.0.0.1/8", "10.0.0.0/-1"]


class ConformsToNetworks(ConformsToNaming):
    interface: ClassVar[type[Collection]] = Networks
    kind: ClassVar[type[Resource]] = Network

    @pytest.fixture
    async def wish(self) -> Wish:
        return lambda: NewNetwork(name=fresh_name(), address_block=self.network_block)

    @needs("page")
    async def test_every_block_is_one(self, cloud: Cloud, several: tuple[str, ...]) -> None:
        for network in await self.things(cloud, ()):
            for block in network.address_blocks:
                assert str(ipaddress.ip_network(block)) == block

    @needs("create", "get")
    async def test_a_network_has_the_block_that_was_asked(
        self, cloud: Cloud, network: Network
    ) -> None:
        assert network.address_blocks == (self.network_block,)
        assert network.subnet_ids == ()
        up = await cloud.wait(
            Networks.get, network.id, until={NetworkState.UP}, timeout_s=self.patience_s
        )
        assert up.address_blocks == network.address_blocks

    @needs("create")
    @pytest.mark.parametrize("block", NO_BLOCKS)
    async def test_a_block_that_is_none_is_invalid(self, made: Made, block: str) -> None:
        with pytest.raises(Invalid):
            await made.create(Networks, NewNetwork(name=fresh_name(), address_block=block))

    @needs("create", "destroy", Subnets.create, Subnets.get)
    async def test_a_network_takes_its_subnets_with_it(
        self, cloud: Cloud, made: Made, network: Network, subnet: Subnet
    ) -> None:
        await made.destroy(Networks, network.id)
        with pytest.raises(NotFound):
            await cloud.call(Subnets.get, subnet.id)

    @needs("create", "destroy", "get", Subnets.create, NetworkInterfaces.create)
    async def test_a_network_with_an_interface_in_it_stays(
        self, cloud: Cloud, made: Made, network: Network, subnet: Subnet, instance: Instance
    ) -> None:
        wish = NewNetworkInterface(
            instance_id=instance.id, network_id=network.id, subnet_id=subnet.id
        )
        await made.create(NetworkInterfaces, wish)
        with pytest.raises(Conflict):
            await cloud.call(Networks.destroy, network.id)
        assert subnet.id in (await cloud.call(Networks.get, network.id)).subnet_ids
