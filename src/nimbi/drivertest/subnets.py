"""What holds for subnets on every cloud."""

import ipaddress
from typing import ClassVar

import pytest

from nimbi.driver.network import NetworkInterfaces, Networks, Subnets
from nimbi.driver.operation import Collection
from nimbi.drivertest.conformance import fresh_name
from nimbi.drivertest.creating import ConformsToNaming, Wish
from nimbi.drivertest.needs import needs
from nimbi.drivertest.networks import NO_BLOCKS
from nimbi.drivertest.oddities import FEW_ODD_IDS
from nimbi.drivertest.tracking import Made
from nimbi.gateway.cloud import Cloud
from nimbi.model.errors import Conflict, Invalid, NotFound
from nimbi.model.instances import Instance
from nimbi.model.networks import Network, NewNetworkInterface, NewSubnet, Subnet
from nimbi.model.resource import Resource


class ConformsToSubnets(ConformsToNaming):
    interface: ClassVar[type[Collection]] = Subnets
    kind: ClassVar[type[Resource]] = Subnet

    @pytest.fixture
    async def wish(self, network: Network) -> Wish:
        """Subnets beside each other: two of one network must not overlap."""
        block = ipaddress.ip_network(self.network_block)
        beside = block.subnets(new_prefix=ipaddress.ip_network(self.subnet_block).prefixlen)
        return lambda: NewSubnet(
            network_id=network.id, address_block=str(next(beside)), name=fresh_name()
        )

    @needs("page")
    async def test_every_block_is_one(self, cloud: Cloud, several: tuple[str, ...]) -> None:
        for subnet in await self.things(cloud, ()):
            assert str(ipaddress.ip_network(subnet.address_block)) == subnet.address_block

    @needs("page")
    async def test_a_subnet_is_private_or_public(self, cloud: Cloud) -> None:
        assert {subnet.kind for subnet in await self.things(cloud, ())} <= {"private", "public"}

    @needs("create", "get", Networks.get)
    async def test_a_new_subnet_is_seen_at_both_ends(
        self, cloud: Cloud, network: Network, subnet: Subnet
    ) -> None:
        told = await cloud.call(Subnets.get, subnet.id)
        assert (told.network_id, told.address_block) == (network.id, self.subnet_block)
        assert (await cloud.call(Networks.get, network.id)).subnet_ids == (subnet.id,)

    @needs("create", "destroy", Networks.get)
    async def test_a_destroyed_subnet_is_gone_from_its_network(
        self, cloud: Cloud, made: Made, network: Network, subnet: Subnet
    ) -> None:
        await made.destroy(Subnets, subnet.id)
        assert (await cloud.call(Networks.get, network.id)).subnet_ids == ()

    @needs("create")
    @pytest.mark.parametrize("id", FEW_ODD_IDS)
    async def test_a_subnet_of_an_unknown_network_is_not_found(self, made: Made, id: str) -> None:
        with pytest.raises(NotFound):
            await made.create(Subnets, NewSubnet(network_id=id, address_block=self.subnet_block))

    @needs("create")
    @pytest.mark.parametrize("block", [*NO_BLOCKS, "203.0.113.0/24"])
    async def test_a_block_that_is_none_or_outside_of_the_network_is_invalid(
        self, made: Made, network: Network, block: str
    ) -> None:
        with pytest.raises(Invalid):
            await made.create(Subnets, NewSubnet(network_id=network.id, address_block=block))

    @needs("create")
    async def test_a_block_that_overlaps_another_is_refused(
        self, made: Made, network: Network, subnet: Subnet
    ) -> None:
        wish = NewSubnet(network_id=network.id, address_block=self.subnet_block)
        with pytest.raises((Conflict, Invalid)):
            await made.create(Subnets, wish)

    @needs("create", "destroy", "get", NetworkInterfaces.create)
    async def test_a_subnet_with_an_interface_in_it_stays(
        self, cloud: Cloud, made: Made, network: Network, subnet: Subnet, instance: Instance
    ) -> None:
        wish = NewNetworkInterface(
            instance_id=instance.id, network_id=network.id, subnet_id=subnet.id
        )
        await made.create(NetworkInterfaces, wish)
        with pytest.raises(Conflict):
            await cloud.call(Subnets.destroy, subnet.id)
        assert (await cloud.call(Subnets.get, subnet.id)).id == subnet.id
