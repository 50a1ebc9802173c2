"""Networks, subnets and network interfaces as XML."""

from nimbi.frontends.deltacloud.view import View
from nimbi.model.networks import Network, NetworkInterface, Subnet
from nimbi.wire.xml import escape


def network(item: Network, view: View) -> str:
    blocks = "".join(
        f"      <address_block>{escape(block)}</address_block>\n" for block in item.address_blocks
    )
    subnets = "".join(
        f"      <subnet href='{view.href('subnets', id)}' id='{escape(id)}'></subnet>\n"
        for id in item.subnet_ids
    )
    href = view.href("networks", item.id)
    return (
        f"  <network href='{href}' id='{escape(item.id)}'>\n"
        f"    <name>{escape(item.name or '')}</name>\n"
        f"    <state>{item.state._value_.upper()}</state>\n"
        f"    <address_blocks>\n{blocks}    </address_blocks>\n"
        f"    <subnets>\n{subnets}    </subnets>\n"
        f"{_destroy(href, 'networks', view)}  </network>\n"
    )


def subnet(item: Subnet, view: View) -> str:
    href = view.href("subnets", item.id)
    return (
        f"  <subnet href='{href}' id='{escape(item.id)}'>\n"
        f"    <name>{escape(item.name or '')}</name>\n"
        f"    <state>{item.state._value_.upper()}</state>\n"
        f"    <address_block>{escape(item.address_block)}</address_block>\n"
        f"    <network>{escape(item.network_id)}</network>\n"
        f"{_destroy(href, 'subnets', view)}  </subnet>\n"
    )


def network_interface(item: NetworkInterface, view: View) -> str:
    href = view.href("network_interfaces", item.id)
    address = f"    <ip_address>{escape(item.ip_address)}</ip_address>\n" if item.ip_address else ""
    instance = (
        f"    <instance href='{view.href('instances', item.instance_id)}'"
        f" id='{escape(item.instance_id)}'>{escape(item.instance_id)}</instance>\n"
        if item.instance_id is not None
        else ""
    )
    return (
        f"  <network_interface href='{href}' id='{escape(item.id)}'>\n"
        f"    <name>{escape(item.name or '')}</name>\n{address}"
        f"{_network_of(item, view)}{instance}"
        f"{_destroy(href, 'network_interfaces', view)}  </network_interface>\n"
    )


def _network_of(item: NetworkInterface, view: View) -> str:
    """Return the link to the subnet, or to the network where the cloud tells no subnet."""
    rel, id = ("subnet", item.subnet_id) if item.subnet_id else ("network", item.network_id)
    if id is None:
        return ""
    return (
        f"    <network href='{view.href(rel + 's', id)}' id='{escape(id)}' rel='{rel}'>"
        f"{escape(id)}</network>\n"
    )


def _destroy(href: str, interface: str, view: View) -> str:
    if f"{interface}.destroy" not in view.operations:
        return "    <actions>\n    </actions>\n"
    link = f"      <link href='{href}' method='delete' rel='destroy' />\n"
    return f"    <actions>\n{link}    </actions>\n"
