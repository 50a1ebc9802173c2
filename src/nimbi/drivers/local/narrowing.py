"""Which collections the local cloud has: some need a kind of network that a machine may lack."""

from collections.abc import Mapping

from nimbi.driver.capabilities import INTERFACES
from nimbi.driver.network import Addresses, Firewalls, NetworkInterfaces, Networks, Subnets
from nimbi.drivers.local.session import Session
from nimbi.qemu.network.rungs import Rung

OF_FABRIC = frozenset(each.name for each in (Firewalls, Networks, Subnets, NetworkInterfaces))
"""What the rung `user` lacks, where each guest has a network of its own."""

RUNGS = {
    Rung.ROOT: "root: guests share networks that are made as root",
    Rung.USERNS: "userns: guests share networks that are made in a user namespace",
    Rung.USER: "user: each guest has a network of its own, and published ports",
}
MORE = "; `nimbi local doctor` on the machine tells why not {}"


def narrow(session: Session) -> frozenset[str]:
    """Return the names of the collections that work here."""
    network = session.cloud.hypervisor.network
    lacking = frozenset() if network.fabric else OF_FABRIC
    if not network.addresses_held:
        lacking |= {Addresses.name}
    return frozenset(interface.name for interface in INTERFACES) - lacking


def notes(session: Session) -> Mapping[str, str]:
    """Return which rung of the ladder this machine has. Why not a better one is not for all."""
    ladder = session.cloud.hypervisor.network.ladder
    if ladder is None:
        return {}
    refused = MORE.format(" and ".join(ladder.refusals)) if ladder.refusals else ""
    return {"network": f"{RUNGS[ladder.rung]}{refused}"}
