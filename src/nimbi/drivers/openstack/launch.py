"""How a wish for instances reads to Nova."""

import base64
import ipaddress
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nimbi.drivers.openstack import tags
from nimbi.drivers.openstack.calls import quoted
from nimbi.drivers.openstack.hardware_profiles import profile_of, profiles_of
from nimbi.drivers.openstack.ids import known
from nimbi.drivers.openstack.marks import digest
from nimbi.drivers.openstack.neutron import all_of
from nimbi.drivers.openstack.servers import one
from nimbi.drivers.openstack.session import Session
from nimbi.model.errors import Invalid, Unsupported
from nimbi.model.hardware_profiles import HardwareProfile
from nimbi.model.instances import NewAttachment, NewInstance, UserFile

Json = dict[str, Any]

# Source: https://docs.openstack.org/api-ref/compute/#create-server
MOST_USER_DATA = 65535
LONGEST_PATH = 255
LONGEST_NAME = 255

# Nova's microversions: tags by which lists are filtered; the last that takes files; a volume's
# type; networks must be named.
TAGGED, LAST_WITH_FILES, VOLUME_TYPES, NETWORKS = "2.52", "2.56", "2.67", "2.37"

MIB_PER_GIB, BYTES_PER_GIB = 1024, 2**30


@dataclass(frozen=True)
class Launch:
    """A request for new servers, in the words of one microversion; None is the newest."""

    body: Json
    microversion: str | None


async def launch(session: Session, new: NewInstance, count: int) -> Launch:
    """Return the request for `count` servers, all or none. Raises NotFound, Invalid, Unsupported.

    Source: https://docs.openstack.org/api-ref/compute/#create-server
    """
    microversion = await _version(session, new)
    server: Json = {
        "name": _name(new),
        "flavorRef": (await _profile(session, new)).id,
        "metadata": tags.metadata(new.tags, new.token),
        "min_count": count,
        "max_count": count,
        **_optional(new),
        **await _sources(session, new),
    }
    if count > 1:
        server["return_reservation_id"] = True
    if await session.supports("compute", TAGGED):
        server["tags"] = [tags.mark_of(new.token)]
    networks = await _networks(session, new)
    if networks is not None:
        server["networks"] = networks
    body: Json = {"server": server}
    if new.scheduler_hints:
        body["os:scheduler_hints"] = dict(new.scheduler_hints)
    return Launch(body, microversion)


async def _version(session: Session, new: NewInstance) -> str | None:
    if not new.user_files:
        return None
    if any(volume.kind for volume in new.volumes):
        raise Invalid("Nova takes files or kinds of volumes with a new instance, not both")
    if await session.supports("compute", LAST_WITH_FILES):
        return LAST_WITH_FILES
    if await session.supports("compute", VOLUME_TYPES):
        raise Unsupported("this Nova puts no files into instances", "instances.user_files")
    return None


def _optional(new: NewInstance) -> Json:
    told: Json = {
        "key_name": new.key_id,
        "availability_zone": new.realm_id,
        "config_drive": new.config_drive,
        "adminPass": new.password,
        "user_data": _user_data(new.user_data),
        "security_groups": [{"name": known(id, "firewall")} for id in new.firewall_ids],
        "personality": [_file(file) for file in new.user_files],
    }
    return {name: value for name, value in told.items() if value is not None and value != []}


def _name(new: NewInstance) -> str:
    """Return the name of a server; Nova wants one."""
    if new.name is None:
        return f"nimbi-{digest(new.token)[:12]}"
    if not new.name or len(new.name) > LONGEST_NAME:
        raise Invalid(f"the name of an instance has 1 to {LONGEST_NAME} characters")
    return new.name


def _user_data(data: bytes | None) -> str | None:
    if not data:
        return None
    text = base64.b64encode(data).decode()
    if len(text) > MOST_USER_DATA:
        raise Invalid(f"user data has at most {MOST_USER_DATA * 3 // 4} bytes, not {len(data)}")
    return text


def _file(file: UserFile) -> Json:
    path = file.path
    try:
        length = len(path.encode())
    except UnicodeEncodeError:
        raise Invalid("the path of a file is Unicode text") from None
    if not path.startswith("/") or "\0" in path or length > LONGEST_PATH:
        raise Invalid(f"{path[:100]!r} is no absolute path of at most {LONGEST_PATH} bytes")
    return {"path": path, "contents": base64.b64encode(file.content).decode()}


async def _profile(session: Session, new: NewInstance) -> HardwareProfile:
    """Return the flavour that was asked for, or else the smallest that is large enough."""
    if new.hardware_profile_id is not None:
        profile = await profile_of(session, new.hardware_profile_id)
        profile.check(new.sizes)
        return profile
    memory_mib, storage_gib = await _needs(session, new)
    return (await profiles_of(session)).smallest(memory_mib, storage_gib, new.sizes)


async def _needs(session: Session, new: NewInstance) -> tuple[int, int]:
    """Return the memory and the disk that an image needs at least; 0 of what boots elsewhere."""
    if new.image_id is None:
        return 0, 0
    image = await session.get("image", f"/images/{quoted(known(new.image_id, 'image'))}")
    memory_mib = image.get("min_ram") or 0
    if any(volume.boot for volume in new.volumes):
        return memory_mib, 0
    return memory_mib, _disk(image)


def _disk(image: Mapping[str, Any]) -> int:
    size = image.get("virtual_size") or image.get("size") or 0
    return max(image.get("min_disk") or 0, math.ceil(size / BYTES_PER_GIB))


async def _sources(session: Session, new: NewInstance) -> Json:
    """Return what the server boots from, and the volumes that are made with it."""
    boots = [volume for volume in new.volumes if volume.boot]
    others = [_volume(volume) for volume in new.volumes if not volume.boot]
    found: Json = {}
    mappings: list[Json] = []
    if new.boot_volume_id is not None:
        mappings.append(_boot("volume", known(new.boot_volume_id, "volume"), keep=True))
    elif boots:
        mappings.append(await _boot_volume(session, new, boots[0]))
    else:
        image_id = known(new.image_id or "", "image")
        found["imageRef"] = image_id
        if others:
            mappings.append(_boot("image", image_id, keep=False) | {"destination_type": "local"})
    mappings += others
    return {**found, "block_device_mapping_v2": mappings} if mappings else found


def _boot(source: str, id: str, *, keep: bool) -> Json:
    return {
        "boot_index": 0,
        "uuid": id,
        "source_type": source,
        "destination_type": "volume",
        "delete_on_termination": not keep,
    }


async def _boot_volume(session: Session, new: NewInstance, volume: NewAttachment) -> Json:
    if volume.snapshot_id is not None:
        mapping = _boot("snapshot", known(volume.snapshot_id, "snapshot"), keep=volume.keep)
    else:
        mapping = _boot("image", known(new.image_id or "", "image"), keep=volume.keep)
    size = _size(volume)
    if size is None and volume.snapshot_id is None:
        image = await session.get("image", f"/images/{quoted(new.image_id or '')}")
        size = max(1, _disk(image))
    return mapping | _kept(volume_size=size, volume_type=_kind(volume))


def _volume(volume: NewAttachment) -> Json:
    snapshot_id, size = volume.snapshot_id, _size(volume)
    if snapshot_id is None and size is None:
        raise Invalid("an empty volume has a size")
    mapping = {
        "boot_index": -1,
        "source_type": "blank" if snapshot_id is None else "snapshot",
        "destination_type": "volume",
        "delete_on_termination": not volume.keep,
    }
    uuid = None if snapshot_id is None else known(snapshot_id, "snapshot")
    return mapping | _kept(uuid=uuid, volume_size=size, volume_type=_kind(volume))


def _kept(**told: Any) -> Json:
    return {name: value for name, value in told.items() if value is not None}


def _size(volume: NewAttachment) -> int | None:
    if volume.size_gib is None:
        return None
    if not 0 < volume.size_gib <= 2**20:
        raise Invalid(f"a volume has more than 0 and at most 1,048,576 GiB, not {volume.size_gib}")
    return math.ceil(volume.size_gib)


def _kind(volume: NewAttachment) -> str | None:
    if volume.iops is not None or volume.encrypted:
        raise Unsupported(
            "in OpenStack the kind of a volume says how fast it is, and whether it is encrypted",
            "instances.volume_mappings",
        )
    return volume.kind


async def _networks(session: Session, new: NewInstance) -> list[Json] | str | None:
    """Return what to join; None leaves it to a Nova that need not be told.

    Without a wish it is the one network that the project has, or none when it has none.
    """
    wanted: list[Json] = [{"uuid": known(id, "network")} for id in new.network_ids]
    if new.subnet_id is not None:
        wanted.append(await _of_subnet(session, new.subnet_id))
    if new.fixed_address is not None:
        if not wanted:
            wanted = [{"uuid": await _only_network(session)}]
        wanted[0] = {**wanted[0], "fixed_ip": _address(new.fixed_address)}
    wanted += [{"port": known(id, "network interface")} for id in new.network_interface_ids]
    if wanted:
        return wanted
    if not await session.supports("compute", NETWORKS):
        return None
    return "auto" if await _open_networks(session) else "none"


async def _of_subnet(session: Session, id: str) -> Json:
    """Return the network of a subnet. Raises Invalid when it has several.

    Nova knows networks only; in which of several subnets the address lies is the network's choice.
    """
    subnet = one(await session.get("network", f"/subnets/{known(id, 'subnet')}"), "subnet")
    asked = {"network_id": subnet["network_id"], "fields": ["id", "ip_version"]}
    alike = [
        other
        for other in await all_of(session, "/subnets", asked)
        if other["ip_version"] == subnet["ip_version"]
    ]
    if len(alike) > 1:
        raise Invalid(
            f"the network of the subnet {id!r} has several: make a network interface in it,"
            " and the instance with that"
        )
    return {"uuid": subnet["network_id"]}


async def _only_network(session: Session) -> str:
    found = await _open_networks(session)
    if len(found) != 1:
        raise Invalid("a fixed address is of a network, which must be named")
    id: str = found[0]["id"]
    return id


async def _open_networks(session: Session) -> list[Mapping[str, Any]]:
    """Return the networks that Nova may choose from: the project's own, else shared ones."""
    await session.token()
    if "network" not in session.services():
        return []
    project = await session.project()
    fields = {"fields": ["id", "router:external"]}
    own = await all_of(session, "/networks", {"project_id": project, "shared": False, **fields})
    if own:
        return list(own)
    return list(await all_of(session, "/networks", {"shared": True, **fields}))


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise Invalid(f"{text[:100]!r} is no address") from None
