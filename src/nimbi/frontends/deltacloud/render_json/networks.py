"""Networks, subnets and network interfaces as JSON."""

from typing import Any

from nimbi.frontends.deltacloud.view import View
from nimbi.model.networks import Network, NetworkInterface, Subnet


def network(item: Network, view: View) -> dict[str, Any]:
    return {
        "id": item.id,
        "name": item.name,
        "href": view.href("networks", item.id),
        "state": item.state.upper(),
        "address_blocks": list(item.address_blocks),
        "subnets": [_link("subnets", id, view) for id in item.subnet_ids],
    }


def subnet(item: Subnet, view: View) -> dict[str, Any]:
    return {
        "id": item.id,
        "name": item.name,
        "href": view.href("subnets", item.id),
        "type": item.kind.upper(),
        "state": item.state.upper(),
        "address_block": item.address_block,
        "network": _link("networks", item.network_id, view),
    }


def network_interface(item: NetworkInterface, view: View) -> dict[str, Any]:
    """Return the interface; `network` links to the network, `subnet` to the subnet where told."""
    member: dict[str, Any] = {
        "id": item.id,
        "name": item.name,
        "href": view.href("network_interfaces", item.id),
        "network": _link("networks", item.network_id, view),
        "instance": _link("instances", item.instance_id, view),
        "ip_address": item.ip_address,
    }
    if item.subnet_id is not None:
        member["subnet"] = _link("subnets", item.subnet_id, view)
        if item.network_id is None:
            member["network"] = member["subnet"]
    return member


def _link(collection: str, id: str | None, view: View) -> dict[str, str]:
    return {} if id is None else {"id": id, "href": view.href(collection, id)}
