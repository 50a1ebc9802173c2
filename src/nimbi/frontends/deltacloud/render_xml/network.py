"""Addresses, firewalls and load balancers as XML."""

from urllib.parse import quote

from nimbi.frontends.deltacloud.view import View, segment
from nimbi.frontends.deltacloud.words import iso_text
from nimbi.model.addresses import Address
from nimbi.model.firewalls import AddressSource, Firewall, PrefixListSource, Rule, Source
from nimbi.model.load_balancers import Listener, LoadBalancer
from nimbi.wire.xml import cdata, escape


def address(item: Address, view: View) -> str:
    href = view.href("addresses", item.id)
    links = [_link(href, "delete", "destroy")] if "addresses.destroy" in view.operations else []
    if "addresses.associate" in view.operations:
        rel = "disassociate" if item.instance_id is not None else "associate"
        links.append(_link(f"{href}/{rel}", "post", rel))
    return (
        f"  <address href='{href}' id='{escape(item.id)}'>\n"
        f"    <ip>{escape(item.ip)}</ip>\n"
        f"    <actions>\n{''.join(links)}    </actions>\n"
        f"{_instance(item.instance_id, view)}  </address>\n"
    )


def firewall(item: Firewall, view: View) -> str:
    href = view.href("firewalls", item.id)
    links = [_link(href, "delete", "destroy")] if "firewalls.destroy" in view.operations else []
    if "firewalls.create_rule" in view.operations:
        links.append(_link(f"{href}/rules", "post", "update"))
    rules = "".join(_rule(rule, href, view) for rule in item.rules)
    return (
        f"  <firewall href='{href}' id='{escape(item.id)}'>\n"
        f"    <actions>\n{''.join(links)}    </actions>\n"
        f"    <name>{cdata(item.name)}</name>\n"
        f"    <description>{cdata(item.description or '')}</description>\n"
        f"    <owner_id>{escape(item.owner_id or '')}</owner_id>\n"
        f"    <rules>\n{rules}    </rules>\n  </firewall>\n"
    )


def load_balancer(item: LoadBalancer, view: View) -> str:
    href = view.href("load_balancers", item.id)
    created = iso_text(item.created_at)
    return (
        f"  <load_balancer href='{href}' id='{escape(item.id)}'>\n"
        f"{_name(item)}{_balancer_actions(href, view)}"
        "    <public_addresses>\n"
        + "".join(f"      <address>{escape(a)}</address>\n" for a in item.public_addresses)
        + "    </public_addresses>\n"
        + (f"    <created_at>{created}</created_at>\n" if created else "")
        + "".join(
            f"    <realm href='{view.href('realms', id)}' id='{escape(id)}'></realm>\n"
            for id in item.realm_ids
        )
        + f"    <listeners>\n{''.join(map(_listener, item.listeners))}    </listeners>\n"
        + f"    <instances>\n{''.join(_registered(id, href, view) for id in item.instance_ids)}"
        + "    </instances>\n  </load_balancer>\n"
    )


def _link(href: str, method: str, rel: str) -> str:
    return f"      <link href='{href}' method='{method}' rel='{rel}' />\n"


def _instance(id: str | None, view: View) -> str:
    if id is None:
        return ""
    return f"    <instance href='{view.href('instances', id)}' id='{escape(id)}'></instance>\n"


def _rule(rule: Rule, href: str, view: View) -> str:
    own = f"{href}/{segment(rule.id)}"
    destroy = (
        f"          <link href='{own}' method='delete' rel='destroy' />\n"
        if "firewalls.destroy_rule" in view.operations
        else ""
    )
    return (
        f"      <rule href='{own}' id='{escape(rule.id)}'>\n"
        f"        <actions>\n{destroy}        </actions>\n"
        f"        <allow_protocol>{rule.protocol._value_}</allow_protocol>\n"
        f"        <port_from>{rule.port_from}</port_from>\n"
        f"        <port_to>{rule.port_to}</port_to>\n"
        f"        <direction>{escape(rule.direction)}</direction>\n"
        "        <rule_action></rule_action>\n        <log_rule></log_rule>\n"
        f"        <sources>\n{''.join(map(_source, rule.sources))}        </sources>\n"
        "      </rule>\n"
    )


def _source(source: Source) -> str:
    if isinstance(source, AddressSource):
        return (
            f"          <source address='{escape(source.address)}'"
            f" family='{escape(source.family)}' prefix='{source.prefix}'"
            " type='address'></source>\n"
        )
    if isinstance(source, PrefixListSource):
        return f"          <source name='{escape(source.id)}' type='prefix_list'></source>\n"
    owner = f" owner='{escape(source.owner_id)}'" if source.owner_id is not None else ""
    return f"          <source name='{escape(source.name)}'{owner} type='group'></source>\n"


def _name(item: LoadBalancer) -> str:
    return f"    <name>{escape(item.name)}</name>\n" if item.name is not None else ""


def _balancer_actions(href: str, view: View) -> str:
    links = []
    if "load_balancers.destroy" in view.operations:
        links.append(_link(href, "delete", "destroy"))
    if "load_balancers.register" in view.operations:
        links.append(_link(f"{href}/register", "post", "register"))
    return f"    <actions>\n{''.join(links)}    </actions>\n"


def _listener(listener: Listener) -> str:
    return (
        f"      <listener protocol='{listener.protocol._value_.upper()}'>\n"
        f"        <load_balancer_port>{listener.balancer_port}</load_balancer_port>\n"
        f"        <instance_port>{listener.instance_port}</instance_port>\n      </listener>\n"
    )


def _registered(id: str, href: str, view: View) -> str:
    link = (
        f"        <link href='{href}/unregister?instance_id={quote(id, safe='')}'"
        " rel='unregister'></link>\n"
        if "load_balancers.unregister" in view.operations
        else ""
    )
    return (
        f"      <instance href='{view.href('instances', id)}' id='{escape(id)}'>\n"
        f"{link}      </instance>\n"
    )
