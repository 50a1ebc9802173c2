"""What holds for load balancers on every cloud."""

from typing import Any, ClassVar

import pytest
from msgspec.structs import replace

from nimbi.driver.compute import Instances, Realms
from nimbi.driver.network import LoadBalancers
from nimbi.driver.operation import Collection
from nimbi.drivertest.conformance import fresh_name
from nimbi.drivertest.creating import ConformsToNaming, Wish
from nimbi.drivertest.needs import needs
from nimbi.drivertest.oddities import FEW_ODD_IDS
from nimbi.drivertest.reading import ConformsToActions
from nimbi.drivertest.tracking import Made
from nimbi.gateway.cloud import Cloud
from nimbi.model.errors import Invalid, NotFound
from nimbi.model.instances import Instance
from nimbi.model.load_balancers import Listener, ListenerProtocol, LoadBalancer, NewLoadBalancer
from nimbi.model.resource import Resource

WEB = Listener(ListenerProtocol.HTTP, 80, 8080)

BAD_LISTENERS = {
    "none": (),
    "balancer port 0": (replace(WEB, balancer_port=0),),
    "instance port 0": (replace(WEB, instance_port=0),),
    "negative": (replace(WEB, balancer_port=-1),),
    "above 65535": (replace(WEB, balancer_port=65536),),
    "one port twice": (WEB, replace(WEB, instance_port=9090)),
}


class ConformsToLoadBalancers(ConformsToActions, ConformsToNaming):
    interface: ClassVar[type[Collection]] = LoadBalancers
    kind: ClassVar[type[Resource]] = LoadBalancer
    actions: ClassVar[dict[str, tuple[Any, ...]]] = {
        "register": ("no-such-thing",),
        "unregister": ("no-such-thing",),
    }

    @pytest.fixture
    async def wish(self, cloud: Cloud) -> Wish:
        realms = [r async for r in cloud.each(Realms.page)] if cloud.supports(Realms.page) else []
        realm_id = realms[0].id if realms else None
        return lambda: NewLoadBalancer(name=fresh_name(), realm_id=realm_id, listeners=(WEB,))

    @pytest.fixture
    async def balancer(self, made: Made, wish: Wish) -> LoadBalancer:
        balancer: LoadBalancer = await made.create(LoadBalancers, wish())
        return balancer

    @needs("create", "get")
    async def test_listeners_are_kept(self, cloud: Cloud, made: Made, wish: Wish) -> None:
        listeners = (WEB, Listener(ListenerProtocol.TCP, 2222, 22))
        new = await made.create(LoadBalancers, replace(wish(), listeners=listeners))
        told = (await cloud.call(LoadBalancers.get, new.id)).listeners
        assert set(told) == set(listeners)

    @needs("create")
    async def test_a_new_balancer_has_no_instances(self, balancer: LoadBalancer) -> None:
        assert balancer.instance_ids == ()

    @needs("create")
    @pytest.mark.parametrize("label", list(BAD_LISTENERS))
    async def test_listeners_that_make_no_sense_are_invalid(
        self, made: Made, wish: Wish, label: str
    ) -> None:
        with pytest.raises(Invalid):
            await made.create(LoadBalancers, replace(wish(), listeners=BAD_LISTENERS[label]))

    @needs("create", Realms.get)
    @pytest.mark.parametrize("id", FEW_ODD_IDS)
    async def test_an_unknown_realm_is_refused(self, made: Made, wish: Wish, id: str) -> None:
        with pytest.raises((NotFound, Invalid)):
            await made.create(LoadBalancers, replace(wish(), realm_id=id))

    @needs("create", "register", "get")
    async def test_a_registered_instance_is_told(
        self, cloud: Cloud, balancer: LoadBalancer, instance: Instance
    ) -> None:
        told = await cloud.call(LoadBalancers.register, balancer.id, instance.id)
        assert told.instance_ids == (instance.id,)
        found = await cloud.call(LoadBalancers.get, balancer.id)
        assert found.instance_ids == (instance.id,)
        # How they are is told only where the cloud looks after them.
        assert {member.instance_id for member in found.members} in (set(), {instance.id})

    @needs("create", "register", "get")
    async def test_registering_twice_is_once(
        self, cloud: Cloud, balancer: LoadBalancer, instance: Instance
    ) -> None:
        await cloud.call(LoadBalancers.register, balancer.id, instance.id)
        told = await cloud.call(LoadBalancers.register, balancer.id, instance.id)
        assert told.instance_ids == (instance.id,)

    @needs("create", "register", "unregister", "get")
    async def test_an_unregistered_instance_is_gone_and_the_others_stay(
        self,
        cloud: Cloud,
        balancer: LoadBalancer,
        instance: Instance,
        other_instance: Instance,
    ) -> None:
        await cloud.call(LoadBalancers.register, balancer.id, instance.id)
        await cloud.call(LoadBalancers.register, balancer.id, other_instance.id)
        told = await cloud.call(LoadBalancers.unregister, balancer.id, instance.id)
        assert told.instance_ids == (other_instance.id,)
        found = await cloud.call(LoadBalancers.get, balancer.id)
        assert found.instance_ids == (other_instance.id,)

    @needs("create", "unregister")
    async def test_unregistering_what_is_not_registered_is_not_found(
        self, cloud: Cloud, balancer: LoadBalancer, instance: Instance
    ) -> None:
        with pytest.raises(NotFound):
            await cloud.call(LoadBalancers.unregister, balancer.id, instance.id)

    @needs("create", "register")
    @pytest.mark.parametrize("id", FEW_ODD_IDS)
    async def test_registering_an_unknown_instance_is_not_found(
        self, cloud: Cloud, balancer: LoadBalancer, id: str
    ) -> None:
        with pytest.raises(NotFound):
            await cloud.call(LoadBalancers.register, balancer.id, id)

    @needs("create", "register", "get", Instances.destroy)
    async def test_a_destroyed_instance_is_gone_from_the_balancer(
        self, cloud: Cloud, made: Made, balancer: LoadBalancer, doomed_instance: Instance
    ) -> None:
        await cloud.call(LoadBalancers.register, balancer.id, doomed_instance.id)
        await made.destroy(Instances, doomed_instance.id)
        assert (await cloud.call(LoadBalancers.get, balancer.id)).instance_ids == ()
