"""Load balancers of the local cloud: HAProxy in front of real guests."""

from nimbi.driver.network import LoadBalancers
from nimbi.drivers.local.realms import LOCAL, realm
from nimbi.drivers.local.session import LocalCloud, OfSession
from nimbi.model.instances import NewInstance
from nimbi.model.load_balancers import Listener, ListenerProtocol, LoadBalancer, NewLoadBalancer
from nimbi.model.page import Page
from nimbi.qemu.guests.spec import HTTP, SSH
from nimbi.qemu.network.records import Balancer


class LocalLoadBalancers(OfSession, LoadBalancers):
    """Balancers, each with an address of its own. Members come and go without a lost connection."""

    async def page(self, marker: str | None, limit: int) -> Page[LoadBalancer]:
        found = await self.cloud.hypervisor.balancers.all()
        return self.paged_as(found, _told, marker, limit)

    async def get(self, id: str) -> LoadBalancer:
        return _told(await self.cloud.hypervisor.balancers.get(id))

    async def create(self, new: NewLoadBalancer) -> LoadBalancer:
        if new.realm_id is not None:
            realm(new.realm_id)
        made = await self.cloud.hypervisor.balancers.create(
            name=new.name,
            listeners=[
                (listener.protocol.value, listener.balancer_port, listener.instance_port)
                for listener in new.listeners
            ],
            token=new.token,
        )
        return _told(made)

    async def destroy(self, id: str) -> None:
        await self.cloud.hypervisor.balancers.destroy(id)

    async def register(self, id: str, instance_id: str) -> LoadBalancer:
        return _told(await self.cloud.hypervisor.balancers.register(id, instance_id))

    async def unregister(self, id: str, instance_id: str) -> LoadBalancer:
        return _told(await self.cloud.hypervisor.balancers.unregister(id, instance_id))


async def balanced_ports(cloud: LocalCloud, new: NewInstance) -> tuple[int, ...]:
    """Return the ports that a new instance publishes: the usual ones, and its balancer's.

    Without a fabric the balancer reaches published ports only. Raises NotFound for a balancer that
    is not there.
    """
    usual = (HTTP, SSH)
    if new.load_balancer_id is None:
        return usual
    balancer = await cloud.hypervisor.balancers.get(new.load_balancer_id)
    if cloud.hypervisor.network.fabric:
        return usual
    return tuple(dict.fromkeys((*usual, *(each.guest_port for each in balancer.listeners))))


async def join_balancer(cloud: LocalCloud, new: NewInstance, guest_id: str) -> None:
    """Register a new guest with the balancer that was asked; again, it stays registered."""
    if new.load_balancer_id is not None:
        await cloud.hypervisor.balancers.register(new.load_balancer_id, guest_id)


def _told(balancer: Balancer) -> LoadBalancer:
    return LoadBalancer(
        id=balancer.id,
        name=balancer.name,
        public_addresses=(balancer.ip,),
        created_at=balancer.created_at,
        realm_ids=(LOCAL.id,),
        listeners=tuple(
            Listener(ListenerProtocol(each.protocol), each.port, each.guest_port)
            for each in balancer.listeners
        ),
        instance_ids=balancer.guest_ids,
    )
