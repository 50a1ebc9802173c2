"""From what is written down about load balancers to what HAProxy shall listen to."""

from nimbi.qemu.balancers.configuration import Front, Server
from nimbi.qemu.network.plan import LOCAL
from nimbi.qemu.network.records import Balancer, Listener, Records


def fronts(records: Records, *, fabric: bool) -> tuple[Front, ...]:
    """Return one front for each listener. Only members that run are servers.

    In a fabric HAProxy listens on loopback, and reaches members by their first cards; elsewhere it
    listens itself at the balancer's address, and reaches them by their published ports.
    """
    return tuple(
        Front(
            id=balancer.id,
            protocol=listener.protocol,
            ip=str(LOCAL) if fabric else balancer.ip,
            port=listener.inner_port if fabric else listener.port,
            public_port=listener.port,
            servers=_servers(records, balancer, listener, fabric=fabric),
        )
        for _, balancer in sorted(records.balancers.items())
        for listener in balancer.listeners
    )


def _servers(
    records: Records, balancer: Balancer, listener: Listener, *, fabric: bool
) -> tuple[Server, ...]:
    running = [records.running[id] for id in balancer.guest_ids if id in records.running]
    if fabric:
        ips = {card.guest_id: card.ip for card in records.cards.values() if card.first}
        return tuple(
            Server(id=guest.id, ip=ips[guest.id], port=listener.guest_port)
            for guest in running
            if guest.id in ips
        )
    return tuple(
        Server(id=guest.id, ip=str(LOCAL), port=guest.ports[listener.guest_port])
        for guest in running
        if listener.guest_port in guest.ports
    )
