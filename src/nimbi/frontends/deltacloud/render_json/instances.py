"""Instances as JSON."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from nimbi.frontends.deltacloud.links import instance_links
from nimbi.frontends.deltacloud.states import NAMES
from nimbi.frontends.deltacloud.view import CREATE_IMAGE, View, segment
from nimbi.frontends.deltacloud.words import iso_text, sizes
from nimbi.model.hardware_profiles import Sizes
from nimbi.model.instances import CommandResult, Endpoint, Instance, Login

NO_SIZES = Sizes()


def instance(item: Instance, view: View) -> dict[str, Any]:
    api = view.api
    member: dict[str, Any] = {
        "id": item.id,
        "href": f"{api}/instances/{segment(item.id)}",
        "name": item.name,
        "state": NAMES[item.state],
        "owner": item.owner_id,
        "image": reference("image", item.image_id, api),
        "realm": reference("realm", item.realm_id, api),
        "actions": _actions(api, item.id, view.instance_operations(item), view.extras(item)),
        "hardware_profile": _profile(item, api),
        "public_addresses": addresses(item.public_addresses),
        "private_addresses": addresses(item.private_addresses),
        "create_image": item.can_be_imaged and CREATE_IMAGE in view.operations,
        "storage_volumes": [reference("storage_volume", v.volume_id, api) for v in item.volumes],
    }
    _add_what_is_set(member, item, view)
    return member


def run_result(id: str, line: str, result: CommandResult) -> dict[str, Any]:
    return {
        "id": id,
        "public_address": result.address,
        "command": line,
        "output": result.output,
    }


# The same few images, realms and profiles come in every row of every list. What these two
# functions return is shared between answers, so nobody may change it.
@lru_cache(maxsize=4096)
def reference(rel: str, id: str | None, api: str) -> Mapping[str, Any] | None:
    """Return a link to a member of the collection that is called like `rel` with an s."""
    if id is None:
        return None
    return {"id": id, "href": f"{api}/{rel}s/{segment(id)}", "rel": rel}


@lru_cache(maxsize=4096)
def _actions(
    api: str, id: str, operations: tuple[str, ...], extras: tuple[str, ...]
) -> list[Mapping[str, str]]:
    return [
        {"rel": link.rel, "href": link.href, "method": link.method}
        for link in instance_links(api, id, operations, extras)
    ]


def addresses(endpoints: Sequence[Endpoint]) -> list[dict[str, Any]]:
    return [
        {"address": e.address, "type": e.kind._value_}
        if e.port is None
        else {"address": e.address, "type": e.kind._value_, "port": str(e.port)}
        for e in endpoints
    ]


def _profile(item: Instance, api: str) -> dict[str, Any] | None:
    profile = reference("hardware_profile", item.hardware_profile_id, api)
    if profile is None:
        return None
    return {**profile, "properties": sizes(item.sizes) if item.sizes != NO_SIZES else {}}


def _add_what_is_set(member: dict[str, Any], item: Instance, view: View) -> None:
    launched = item.launched_at or item.created_at
    if launched is not None:
        member["create_time"] = iso_text(launched)
    if item.firewall_ids:
        member["firewalls"] = [reference("firewall", id, view.api) for id in item.firewall_ids]
    if item.network_interface_ids:
        member["network_interfaces"] = [
            reference("network_interface", id, view.api) for id in item.network_interface_ids
        ]
    if item.state_reason is not None:
        member["state_reason"] = item.state_reason
    if item.login is not None and view.shows_logins:
        _add_login(member, item.login)


def _add_login(member: dict[str, Any], login: Login) -> None:
    if login.password is not None:
        member["authentication_type"] = "password"
        member["authentication"] = {"user": login.user, "password": login.password}
    else:
        member["authentication_type"] = "key"
        member["authentication"] = {"keyname": login.key_id}
