"""Wishes for firewalls and their rules, load balancers, networks, subnets and interfaces."""

import ipaddress
import re

from nimbi.frontends.deltacloud.parameters import Parameters, natural
from nimbi.model.errors import Invalid
from nimbi.model.firewalls import (
    AddressSource,
    Direction,
    GroupSource,
    NewFirewall,
    NewRule,
    Protocol,
    Source,
)
from nimbi.model.load_balancers import Listener, ListenerProtocol, NewLoadBalancer
from nimbi.model.networks import NewNetwork, NewNetworkInterface, NewSubnet

ADDRESS = re.compile(r"ip[-_]address[-_]?\d*", re.ASCII)
GROUP = re.compile(r"group\d*", re.ASCII)

NO_SOURCES = "No sources. Specify at least one source ip address or group."

# -1 is any port, and any type or code of icmp.
LOWEST_PORT, HIGHEST_PORT = -1, 65535
ICMP = {Protocol.ICMP, Protocol.ICMPV6}


def new_firewall(parameters: Parameters) -> NewFirewall:
    return NewFirewall(
        name=parameters.needed("name"), description=parameters.text("description") or ""
    )


def new_rule(parameters: Parameters) -> NewRule:
    """Return the wish. Raises Invalid without a source."""
    sources = (*_addresses(parameters), *_groups(parameters))
    if not sources:
        raise Invalid(NO_SOURCES)
    port_from = parameters.needed_integer("port_from", LOWEST_PORT, HIGHEST_PORT)
    port_to = parameters.needed_integer("port_to", LOWEST_PORT, HIGHEST_PORT)
    protocol = _protocol(parameters)
    if protocol not in ICMP and port_to < port_from:
        raise Invalid("parameter 'port_to' is below 'port_from'")
    return NewRule(
        protocol=protocol,
        port_from=port_from,
        port_to=port_to,
        sources=sources,
        direction=_direction(parameters),
    )


def new_load_balancer(parameters: Parameters) -> NewLoadBalancer:
    listener = Listener(
        _listener_protocol(parameters),
        parameters.needed_integer("listener_balancer_port", 1, HIGHEST_PORT),
        parameters.needed_integer("listener_instance_port", 1, HIGHEST_PORT),
    )
    return NewLoadBalancer(
        name=parameters.needed("name"),
        realm_id=parameters.line("realm_id"),
        listeners=(listener,),
    )


def new_network(parameters: Parameters) -> NewNetwork:
    return NewNetwork(name=parameters.line("name"), address_block=_block(parameters))


def new_subnet(parameters: Parameters) -> NewSubnet:
    parameters.needed("address_block")
    return NewSubnet(
        network_id=parameters.needed("network_id"),
        address_block=_block(parameters) or "",
        name=parameters.line("name"),
    )


def new_network_interface(parameters: Parameters) -> NewNetworkInterface:
    """Return the wish; `subnet` is a subnet of the network."""
    network, subnet = parameters.line("network"), parameters.line("subnet")
    if network is None and subnet is None:
        raise Invalid("parameters 'network' and 'subnet' are both empty")
    return NewNetworkInterface(
        instance_id=parameters.needed("instance"),
        network_id=network,
        subnet_id=subnet,
        name=parameters.line("name"),
    )


def _direction(parameters: Parameters) -> Direction:
    match (parameters.line("direction") or "ingress").lower():
        case "ingress":
            return "ingress"
        case "egress":
            return "egress"
    raise Invalid("parameter 'direction' is ingress or egress")


def _protocol(parameters: Parameters) -> Protocol:
    value = parameters.needed("protocol").lower()
    if value not in set(Protocol):
        raise Invalid(f"parameter 'protocol' is one of {', '.join(Protocol)}")
    return Protocol(value)


def _listener_protocol(parameters: Parameters) -> ListenerProtocol:
    value = parameters.needed("listener_protocol").lower()
    if value not in set(ListenerProtocol):
        raise Invalid("parameter 'listener_protocol' is HTTP or TCP")
    return ListenerProtocol(value)


def _addresses(parameters: Parameters) -> list[Source]:
    return [_address(value) for value in parameters.matching(ADDRESS)]


def _address(value: str) -> AddressSource:
    try:
        network = ipaddress.ip_network(value.strip(), strict=False)
    except ValueError as error:
        raise Invalid(f"{value[:60]!r} is not an address block such as 10.0.0.0/8") from error
    return AddressSource(str(network.network_address), network.prefixlen, f"ipv{network.version}")


def _groups(parameters: Parameters) -> list[Source]:
    names = sorted((n for n in parameters.texts if GROUP.fullmatch(n)), key=natural)
    return [
        GroupSource(name, parameters.line(f"{parameter}owner"))
        for parameter in names
        if (name := parameters.line(parameter)) is not None
    ]


def _block(parameters: Parameters) -> str | None:
    value = parameters.line("address_block")
    if value is None:
        return None
    try:
        ipaddress.ip_network(value.strip(), strict=False)
    except ValueError as error:
        raise Invalid(
            "parameter 'address_block' is not a block of addresses such as 10.0.0.0/8"
        ) from error
    return value.strip()
