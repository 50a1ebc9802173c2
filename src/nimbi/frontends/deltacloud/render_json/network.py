"""Addresses, firewalls and load balancers as JSON."""

from typing import Any

from nimbi.frontends.deltacloud.render_json.instances import reference
from nimbi.frontends.deltacloud.view import View, segment
from nimbi.frontends.deltacloud.words import iso_text
from nimbi.model.addresses import Address
from nimbi.model.firewalls import AddressSource, Firewall, PrefixListSource, Rule, Source
from nimbi.model.load_balancers import Listener, LoadBalancer


def address(item: Address, view: View) -> dict[str, Any]:
    member: dict[str, Any] = {
        "id": item.id,
        "href": view.href("addresses", item.id),
        "ip": item.ip,
        "associated": item.instance_id is not None,
    }
    if item.instance_id is not None:
        member["instance_id"] = item.instance_id
    return member


def firewall(item: Firewall, view: View) -> dict[str, Any]:
    href = view.href("firewalls", item.id)
    return {
        "id": item.id,
        "href": href,
        "name": item.name,
        "description": item.description,
        "owner_id": item.owner_id,
        "rules": [_rule(rule, href) for rule in item.rules],
    }


def load_balancer(item: LoadBalancer, view: View) -> dict[str, Any]:
    return {
        "id": item.id,
        "href": view.href("load_balancers", item.id),
        "name": item.name,
        "realms": [reference("realm", id, view.api) for id in item.realm_ids],
        "listeners": [_listener(item.id, listener) for listener in item.listeners],
        "instances": [reference("instance", id, view.api) for id in item.instance_ids],
        "public_addresses": list(item.public_addresses),
        "created_at": iso_text(item.created_at),
    }


def _rule(rule: Rule, href: str) -> dict[str, Any]:
    return {
        "id": rule.id,
        "href": f"{href}/{segment(rule.id)}",
        "allow_protocol": rule.protocol.value,
        "port_from": str(rule.port_from),
        "port_to": str(rule.port_to),
        "sources": [_source(source) for source in rule.sources],
        "direction": rule.direction,
    }


def _source(source: Source) -> dict[str, Any]:
    if isinstance(source, AddressSource):
        return {
            "type": "address",
            "family": source.family,
            "address": source.address,
            "prefix": str(source.prefix),
        }
    if isinstance(source, PrefixListSource):
        return {"type": "prefix_list", "name": source.id}
    owner = {} if source.owner_id is None else {"owner": source.owner_id}
    return {"type": "group", "name": source.name, **owner}


def _listener(balancer_id: str, listener: Listener) -> dict[str, Any]:
    return {
        "id": f"{balancer_id}-{listener.balancer_port}",
        "protocol": listener.protocol.value.upper(),
        "load_balancer_port": str(listener.balancer_port),
        "instance_port": str(listener.instance_port),
    }
