"""Routers of the mock cloud."""

import msgspec

from nimbi.driver.network import Routers
from nimbi.drivers.mock.naming import shown
from nimbi.drivers.mock.session import OfSession, offered
from nimbi.drivers.mock.world import State
from nimbi.model.errors import Conflict, NotFound
from nimbi.model.networks import NetworkState
from nimbi.model.page import Page
from nimbi.model.routers import NewRouter, Router


@offered
class MockRouters(OfSession, Routers):
    """Routers, up at once. Any network may be the one outside."""

    async def page(self, marker: str | None, limit: int) -> Page[Router]:
        return self.paged(self.session.state.routers, marker, limit)

    async def get(self, id: str) -> Router:
        return self.session.state.routers.get(id, "router")

    async def create(self, new: NewRouter) -> Router:
        name = shown(new.name or "", "the name of the router")
        with self.session.change() as state:
            if made := state.made_with("routers.create", new.token):
                return state.routers.get(made[0], "router")
            if new.external_network_id is not None:
                state.networks.get(new.external_network_id, "network")
            id = state.fresh_id("router", state.routers, name)
            router = Router(
                id=id,
                name=name or id,
                state=NetworkState.UP,
                external_network_id=new.external_network_id,
                subnet_ids=(),
            )
            state.routers = state.routers.having(router)
            state.remember("routers.create", new.token, id)
            return router

    async def destroy(self, id: str) -> None:
        with self.session.change() as state:
            if state.routers.get(id, "router").subnet_ids:
                raise Conflict(f"subnets are connected to the router {id!r}")
            state.routers = state.routers.without(id)

    async def connect(self, id: str, subnet_id: str) -> Router:
        with self.session.change() as state:
            router = state.routers.get(id, "router")
            state.subnets.get(subnet_id, "subnet")
            if subnet_id in router.subnet_ids:
                return router
            must_be_apart(state, subnet_id)
            return _joining(state, router, (*router.subnet_ids, subnet_id))

    async def disconnect(self, id: str, subnet_id: str) -> Router:
        with self.session.change() as state:
            router = state.routers.get(id, "router")
            if subnet_id not in router.subnet_ids:
                raise NotFound(f"the router {id!r} has no subnet {subnet_id!r}")
            return _joining(state, router, tuple(s for s in router.subnet_ids if s != subnet_id))


def must_be_apart(state: State, *subnet_ids: str) -> None:
    """Raise Conflict when one of these subnets is connected to a router."""
    for router in state.routers.whole.items:
        for subnet_id in subnet_ids:
            if subnet_id in router.subnet_ids:
                raise Conflict(f"the subnet {subnet_id!r} is connected to the router {router.id!r}")


def _joining(state: State, router: Router, subnet_ids: tuple[str, ...]) -> Router:
    router = msgspec.structs.replace(router, subnet_ids=subnet_ids)
    state.routers = state.routers.having(router)
    return router
