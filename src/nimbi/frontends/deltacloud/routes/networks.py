"""Routes of networks, subnets and network interfaces."""

from nimbi.driver.network import NetworkInterfaces, Networks, Subnets
from nimbi.frontends.deltacloud.formats import PAGES
from nimbi.frontends.deltacloud.handlers import network
from nimbi.frontends.deltacloud.handlers.collections import destroy, index, show
from nimbi.frontends.deltacloud.handlers.forms import form
from nimbi.frontends.deltacloud.route import Route, optional, required

ID = optional("id", "Only the one with this id.")

NETWORKS = (
    Route(
        verb="GET",
        path="/api/networks",
        collection="networks",
        operation="index",
        text="List the networks.",
        handler=index("networks"),
        needs=(Networks.page,),
        capability="networks",
        parameters=(ID,),
    ),
    Route(
        verb="GET",
        path="/api/networks/:id",
        collection="networks",
        operation="show",
        text="Show one network.",
        handler=show("networks"),
        needs=(Networks.get,),
        capability="network",
    ),
    Route(
        verb="POST",
        path="/api/networks",
        collection="networks",
        operation="create",
        text="Make a network.",
        handler=network.create_network,
        needs=(Networks.create,),
        capability="create_network",
        parameters=(
            optional("address_block", "Its block of addresses, such as 192.168.0.0/16."),
            optional("name", "Name of the network."),
        ),
    ),
    Route(
        verb="DELETE",
        path="/api/networks/:id",
        collection="networks",
        operation="destroy",
        text="Remove a network with its subnets.",
        handler=destroy("networks", Networks.destroy),
        needs=(Networks.destroy,),
        capability="destroy_network",
    ),
    Route(
        verb="GET",
        path="/api/networks/new",
        collection="networks",
        operation="new",
        text="Form for a new network.",
        handler=form("networks", "create", "/networks"),
        needs=(Networks.create,),
        capability="create_network",
        formats=PAGES,
        documented=False,
    ),
)

SUBNETS = (
    Route(
        verb="GET",
        path="/api/subnets",
        collection="subnets",
        operation="index",
        text="List the subnets.",
        handler=index("subnets"),
        needs=(Subnets.page,),
        capability="subnets",
        parameters=(ID,),
    ),
    Route(
        verb="GET",
        path="/api/subnets/:id",
        collection="subnets",
        operation="show",
        text="Show one subnet.",
        handler=show("subnets"),
        needs=(Subnets.get,),
        capability="subnet",
    ),
    Route(
        verb="POST",
        path="/api/subnets",
        collection="subnets",
        operation="create",
        text="Make a subnet of a network.",
        handler=network.create_subnet,
        needs=(Subnets.create,),
        capability="create_subnet",
        parameters=(
            required("network_id", "Network to make it in."),
            required("address_block", "Its block of addresses, such as 192.168.1.0/24."),
            optional("name", "Name of the subnet."),
        ),
    ),
    Route(
        verb="DELETE",
        path="/api/subnets/:id",
        collection="subnets",
        operation="destroy",
        text="Remove a subnet.",
        handler=destroy("subnets", Subnets.destroy),
        needs=(Subnets.destroy,),
        capability="destroy_subnet",
    ),
    Route(
        verb="GET",
        path="/api/subnets/new",
        collection="subnets",
        operation="new",
        text="Form for a new subnet.",
        handler=form("subnets", "create", "/subnets"),
        needs=(Subnets.create,),
        capability="create_subnet",
        parameters=(optional("network_id", "Chosen beforehand."),),
        formats=PAGES,
        documented=False,
    ),
)

INTERFACES = (
    Route(
        verb="GET",
        path="/api/network_interfaces",
        collection="network_interfaces",
        operation="index",
        text="List the network interfaces.",
        handler=index("network_interfaces"),
        needs=(NetworkInterfaces.page,),
        capability="network_interfaces",
        parameters=(ID,),
    ),
    Route(
        verb="GET",
        path="/api/network_interfaces/:id",
        collection="network_interfaces",
        operation="show",
        text="Show one network interface.",
        handler=show("network_interfaces"),
        needs=(NetworkInterfaces.get,),
        capability="network_interface",
    ),
    Route(
        verb="POST",
        path="/api/network_interfaces",
        collection="network_interfaces",
        operation="create",
        text="Join an instance to a network.",
        handler=network.create_interface,
        needs=(NetworkInterfaces.create,),
        capability="create_network_interface",
        parameters=(
            required("instance", "The instance."),
            required("network", "The network."),
            optional("subnet", "A subnet of the network."),
            optional("name", "Name of the interface."),
        ),
    ),
    Route(
        verb="DELETE",
        path="/api/network_interfaces/:id",
        collection="network_interfaces",
        operation="destroy",
        text="Remove a network interface.",
        handler=destroy("network_interfaces", NetworkInterfaces.destroy),
        needs=(NetworkInterfaces.destroy,),
        capability="destroy_network_interface",
    ),
    Route(
        verb="GET",
        path="/api/network_interfaces/new",
        collection="network_interfaces",
        operation="new",
        text="Form for a new network interface.",
        handler=form("network_interfaces", "create", "/network_interfaces"),
        needs=(NetworkInterfaces.create,),
        capability="create_network_interface",
        formats=PAGES,
        documented=False,
    ),
)

ROUTES = (*NETWORKS, *SUBNETS, *INTERFACES)
