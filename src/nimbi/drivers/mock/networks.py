"""Networks of the mock cloud."""

from nimbi.driver.network import Networks
from nimbi.drivers.mock.blocks import parsed
from nimbi.drivers.mock.naming import shown
from nimbi.drivers.mock.routers import must_be_apart
from nimbi.drivers.mock.session import OfSession, offered
from nimbi.model.errors import Conflict
from nimbi.model.networks import Network, NetworkState, NewNetwork
from nimbi.model.page import Page

DEFAULT_BLOCK = "192.168.0.0/16"


@offered
class MockNetworks(OfSession, Networks):
    """Networks, up at once."""

    async def page(self, marker: str | None, limit: int) -> Page[Network]:
        return self.paged(self.session.state.networks, marker, limit)

    async def get(self, id: str) -> Network:
        return self.session.state.networks.get(id, "network")

    async def create(self, new: NewNetwork) -> Network:
        block = parsed(DEFAULT_BLOCK if new.address_block is None else new.address_block)
        name = shown(new.name or "", "the name of the network")
        with self.session.change() as state:
            if made := state.made_with("networks.create", new.token):
                return state.networks.get(made[0], "network")
            id = state.fresh_id("net", state.networks, name)
            network = Network(
                id=id,
                name=name or id,
                state=NetworkState.UP,
                address_blocks=(str(block),),
                subnet_ids=(),
            )
            state.networks = state.networks.having(network)
            state.remember("networks.create", new.token, id)
            return network

    async def destroy(self, id: str) -> None:
        with self.session.change() as state:
            network = state.networks.get(id, "network")
            if len(state.network_interfaces.where(lambda nic: nic.network_id == id)):
                raise Conflict(f"network interfaces are in the network {id!r}")
            if len(state.routers.where(lambda router: router.external_network_id == id)):
                raise Conflict(f"a router leads to the network {id!r}")
            must_be_apart(state, *network.subnet_ids)
            state.subnets = state.subnets.without(*network.subnet_ids)
            state.networks = state.networks.without(id)
