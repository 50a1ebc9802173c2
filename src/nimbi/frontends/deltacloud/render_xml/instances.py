"""Instances as XML."""

from collections.abc import Sequence
from functools import lru_cache

from nimbi.frontends.deltacloud.links import instance_links
from nimbi.frontends.deltacloud.states import NAMES
from nimbi.frontends.deltacloud.view import View, segment
from nimbi.frontends.deltacloud.words import PROPERTIES, iso_text, number
from nimbi.model.hardware_profiles import Sizes
from nimbi.model.instances import Attachment, CommandResult, Endpoint, Instance, Login
from nimbi.wire.xml import cdata, escape

NO_SIZES = Sizes()


def instance(item: Instance, view: View) -> str:
    api = view.api
    return (
        f"  <instance href='{api}/instances/{segment(item.id)}' id='{escape(item.id)}'>\n"
        f"{_line('name', item.name)}"
        f"{_line('owner_id', item.owner_id)}"
        f"{_link(api, 'image', item.image_id)}"
        f"{_link(api, 'realm', item.realm_id)}"
        f"    <state>{NAMES[item.state]}</state>\n"
        f"{_profile(item, api)}"
        f"{_actions(api, item.id, view.instance_operations(item), view.extras(item))}"
        f"{_launched(item) if item.launched_at is not None else ''}"
        f"    <public_addresses>{addresses(item.public_addresses)}</public_addresses>\n"
        f"    <private_addresses>{addresses(item.private_addresses)}</private_addresses>\n"
        f"{_references('firewall', item.firewall_ids, api) if item.firewall_ids else ''}"
        f"    <storage_volumes>{_volumes(item.volumes, api)}</storage_volumes>\n"
        f"{_login(item.login, view) if item.login is not None else ''}"
        f"{_references('network_interface', item.network_interface_ids, api)}"
        "  </instance>\n"
    )


def run_result(id: str, line: str, result: CommandResult, view: View) -> str:
    return (
        f"<instance href='{view.href('instances', id)}' id='{escape(id)}'>\n"
        f"  <public_address>{escape(result.address)}</public_address>\n"
        f"  <command>{escape(line)}</command>\n"
        f"  <output>{cdata(result.output)}</output>\n</instance>\n"
    )


def addresses(endpoints: Sequence[Endpoint]) -> str:
    return "".join(
        [
            f"<address type='{e.kind._value_}'>{escape(e.address)}</address>"
            if e.port is None
            else f"<address port='{e.port}' type='{e.kind._value_}'>{escape(e.address)}</address>"
            for e in endpoints
        ]
    )


def _line(name: str, text: str | None) -> str:
    return f"    <{name}>{escape(text)}</{name}>\n" if text is not None else ""


# The same few images, realms and profiles come in every row of every list.
@lru_cache(maxsize=4096)
def _link(api: str, kind: str, id: str | None) -> str:
    if id is None:
        return ""
    return f"    <{kind} href='{api}/{kind}s/{segment(id)}' id='{escape(id)}'></{kind}>\n"


def _profile(item: Instance, api: str) -> str:
    link = _link(api, "hardware_profile", item.hardware_profile_id)
    if item.sizes == NO_SIZES or not link:
        return link
    properties = "".join(
        f"      <property kind='fixed' name='{PROPERTIES[name][0]}' unit='{PROPERTIES[name][1]}'"
        f" value='{escape(number(value))}'></property>\n"
        for name, value in item.sizes.given().items()
    )
    opening, closing, _ = link.partition("</hardware_profile>")
    return f"{opening}\n{properties}    {closing}\n"


# What can be done with an instance stays the same from one list to the next.
@lru_cache(maxsize=4096)
def _actions(api: str, id: str, operations: tuple[str, ...], extras: tuple[str, ...]) -> str:
    links = "".join(
        f"      <link href='{link.href}' method='{link.method}' rel='{link.rel}' />\n"
        for link in instance_links(api, id, operations, extras)
    )
    return f"    <actions>\n{links}    </actions>\n"


def _launched(item: Instance) -> str:
    return f"    <launch_time>{iso_text(item.launched_at)}</launch_time>\n"


def _references(kind: str, ids: Sequence[str], api: str) -> str:
    if not ids:
        return ""
    inner = "".join(
        f"<{kind} href='{api}/{kind}s/{segment(id)}' id='{escape(id)}'></{kind}>" for id in ids
    )
    return f"    <{kind}s>{inner}</{kind}s>\n"


def _volumes(volumes: Sequence[Attachment], api: str) -> str:
    if not volumes:
        return ""
    return "".join(
        f"<storage_volume{_device(v)} href='{api}/storage_volumes/{segment(v.volume_id)}'"
        f" id='{escape(v.volume_id)}'></storage_volume>"
        for v in volumes
    )


def _device(volume: Attachment) -> str:
    return f" device='{escape(volume.device)}'" if volume.device is not None else ""


def _login(login: Login, view: View) -> str:
    if not view.shows_logins:
        return ""
    if login.password is not None:
        inner = (
            f"        <username>{escape(login.user or '')}</username>\n"
            f"        <password>{cdata(login.password)}</password>\n"
        )
        kind = "password"
    else:
        inner = f"        <keyname>{escape(login.key_id or '')}</keyname>\n"
        kind = "key"
    return (
        f"    <authentication type='{kind}'>\n      <login>\n{inner}      </login>\n"
        "    </authentication>\n"
    )
