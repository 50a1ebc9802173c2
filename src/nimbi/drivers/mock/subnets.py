"""Subnets of the mock cloud."""

import msgspec

from nimbi.driver.network import Subnets
from nimbi.drivers.mock.blocks import Block, is_within, parsed
from nimbi.drivers.mock.naming import shown
from nimbi.drivers.mock.routers import must_be_apart
from nimbi.drivers.mock.session import OfSession, offered
from nimbi.drivers.mock.world import State
from nimbi.model.errors import Conflict, Invalid
from nimbi.model.networks import Network, NetworkState, NewSubnet, Subnet
from nimbi.model.page import Page


@offered
class MockSubnets(OfSession, Subnets):
    """Parts of networks that do not overlap."""

    async def page(self, marker: str | None, limit: int) -> Page[Subnet]:
        return self.paged(self.session.state.subnets, marker, limit)

    async def get(self, id: str) -> Subnet:
        return self.session.state.subnets.get(id, "subnet")

    async def create(self, new: NewSubnet) -> Subnet:
        name = shown(new.name or "", "the name of the subnet")
        with self.session.change() as state:
            if made := state.made_with("subnets.create", new.token):
                return state.subnets.get(made[0], "subnet")
            network = state.networks.get(new.network_id, "network")
            block = parsed(new.address_block)
            _check_place(state, network, block)
            id = state.fresh_id("subnet", state.subnets, name)
            subnet = Subnet(
                id=id,
                name=name or id,
                state=NetworkState.UP,
                address_block=str(block),
                network_id=network.id,
            )
            state.subnets = state.subnets.having(subnet)
            _tell_network(state, network, (*network.subnet_ids, id))
            state.remember("subnets.create", new.token, id)
            return subnet

    async def destroy(self, id: str) -> None:
        with self.session.change() as state:
            subnet = state.subnets.get(id, "subnet")
            if len(state.network_interfaces.where(lambda nic: nic.subnet_id == id)):
                raise Conflict(f"network interfaces are in the subnet {id!r}")
            must_be_apart(state, id)
            state.subnets = state.subnets.without(id)
            network = state.networks.get(subnet.network_id, "network")
            _tell_network(state, network, tuple(s for s in network.subnet_ids if s != id))


def _check_place(state: State, network: Network, block: Block) -> None:
    blocks = ", ".join(network.address_blocks)
    if not any(is_within(block, parsed(outer)) for outer in network.address_blocks):
        raise Invalid(f"the block {block} is not in the network {network.id!r}, which has {blocks}")
    for id in network.subnet_ids:
        subnet = state.subnets.get(id, "subnet")
        other = parsed(subnet.address_block)
        if is_within(block, other) or is_within(other, block):
            raise Conflict(f"the block {block} overlaps {other}, that of the subnet {id!r}")


def _tell_network(state: State, network: Network, subnet_ids: tuple[str, ...]) -> None:
    network = msgspec.structs.replace(network, subnet_ids=subnet_ids)
    state.networks = state.networks.having(network)
