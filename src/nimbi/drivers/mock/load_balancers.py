"""Load balancers of the mock cloud."""

from datetime import UTC, datetime

import msgspec

from nimbi.driver.network import LoadBalancers
from nimbi.drivers.mock.naming import checked
from nimbi.drivers.mock.seed import DEFAULT_REALM, REALMS
from nimbi.drivers.mock.session import OfSession, offered
from nimbi.drivers.mock.world import State
from nimbi.model.errors import Conflict, Invalid, NotFound
from nimbi.model.load_balancers import Listener, LoadBalancer, NewLoadBalancer
from nimbi.model.page import Page

LAST_PORT = 65535


@offered
class MockLoadBalancers(OfSession, LoadBalancers):
    """Load balancers. There is none at first."""

    async def page(self, marker: str | None, limit: int) -> Page[LoadBalancer]:
        return self.paged(self.session.state.load_balancers, marker, limit)

    async def get(self, id: str) -> LoadBalancer:
        return self.session.state.load_balancers.get(id, "load balancer")

    async def create(self, new: NewLoadBalancer) -> LoadBalancer:
        name = checked(new.name, "the name of the load balancer")
        if new.realm_id is not None and new.realm_id not in REALMS:
            raise Invalid(f"there is no realm {new.realm_id!r}")
        _check_listeners(new.listeners)
        with self.session.change() as state:
            if made := state.made_with("load_balancers.create", new.token):
                return state.load_balancers.get(made[0], "load balancer")
            if any(balancer.name == name for balancer in state.load_balancers.whole.items):
                raise Conflict(f"there is a load balancer named {name!r} already")
            id = state.fresh_id("lb", state.load_balancers, name)
            balancer = LoadBalancer(
                id=id,
                name=name,
                public_addresses=(f"{id}.public.com",),
                created_at=datetime.now(UTC),
                realm_ids=(new.realm_id or DEFAULT_REALM,),
                listeners=new.listeners,
                instance_ids=(),
            )
            state.load_balancers = state.load_balancers.having(balancer)
            state.remember("load_balancers.create", new.token, id)
            return balancer

    async def destroy(self, id: str) -> None:
        with self.session.change() as state:
            state.load_balancers.get(id, "load balancer")
            state.load_balancers = state.load_balancers.without(id)

    async def register(self, id: str, instance_id: str) -> LoadBalancer:
        with self.session.change() as state:
            balancer = state.load_balancers.get(id, "load balancer")
            instance = state.instance_of(self.user, instance_id)
            if instance.id in balancer.instance_ids:
                return balancer
            return _with_members(state, balancer, (*balancer.instance_ids, instance.id))

    async def unregister(self, id: str, instance_id: str) -> LoadBalancer:
        with self.session.change() as state:
            balancer = state.load_balancers.get(id, "load balancer")
            if instance_id not in balancer.instance_ids:
                raise NotFound(f"the load balancer {id!r} has no instance {instance_id!r}")
            rest = tuple(other for other in balancer.instance_ids if other != instance_id)
            return _with_members(state, balancer, rest)


def _with_members(
    state: State, balancer: LoadBalancer, instance_ids: tuple[str, ...]
) -> LoadBalancer:
    balancer = msgspec.structs.replace(balancer, instance_ids=instance_ids)
    state.load_balancers = state.load_balancers.having(balancer)
    return balancer


def _check_listeners(listeners: tuple[Listener, ...]) -> None:
    if not listeners:
        raise Invalid("a load balancer needs at least one listener")
    for listener in listeners:
        for port in (listener.balancer_port, listener.instance_port):
            if not 1 <= port <= LAST_PORT:
                raise Invalid(f"ports are 1 to {LAST_PORT}, not {port}")
    if len({listener.balancer_port for listener in listeners}) < len(listeners):
        raise Invalid("two listeners have the same port of the balancer")
