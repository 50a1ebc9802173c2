"""Things as the services of OpenStack tell of them, made up: any field that may lack is missing.

Source: https://docs.openstack.org/api-ref/ of each service.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

Json = dict[str, Any]
Random = random.Random

PRESENT = 0.85
LENGTHS = (0, 1, 1, 2, 3)
BEGAN = datetime(2015, 1, 1, tzinfo=UTC)
# Text that a careless reader would change.
TEXTS = (
    "plain",
    "with  two spaces",
    " edges ",
    "ü€😀",
    "a<b>&c;\"d'",
    "line\none",
    "0",
    "None",
    "",
)
SERVERS = tuple(f"5e7e7000-0000-4000-8000-{n:012x}" for n in range(3))
NETWORKS = tuple(f"0e700000-0000-4000-8000-{n:012x}" for n in range(3))
SUBNETS = tuple(f"5ab0e700-0000-4000-8000-{n:012x}" for n in range(3))
GROUPS = tuple(f"6a000000-0000-4000-8000-{n:012x}" for n in range(3))
BLOCKS = {"IPv4": ("10.0.0.0/8", "192.0.2.7/32"), "IPv6": ("2001:db8::/32", "2001:db8::7/128")}


@dataclass(frozen=True)
class One:
    """One of these values."""

    values: tuple[Any, ...]


@dataclass(frozen=True)
class Maybe:
    """Missing now and then."""

    value: Any


@dataclass(frozen=True)
class Some:
    """A list of any length."""

    item: Any


def one(*values: Any) -> One:
    return One(values)


def maybe(*values: Any) -> Maybe:
    return Maybe(One(values) if len(values) > 1 else values[0])


def made(shape: Any, rng: Random) -> Any:
    """Return a value of a shape."""
    if isinstance(shape, One):
        return made(rng.choice(shape.values), rng)
    if isinstance(shape, Some):
        return [made(shape.item, rng) for _ in range(rng.choice(LENGTHS))]
    if isinstance(shape, Mapping):
        return {
            name: made(value.value if isinstance(value, Maybe) else value, rng)
            for name, value in shape.items()
            if not isinstance(value, Maybe) or rng.random() < PRESENT
        }
    if isinstance(shape, list):
        return [made(item, rng) for item in shape]
    return shape(rng) if callable(shape) else shape


def uuid(rng: Random) -> str:
    text = f"{rng.getrandbits(128):032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def project(rng: Random) -> str:
    return f"{rng.getrandbits(128):032x}"


def time(rng: Random) -> str:
    return (BEGAN + timedelta(seconds=rng.randrange(300_000_000))).strftime("%Y-%m-%dT%H:%M:%S")


def zulu(rng: Random) -> str:
    return f"{time(rng)}Z"


def micro(rng: Random) -> str:
    return f"{time(rng)}.{rng.randrange(10**6):06d}"


def ipv4(rng: Random) -> str:
    first = rng.choice(("10.", "172.16.", "172.31.", "172.32.", "192.168.", "8.8.", "100.64."))
    rest = 4 - first.count(".")
    return first + ".".join(str(rng.randrange(1, 255)) for _ in range(rest))


def ipv6(rng: Random) -> str:
    first = rng.choice(("fd00", "fe80", "2a00", "2607"))
    return f"{first}::{rng.randrange(1, 65535):x}"


TEXT = One(TEXTS)
NAMES: Mapping[str, Any] = {"a": TEXT, "b.c": TEXT, "x:y": TEXT}


def address(kind: str) -> Callable[[Random], Json]:
    def of(rng: Random) -> Json:
        version = rng.choice((4, 4, 6))
        return {
            "version": version,
            "addr": ipv4(rng) if version == 4 else ipv6(rng),
            "OS-EXT-IPS:type": kind,
            "OS-EXT-IPS-MAC:mac_addr": "fa:16:3e:00:00:01",
        }

    return of


ZONE = {"zoneName": TEXT, "zoneState": {"available": one(True, False)}, "hosts": None}

FLAVOUR = {
    "id": uuid,
    "name": One(TEXTS[:-1]),
    "vcpus": one(1, 2, 64),
    "ram": one(64, 512, 2**20),
    "disk": one(0, 1, 1000),
    "swap": one("", 512),
    "OS-FLV-EXT-DATA:ephemeral": one(0, 10),
    "OS-FLV-DISABLED:disabled": False,
    "os-flavor-access:is_public": True,
    "rxtx_factor": 1.0,
    "links": [],
    "description": maybe(None, TEXT),
    "extra_specs": maybe(
        {
            "hw:cpu_policy": maybe("dedicated"),
            "resources:VGPU": maybe("1", "2"),
            "trait:HW_ARCH_AARCH64": maybe("required", "forbidden"),
        }
    ),
}

SERVER = {
    "id": uuid,
    "name": TEXT,
    "status": one(
        "ACTIVE",
        "BUILD",
        "ERROR",
        "SHUTOFF",
        "PAUSED",
        "SUSPENDED",
        "RESCUE",
        "REBOOT",
        "HARD_REBOOT",
        "VERIFY_RESIZE",
        "RESIZE",
        "REBUILD",
        "SHELVED",
        "SHELVED_OFFLOADED",
        "MIGRATING",
        "PASSWORD",
        "UNKNOWN",
        "REVERT_RESIZE",
    ),
    "tenant_id": project,
    "user_id": project,
    "metadata": one({}, {"a": TEXT, "x:y": maybe(TEXT), "nimbi:token": project}),
    "hostId": one("", "abc"),
    "image": one("", {"id": uuid, "links": []}),
    "flavor": {"id": uuid, "links": []},
    "created": zulu,
    "updated": zulu,
    "addresses": one(
        {},
        {
            "private": Some(address("fixed")),
            "other": maybe(Some(one(address("fixed"), address("floating")))),
        },
    ),
    "accessIPv4": "",
    "accessIPv6": "",
    "links": [],
    "OS-DCF:diskConfig": "MANUAL",
    "progress": maybe(0),
    "OS-EXT-AZ:availability_zone": one("", "nova", "az 2"),
    "config_drive": one("", "True"),
    "key_name": one(None, "my key"),
    "OS-SRV-USG:launched_at": one(None, micro),
    "OS-SRV-USG:terminated_at": None,
    "OS-EXT-STS:task_state": one(
        None, None, None, "powering-off", "powering-on", "deleting", "spawning", "image_snapshot"
    ),
    "OS-EXT-STS:vm_state": "active",
    "OS-EXT-STS:power_state": one(0, 1, 4),
    "os-extended-volumes:volumes_attached": Some({"id": uuid, "delete_on_termination": False}),
    "locked": maybe(True, False),
    "description": maybe(None, TEXT),
    "tags": maybe([]),
    "fault": maybe({"code": 500, "created": zulu, "message": one("No valid host was found.", "x")}),
}

KEYPAIR = {
    "keypair": {
        "name": One(TEXTS[:-1]),
        "public_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8C me",
        "fingerprint": "f5:93:78:68:62:ce:8e:fe:c0:29:fb:d6:6a:c8:67:63",
        "type": maybe("ssh", "x509"),
    }
}

IMAGE = {
    "id": uuid,
    "name": one(None, TEXT),
    "status": one("queued", "saving", "active", "killed", "deactivated", "importing", "uploading"),
    "visibility": one("private", "shared", "community", "public"),
    "owner": one(None, project),
    "disk_format": one(None, "raw", "qcow2", "iso"),
    "container_format": one(None, "bare"),
    "size": one(None, 0, 2**31),
    "virtual_size": maybe(None, 2**32),
    "min_disk": one(0, 5),
    "min_ram": one(0, 512),
    "checksum": None,
    "protected": one(True, False),
    "created_at": zulu,
    "updated_at": zulu,
    "tags": Some("a tag"),
    "description": maybe(TEXT),
    "architecture": maybe("x86_64", "aarch64"),
    "hw_disk_bus": maybe("virtio"),
    "file": "/v2/images/x/file",
    "schema": "/v2/schemas/image",
}

VOLUME = {
    "id": uuid,
    "name": one(None, TEXT),
    "description": one(None, TEXT),
    "status": one(
        "creating",
        "available",
        "attaching",
        "detaching",
        "in-use",
        "error",
        "error_deleting",
        "extending",
        "downloading",
        "uploading",
        "retyping",
        "reserved",
        "backing-up",
    ),
    "size": one(1, 2, 1000),
    "created_at": micro,
    "updated_at": one(None, micro),
    "availability_zone": one("nova", "az 2"),
    "volume_type": one(None, "lvm", "fast ssd"),
    "bootable": one("true", "false"),
    "encrypted": one(True, False),
    "multiattach": one(True, False),
    "metadata": one({}, {"a": TEXT}),
    "snapshot_id": None,
    "source_volid": None,
    "user_id": project,
    "links": [],
    "attachments": Some(
        {
            "server_id": uuid,
            "attachment_id": uuid,
            "id": uuid,
            "volume_id": uuid,
            "host_name": None,
            "device": one(None, "/dev/vdb"),
            "attached_at": micro,
        }
    ),
}

SNAPSHOT = {
    "id": uuid,
    "name": one(None, TEXT),
    "description": one(None, TEXT),
    "status": one("creating", "available", "backing-up", "error", "error_deleting", "restoring"),
    "size": one(1, 2, 1000),
    "volume_id": uuid,
    "created_at": micro,
    "updated_at": one(None, micro),
    "metadata": one({}, {"a": TEXT}),
    "user_id": maybe(project),
}

NETWORK = {
    "id": one(*NETWORKS),
    "name": TEXT,
    "status": one("ACTIVE", "BUILD", "DOWN", "ERROR"),
    "description": one("", TEXT, "[nimbi token=0123 block=10.0.0.0/8]"),
    "admin_state_up": one(True, False),
    "shared": one(True, False),
    "router:external": one(True, False),
    "project_id": project,
    "tenant_id": project,
    "mtu": maybe(1450),
    "subnets": [],
    "availability_zones": ["nova"],
}

SUBNET = {
    "id": one(*SUBNETS),
    "name": TEXT,
    "network_id": one(*NETWORKS),
    "cidr": one("10.0.0.0/24", "10.1.0.0/16", "192.0.2.0/24", "2001:db8::/64"),
    "ip_version": 4,
    "gateway_ip": one(None, "10.0.0.1"),
    "enable_dhcp": one(True, False),
    "description": one("", TEXT),
    "project_id": project,
    "allocation_pools": [],
    "dns_nameservers": [],
    "host_routes": [],
}

ROUTER = {
    "id": uuid,
    "name": TEXT,
    "status": one("ACTIVE", "BUILD", "DOWN", "ERROR", "ALLOCATING"),
    "description": one("", TEXT),
    "admin_state_up": one(True, False),
    "project_id": project,
    "external_gateway_info": one(
        None, {"network_id": one(*NETWORKS), "enable_snat": True, "external_fixed_ips": []}
    ),
    "routes": [],
}

PORT = {
    "id": uuid,
    "name": TEXT,
    "status": one("ACTIVE", "BUILD", "DOWN", "N/A"),
    "description": one("", TEXT),
    "network_id": one(*NETWORKS),
    "device_id": one("", *SERVERS),
    "device_owner": one("", "compute:nova", "compute:az 2"),
    "mac_address": "fa:16:3e:00:00:01",
    "fixed_ips": Some({"subnet_id": one(*SUBNETS), "ip_address": ipv4}),
    "security_groups": one([], [GROUPS[0]], [GROUPS[1], GROUPS[2]]),
    "admin_state_up": True,
    "project_id": project,
}

FLOATING_IP = {
    "id": uuid,
    "floating_ip_address": ipv4,
    "floating_network_id": one(*NETWORKS),
    "fixed_ip_address": None,
    "router_id": None,
    "status": one("ACTIVE", "DOWN"),
    "description": one("", TEXT),
    "project_id": project,
    "port_id": one(None, uuid),
    "port_details": {
        "status": "ACTIVE",
        "name": "",
        "admin_state_up": True,
        "network_id": one(*NETWORKS),
        "device_owner": one("compute:nova", "network:router_interface"),
        "mac_address": "fa:16:3e:00:00:01",
        "device_id": one(*SERVERS),
    },
}


def rule(rng: Random) -> Json:
    """Return a rule of a security group, with ports of which its protocol makes sense."""
    family = rng.choice(("IPv4", "IPv6"))
    protocol = rng.choice((None, "tcp", "udp", "icmp", "6", "esp"))
    ports = rng.choice(((None, None), (22, 22), (1, 65535)))
    origin = rng.choice(
        ((None, None), (None, rng.choice(BLOCKS[family])), (rng.choice(GROUPS), None))
    )
    with_ports = protocol in ("tcp", "udp", "6")
    return {
        "id": uuid(rng),
        "direction": rng.choice(("ingress", "egress")),
        "ethertype": family,
        "protocol": protocol,
        "port_range_min": ports[0] if with_ports else None,
        "port_range_max": ports[1] if with_ports else None,
        "remote_group_id": origin[0],
        "remote_ip_prefix": origin[1],
        "description": rng.choice(("", None, "a rule")),
    }


GROUP = {
    "id": one(*GROUPS),
    "name": one("default", "web", "ü€😀"),
    "description": one("", "plain", "of a user [nimbi token=0123]"),
    "project_id": project,
    "tenant_id": project,
    "security_group_rules": Some(rule),
    "stateful": True,
}

CONTAINER = {"name": one("a", "b c", "ü€😀"), "count": one(0, 7), "bytes": one(0, 2**40)}
OBJECT = {
    "name": one("a", "b c", "ü€😀", "dir/file", "a<b>&c"),
    "hash": "9b2cf535f27731c974343645a3985328",
    "bytes": one(0, 1, 2**40),
    "content_type": one("text/plain", "application/octet-stream"),
    "last_modified": micro,
}
