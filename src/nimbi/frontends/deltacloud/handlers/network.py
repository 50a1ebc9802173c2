"""Addresses, firewalls, load balancers, networks, subnets and network interfaces."""

from nimbi.driver.capabilities import Function
from nimbi.driver.network import (
    Addresses,
    Firewalls,
    LoadBalancers,
    NetworkInterfaces,
    Networks,
    Subnets,
)
from nimbi.frontends.deltacloud.answers import created, gone, redirect, shown
from nimbi.frontends.deltacloud.catalog import KINDS
from nimbi.frontends.deltacloud.exchange import Exchange
from nimbi.frontends.deltacloud.formats import HTML
from nimbi.frontends.deltacloud.reply import Reply
from nimbi.frontends.deltacloud.requests import network as wishes
from nimbi.frontends.deltacloud.route import Handler
from nimbi.frontends.deltacloud.view import segment
from nimbi.model.addresses import NewAddress

FIREWALLS = KINDS["firewalls"]
BALANCERS = KINDS["load_balancers"]


async def create_address(exchange: Exchange) -> Reply:
    item = await exchange.cloud.call(Addresses.create, NewAddress())
    return created(exchange, KINDS["addresses"], item, item.id)


async def associate_address(exchange: Exchange) -> Reply:
    id, instance_id = exchange.arguments["id"], exchange.parameters.needed("instance_id")
    await exchange.cloud.call(Addresses.associate, id, instance_id)
    return _accepted(exchange, f"/addresses/{segment(id)}")


async def disassociate_address(exchange: Exchange) -> Reply:
    id = exchange.arguments["id"]
    await exchange.cloud.call(Addresses.disassociate, id)
    return _accepted(exchange, f"/addresses/{segment(id)}")


async def create_firewall(exchange: Exchange) -> Reply:
    item = await exchange.cloud.call(Firewalls.create, wishes.new_firewall(exchange.parameters))
    return created(exchange, FIREWALLS, item, item.id)


async def create_rule(exchange: Exchange) -> Reply:
    id = exchange.arguments["id"]
    new = wishes.new_rule(exchange.parameters)
    item = await exchange.cloud.call(Firewalls.create_rule, id, new)
    if exchange.format is HTML:
        return redirect(exchange, f"/firewalls/{segment(id)}")
    return shown(exchange, FIREWALLS, item, 201)


async def destroy_rule(exchange: Exchange) -> Reply:
    id, rule_id = exchange.arguments["id"], exchange.arguments["rule_id"]
    await exchange.cloud.call(Firewalls.destroy_rule, id, rule_id)
    return gone(exchange, f"/firewalls/{segment(id)}")


async def create_balancer(exchange: Exchange) -> Reply:
    new = wishes.new_load_balancer(exchange.parameters)
    item = await exchange.cloud.call(LoadBalancers.create, new)
    return created(exchange, BALANCERS, item, item.id)


def change_balancer(operation: Function) -> Handler:
    """Return the handler that registers or unregisters an instance."""

    async def handler(exchange: Exchange) -> Reply:
        id, instance_id = exchange.arguments["id"], exchange.parameters.needed("instance_id")
        item = await exchange.cloud.call(operation, id, instance_id)
        if exchange.format is HTML:
            return redirect(exchange, f"/load_balancers/{segment(id)}")
        return shown(exchange, BALANCERS, item)

    return handler


async def create_network(exchange: Exchange) -> Reply:
    item = await exchange.cloud.call(Networks.create, wishes.new_network(exchange.parameters))
    return created(exchange, KINDS["networks"], item, item.id, located=False)


async def create_subnet(exchange: Exchange) -> Reply:
    item = await exchange.cloud.call(Subnets.create, wishes.new_subnet(exchange.parameters))
    return created(exchange, KINDS["subnets"], item, item.id, located=False)


async def create_interface(exchange: Exchange) -> Reply:
    new = wishes.new_network_interface(exchange.parameters)
    item = await exchange.cloud.call(NetworkInterfaces.create, new)
    return created(exchange, KINDS["network_interfaces"], item, item.id, located=False)


def _accepted(exchange: Exchange, href: str) -> Reply:
    return redirect(exchange, href) if exchange.format is HTML else Reply(202)
