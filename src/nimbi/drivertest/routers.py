"""What holds for routers on every cloud."""

from typing import Any, ClassVar

import pytest

from nimbi.driver.network import Networks, Routers, Subnets
from nimbi.driver.operation import Collection
from nimbi.drivertest.conformance import fresh_name
from nimbi.drivertest.creating import ConformsToNaming, Wish
from nimbi.drivertest.needs import needs
from nimbi.drivertest.oddities import FEW_ODD_IDS
from nimbi.drivertest.reading import ConformsToActions
from nimbi.drivertest.tracking import Made
from nimbi.gateway.cloud import Cloud
from nimbi.model.errors import Conflict, Invalid, NotFound
from nimbi.model.networks import NetworkState, Subnet
from nimbi.model.resource import Resource
from nimbi.model.routers import NewRouter, Router


class ConformsToRouters(ConformsToActions, ConformsToNaming):
    interface: ClassVar[type[Collection]] = Routers
    kind: ClassVar[type[Resource]] = Router
    actions: ClassVar[dict[str, tuple[Any, ...]]] = {
        "connect": ("no-such-subnet",),
        "disconnect": ("no-such-subnet",),
    }

    @pytest.fixture
    async def wish(self) -> Wish:
        return lambda: NewRouter(name=fresh_name())

    @pytest.fixture
    async def external_network_id(self, cloud: Cloud, subnet: Subnet) -> str:
        """A network that routers may have outside; here any one."""
        return subnet.network_id

    @pytest.fixture
    async def router(self, made: Made, wish: Wish) -> Router:
        """A router that is connected to nothing."""
        router: Router = await made.create(Routers, wish())
        return router

    @needs("create", "get")
    async def test_a_new_router_is_connected_to_nothing(self, cloud: Cloud, router: Router) -> None:
        assert (router.external_network_id, router.subnet_ids) == (None, ())
        await cloud.wait(Routers.get, router.id, until={NetworkState.UP}, timeout_s=self.patience_s)

    @needs("create", "get", "destroy", Networks.create)
    async def test_a_router_leads_to_the_external_network_that_was_asked(
        self, cloud: Cloud, made: Made, external_network_id: str
    ) -> None:
        wish = NewRouter(name=fresh_name(), external_network_id=external_network_id)
        router = await made.create(Routers, wish)
        found = await cloud.call(Routers.get, router.id)
        assert found.external_network_id == external_network_id

    @needs("create")
    @pytest.mark.parametrize("id", FEW_ODD_IDS)
    async def test_an_unknown_external_network_is_refused(self, made: Made, id: str) -> None:
        with pytest.raises((NotFound, Invalid)):
            await made.create(Routers, NewRouter(name=fresh_name(), external_network_id=id))

    @needs("create", "connect", "disconnect", "get", Subnets.create)
    async def test_a_connected_subnet_is_told_until_it_is_disconnected(
        self, cloud: Cloud, router: Router, subnet: Subnet
    ) -> None:
        for _ in range(2):
            connected = await cloud.call(Routers.connect, router.id, subnet.id)
            assert connected.subnet_ids == (subnet.id,)
        assert (await cloud.call(Routers.get, router.id)).subnet_ids == (subnet.id,)
        free = await cloud.call(Routers.disconnect, router.id, subnet.id)
        assert free.subnet_ids == ()
        assert (await cloud.call(Routers.get, router.id)).subnet_ids == ()
        with pytest.raises(NotFound):
            await cloud.call(Routers.disconnect, router.id, subnet.id)

    @needs("create", "connect", Subnets.create)
    async def test_a_subnet_of_another_router_is_a_conflict(
        self, cloud: Cloud, made: Made, router: Router, subnet: Subnet, wish: Wish
    ) -> None:
        other = await made.create(Routers, wish())
        await cloud.call(Routers.connect, router.id, subnet.id)
        with pytest.raises(Conflict):
            await cloud.call(Routers.connect, other.id, subnet.id)

    @needs("create", "connect")
    @pytest.mark.parametrize("id", FEW_ODD_IDS)
    async def test_connecting_an_unknown_subnet_is_not_found(
        self, cloud: Cloud, router: Router, id: str
    ) -> None:
        with pytest.raises(NotFound):
            await cloud.call(Routers.connect, router.id, id)

    @needs("create", "connect", "get", "destroy", Subnets.create, Subnets.destroy)
    async def test_neither_end_of_a_connection_can_go(
        self, cloud: Cloud, router: Router, subnet: Subnet
    ) -> None:
        await cloud.call(Routers.connect, router.id, subnet.id)
        with pytest.raises(Conflict):
            await cloud.call(Routers.destroy, router.id)
        with pytest.raises(Conflict):
            await cloud.call(Subnets.destroy, subnet.id)
        with pytest.raises(Conflict):
            await cloud.call(Networks.destroy, subnet.network_id)
        assert (await cloud.call(Routers.get, router.id)).subnet_ids == (subnet.id,)
