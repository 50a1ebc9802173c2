"""How an instance joins networks: by interfaces made for it, or by ones that wait for it."""

import msgspec

from nimbi.drivers.mock.blocks import first_free, parsed
from nimbi.drivers.mock.world import State
from nimbi.model.errors import Conflict, Invalid
from nimbi.model.instances import Endpoint, Instance, NewInstance
from nimbi.model.networks import Network, NetworkInterface, NetworkState, Subnet

replace = msgspec.structs.replace

# Set in an interface's `extra` when it was there before its instance, and stays after it.
STAYS = "stays_without_its_instance"


def joined(state: State, instance: Instance, new: NewInstance) -> None:
    """Give a new instance the interfaces that it is to have. Raises Invalid, Conflict."""
    if new.fixed_address is not None and len(new.network_ids) != 1:
        raise Invalid("a fixed address needs the one network that has it")
    nics = [_waiting(state, id) for id in dict.fromkeys(new.network_interface_ids)]
    for network_id in new.network_ids:
        network = state.networks.find(network_id)
        if network is None:
            raise Invalid(f"there is no network {network_id!r}")
        subnet = state.subnets.find(network.subnet_ids[0]) if network.subnet_ids else None
        nic = interface(state, network, subnet, None, new.fixed_address)
        state.network_interfaces = state.network_interfaces.having(nic)
        nics.append(nic)
    if not nics:
        return
    state.network_interfaces = state.network_interfaces.having(
        *(replace(nic, instance_id=instance.id, state=NetworkState.UP) for nic in nics)
    )
    instance = replace(
        state.instances.get(instance.id, "instance"),
        network_interface_ids=tuple(nic.id for nic in nics),
        private_addresses=tuple(Endpoint(nic.ip_address) for nic in nics if nic.ip_address),
    )
    state.instances = state.instances.having(instance)


def interface(
    state: State, network: Network, subnet: Subnet | None, name: str | None, ip: str | None = None
) -> NetworkInterface:
    """Return one more interface, at no instance yet, with this address or the lowest free one."""
    others = state.network_interfaces.where(lambda nic: nic.network_id == network.id)
    taken = {nic.ip_address or "" for nic in others.whole.items}
    block = parsed(subnet.address_block if subnet else network.address_blocks[0])
    if ip is not None:
        address = parsed(f"{ip}/32" if ":" not in ip else f"{ip}/128").network_address
        if address.version != block.version or address not in block:
            raise Invalid(f"the address {ip} is not in {block}")
        if str(address) in taken:
            raise Conflict(f"the address {ip} is in use")
        ip = str(address)
    id = state.fresh_id("nic", state.network_interfaces, name)
    return NetworkInterface(
        id=id,
        name=name or id,
        state=NetworkState.DOWN,
        ip_address=ip or first_free(block, taken),
        network_id=network.id,
        subnet_id=subnet.id if subnet else None,
        instance_id=None,
    )


def freed(state: State, instance_id: str) -> None:
    """Take an instance's interfaces away with it, save those that were there before."""
    mine = state.network_interfaces.where(lambda nic: nic.instance_id == instance_id).whole.items
    stays = [nic for nic in mine if nic.extra.get(STAYS)]
    rest = state.network_interfaces.without(*(nic.id for nic in mine))
    state.network_interfaces = rest.having(
        *(replace(nic, instance_id=None, state=NetworkState.DOWN) for nic in stays)
    )


def _waiting(state: State, id: str) -> NetworkInterface:
    nic = state.network_interfaces.find(id)
    if nic is None:
        raise Invalid(f"there is no network interface {id!r}")
    if nic.instance_id is not None:
        raise Conflict(f"the network interface {id!r} is at the instance {nic.instance_id!r}")
    return nic
