"""Everything that is asked of load balancers."""

from collections.abc import Sequence

from nimbi.qemu.balancers.balancers import (
    Asked,
    add_balancer,
    check_listeners,
    register,
    remove_balancer,
    unregister,
)
from nimbi.qemu.errors import Invalid, Unsupported
from nimbi.qemu.guests.record import Record, now
from nimbi.qemu.guests.store import GuestStore
from nimbi.qemu.host.programs import require
from nimbi.qemu.network.addresses import unused
from nimbi.qemu.network.guests import find_guest
from nimbi.qemu.network.network import Network
from nimbi.qemu.network.records import Balancer, Records


class LoadBalancers:
    """Balancers in front of guests. Who is removed with a guest is the network's concern."""

    def __init__(self, network: Network, guests: GuestStore) -> None:
        """Balance between the guests of a store, who are on that network."""
        self._network = network
        self._ledger = network.ledger
        self._guests = guests

    async def all(self) -> list[Balancer]:
        """Return all balancers, the oldest first."""
        found = (await self._ledger.records()).balancers.values()
        return sorted(found, key=lambda balancer: (balancer.created_at, balancer.id))

    async def get(self, id: str) -> Balancer:
        """Return one balancer. Raises NotFound."""
        return (await self._ledger.records()).find(Balancer, id)

    async def create(self, *, name: str, listeners: Sequence[Asked], token: str | None) -> Balancer:
        """Return a new balancer, which listens and has no members.

        Raises Missing without HAProxy, Invalid, Capacity, and Unsupported for a port at which this
        user may not listen.
        """
        check_listeners(listeners)
        require(("haproxy",))
        block = self._network.options.balancer_addresses
        for _, port, _ in listeners:
            if not self._network.can_listen(block, port):
                raise Unsupported(f"this user may not listen at port {port} of {block}")

        return await self._ledger.change(
            lambda records: add_balancer(
                records,
                block,
                name=name,
                listeners=listeners,
                token=token,
                at=now(),
                usable=lambda ip: unused(ip, *(port for _, port, _ in listeners)),
            )
        )

    async def destroy(self, id: str) -> None:
        """Remove a balancer; what is connected goes on. Raises NotFound."""
        await self._ledger.change(lambda records: (remove_balancer(records, id), None))

    async def register(self, id: str, guest_id: str) -> Balancer:
        """Return the balancer with a guest among its members; again, it stays one.

        Raises NotFound, and without a fabric Invalid for a guest that does not publish the ports
        to which the balancer leads.
        """

        def step(records: Records) -> tuple[Records, Balancer]:
            balancer = records.find(Balancer, id)
            guest = find_guest(self._guests, guest_id)
            if not self._ledger.carrier.fabric:
                _check_published(balancer, guest)
            changed = register(records, id, guest_id)
            return changed, changed.balancers[id]

        return await self._ledger.change(step)

    async def unregister(self, id: str, guest_id: str) -> Balancer:
        """Return the balancer without a guest; its connections go on. Raises NotFound."""

        def step(records: Records) -> tuple[Records, Balancer]:
            changed = unregister(records, id, guest_id)
            return changed, changed.balancers[id]

        return await self._ledger.change(step)


def _check_published(balancer: Balancer, guest: Record) -> None:
    lacking = {listener.guest_port for listener in balancer.listeners} - guest.ports.keys()
    if lacking:
        published = ", ".join(map(str, sorted(guest.ports))) or "none"
        raise Invalid(
            f"port {min(lacking)} of {guest.id} is not published, so that no balancer reaches it "
            f"on this machine's kind of network, `user`; those that are: {published}"
        )
