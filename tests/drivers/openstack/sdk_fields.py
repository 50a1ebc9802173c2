"""What openstacksdk's objects mean in neutral words: written apart from the driver, to judge it.

A function a kind of thing. Each returns every field of the thing save `extra`.
"""

import ipaddress
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from nimbi.model.firewalls import AddressSource, GroupSource
from nimbi.model.hardware_profiles import Fixed, Sizes
from nimbi.model.instances import AddressKind, Attachment, Endpoint, Login
from nimbi.model.keys import KeyKind
from nimbi.model.volumes import VolumeAttachment

Fields = dict[str, Any]
UP = {"ACTIVE": "up", "BUILD": "pending", "ALLOCATING": "pending"}


def when(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).replace(tzinfo=UTC) if text else None


def realm(told: Any) -> Fields:
    state = "available" if told.state["available"] else "unavailable"
    return {"id": told.name, "name": told.name, "state": state, "limit": None}


def hardware_profile(told: Any) -> Fields:
    specs = told.extra_specs or {}
    gpus = int(specs.get("resources:VGPU", 0))
    is_arm = specs.get("trait:HW_ARCH_AARCH64") == "required"
    return {
        "id": told.id,
        "name": told.name,
        "cpus": Fixed(told.vcpus),
        "memory_mib": Fixed(told.ram),
        "storage_gib": Fixed(told.disk) if told.disk else None,
        "architecture": Fixed("aarch64") if is_arm else None,
        "root_type": Fixed("transient" if told.disk else "persistent"),
        "gpus": Fixed(gpus) if gpus else None,
    }


def image(told: Any) -> Fields:
    states = {"active": "available", "killed": "error", "deactivated": "error"}
    return {
        "id": told.id,
        "name": told.name or None,
        "description": (told.properties or {}).get("description") or None,
        "owner_id": told.owner_id,
        "architecture": told.architecture,
        "state": states.get(told.status, "pending"),
        "created_at": when(told.created_at),
        "hardware_profile_ids": None,
        "root_type": "transient",
        "visibility": told.visibility,
        "format": told.disk_format,
    }


def instance(told: Any, ports: Iterable[Any]) -> Fields | None:
    if told.task_state == "deleting":
        return None
    cards = [port for port in ports if port.device_id == told.id]
    addresses = [each for group in (told.addresses or {}).values() for each in group]
    public = [each for each in addresses if is_public(each)]
    private = [each for each in addresses if not is_public(each)]
    groups = [id for card in cards for id in card.security_group_ids]
    subnets = [fixed["subnet_id"] for card in cards for fixed in card.fixed_ips]
    imaged = {"ACTIVE", "PAUSED", "SHUTOFF", "SUSPENDED"}
    return {
        "id": told.id,
        "name": told.name or None,
        "owner_id": told.project_id,
        "image_id": told.image.id if told.image else None,
        "realm_id": told.availability_zone or None,
        "hardware_profile_id": told.flavor.id,
        "state": instance_state(told.status, told.task_state),
        "sizes": Sizes(),
        "launched_at": when(told.launched_at),
        "created_at": when(told.created_at),
        "public_addresses": tuple(map(endpoint, public)),
        "private_addresses": tuple(map(endpoint, private)),
        "firewall_ids": tuple(dict.fromkeys(groups)),
        "volumes": tuple(Attachment(each["id"]) for each in told.attached_volumes),
        "network_interface_ids": tuple(card.id for card in cards),
        "login": Login(key_id=told.key_name) if told.key_name else None,
        "can_be_imaged": told.status in imaged,
        "state_reason": (told.fault or {}).get("message"),
        "tags": {k: v for k, v in (told.metadata or {}).items() if not k.startswith("nimbi:")},
        "subnet_id": subnets[0] if subnets else None,
        "spot": False,
        "locked": bool(told.is_locked),
        "rescued": told.status == "RESCUE",
        "shelved": told.status.startswith("SHELVED"),
    }


def instance_state(status: str, task: str | None) -> str:
    if status != "ERROR" and task == "powering-off":
        return "stopping"
    if status != "ERROR" and task in {"powering-on", "spawning"}:
        return "pending"
    words = {
        "running": "ACTIVE REBOOT HARD_REBOOT PASSWORD MIGRATING RESCUE",
        "pending": "BUILD REBUILD RESIZE REVERT_RESIZE VERIFY_RESIZE",
        "paused": "PAUSED SUSPENDED",
        "stopped": "SHUTOFF SHELVED SHELVED_OFFLOADED",
    }
    return next((state for state, all in words.items() if status in all.split()), "error")


def is_public(address: Mapping[str, Any]) -> bool:
    """Tell by the library what is private: an address that floats never is."""
    number = ipaddress.ip_address(address["addr"])
    shared = ipaddress.ip_network("100.64.0.0/10")
    is_shared = number.version == 4 and number in shared
    return address["OS-EXT-IPS:type"] == "floating" or not (number.is_private or is_shared)


def endpoint(address: Mapping[str, Any]) -> Endpoint:
    kind = AddressKind.IPV4 if address["version"] == 4 else AddressKind.IPV6
    return Endpoint(address["addr"], kind)


def key(told: Any) -> Fields:
    return {
        "id": told.name,
        "name": told.name,
        "kind": KeyKind.KEY,
        "fingerprint": told.fingerprint,
        "public_key": told.public_key,
        "private_key": None,
        "user": None,
        "password": None,
    }


def volume(told: Any) -> Fields:
    at = tuple(VolumeAttachment(a["server_id"], a["device"]) for a in told.attachments)
    working = {"extending", "uploading", "retyping", "backing-up"}
    states = {
        "available": "available",
        "in-use": "in-use",
        "detaching": "in-use",
        "creating": "pending",
        "downloading": "pending",
        "attaching": "pending",
        "reserved": "pending",
    }
    state = ("in-use" if at else "pending") if told.status in working else states.get(told.status)
    return {
        "id": told.id,
        "name": told.name or None,
        "description": told.description or None,
        "state": state or "error",
        "size_gib": told.size,
        "created_at": when(told.created_at),
        "realm_id": told.availability_zone,
        "kind": told.volume_type,
        "instance_id": at[0].instance_id if at else None,
        "device": at[0].device if at else None,
        "iops": None,
        "throughput_mib": None,
        "encrypted": told.is_encrypted,
        "shared": told.is_multiattach,
        "attachments": at,
        "state_reason": None,
    }


def snapshot(told: Any) -> Fields:
    states = {"available": "completed", "backing-up": "completed"}
    states |= {"creating": "pending", "restoring": "pending"}
    return {
        "id": told.id,
        "name": told.name or None,
        "description": told.description or None,
        "state": states.get(told.status, "error"),
        "volume_id": told.volume_id,
        "created_at": when(told.created_at),
        "size_gib": told.size,
        "encrypted": None,
    }


def network(told: Any, subnets: Iterable[Any]) -> Fields:
    within = sorted((s for s in subnets if s.network_id == told.id), key=lambda s: str(s.id))
    own = "10.0.0.0/8" if "block=10.0.0.0/8]" in (told.description or "") else None
    blocks = [s.cidr for s in within if not (own and s.cidr.startswith("10."))]
    return {
        "id": told.id,
        "name": told.name or None,
        "state": UP.get(told.status, "down"),
        "address_blocks": tuple(dict.fromkeys([own, *blocks] if own else blocks)),
        "subnet_ids": tuple(s.id for s in within),
    }


def subnet(told: Any, networks: Iterable[Any]) -> Fields:
    outer = {net.id for net in networks if net.is_router_external}
    return {
        "id": told.id,
        "name": told.name or None,
        "state": "up",
        "address_block": told.cidr,
        "network_id": told.network_id,
        "kind": "public" if told.network_id in outer else "private",
    }


def router(told: Any, ports: Iterable[Any]) -> Fields:
    gateway = told.external_gateway_info or {}
    within = {ip["subnet_id"] for p in ports if p.device_id == told.id for ip in p.fixed_ips}
    return {
        "id": told.id,
        "name": told.name or None,
        "state": UP.get(told.status, "down"),
        "external_network_id": gateway.get("network_id"),
        "subnet_ids": tuple(sorted(within)),
    }


def network_interface(told: Any) -> Fields:
    first = told.fixed_ips[0] if told.fixed_ips else {}
    is_of_instance = told.device_owner.startswith("compute:")
    return {
        "id": told.id,
        "name": told.name or None,
        "state": UP.get(told.status, "down"),
        "ip_address": first.get("ip_address"),
        "network_id": told.network_id,
        "subnet_id": first.get("subnet_id"),
        "instance_id": (told.device_id or None) if is_of_instance else None,
        "firewall_ids": tuple(told.security_group_ids),
    }


def address(told: Any) -> Fields:
    port = told.port_details if told.port_id else None
    is_of_instance = port is not None and port["device_owner"].startswith("compute:")
    return {
        "id": told.id,
        "ip": told.floating_ip_address,
        "instance_id": port["device_id"] if port is not None and is_of_instance else None,
    }


def firewall(told: Any, groups: Iterable[Any]) -> Fields:
    by_id = {group.id: group for group in groups}
    rules = [r for r in told.security_group_rules if r["protocol"] != "esp"]
    return {
        "id": told.id,
        "name": told.name,
        "description": (told.description or "").partition(" [nimbi")[0],
        "owner_id": told.project_id,
        "rules": {rule_of(rule, by_id) for rule in rules},
    }


def rule_of(rule: Mapping[str, Any], groups: Mapping[str, Any]) -> tuple[Any, ...]:
    names = {None: "any", "6": "tcp", "tcp": "tcp", "udp": "udp", "icmp": "icmp"}
    protocol = names[rule["protocol"]]
    is_six = rule["ethertype"] == "IPv6"
    if protocol == "icmp" and is_six:
        protocol = "icmpv6"
    ports = (1, 65535) if protocol in {"tcp", "udp"} else (-1, -1)
    if rule["port_range_min"] is not None:
        ports = (rule["port_range_min"], rule["port_range_max"])
    if id := rule["remote_group_id"]:
        group = groups.get(id)
        source: Any = GroupSource(group.name if group else id, group.project_id if group else None)
    else:
        block = rule["remote_ip_prefix"] or ("::/0" if is_six else "0.0.0.0/0")
        number, _, prefix = block.partition("/")
        source = AddressSource(number, int(prefix), "ipv6" if is_six else "ipv4")
    text = rule["description"] or None
    return (protocol, *ports, (source,), rule["direction"], text)


def bucket(told: Any) -> Fields:
    return {
        "id": told.name,
        "name": told.name,
        "blob_count": None,
        "location": None,
        "created_at": None,
    }


def blob(told: Any, bucket_id: str) -> Fields:
    return {
        "id": told.name,
        "bucket_id": bucket_id,
        "size_bytes": int(told.content_length),
        "content_type": told.content_type,
        "modified_at": when(told.last_modified_at),
        "etag": told.etag,
        "metadata": {},
    }
