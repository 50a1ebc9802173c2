"""What Nova tells of servers."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import field

from nimbi.drivers.openstack.errors import fault_error
from nimbi.drivers.openstack.extra import Extra
from nimbi.drivers.openstack.tags import tags_in
from nimbi.model.errors import CloudError
from nimbi.model.instances import (
    AddressKind,
    Attachment,
    Endpoint,
    Instance,
    InstanceState,
    Login,
)

Json = Mapping[str, Any]
# The ports of servers, by the id of the server.
Ports = Mapping[str, Sequence[Json]]

PENDING, RUNNING, PAUSED = InstanceState.PENDING, InstanceState.RUNNING, InstanceState.PAUSED
STOPPING, STOPPED = InstanceState.STOPPING, InstanceState.STOPPED
ERROR, FINISH = InstanceState.ERROR, InstanceState.FINISH

# Source: https://docs.openstack.org/api-guide/compute/server_concepts.html#server-status
STATES: Mapping[str, InstanceState] = {
    "ACTIVE": RUNNING,
    "BUILD": PENDING,
    "DELETED": FINISH,
    "ERROR": ERROR,
    "HARD_REBOOT": RUNNING,
    "MIGRATING": RUNNING,
    "PASSWORD": RUNNING,
    "PAUSED": PAUSED,
    "REBOOT": RUNNING,
    "REBUILD": PENDING,
    "RESCUE": RUNNING,
    "RESIZE": PENDING,
    "REVERT_RESIZE": PENDING,
    "SHELVED": STOPPED,
    "SHELVED_OFFLOADED": STOPPED,
    "SHUTOFF": STOPPED,
    # It comes back only by an administrator's hand.
    "SOFT_DELETED": FINISH,
    "SUSPENDED": PAUSED,
    "UNKNOWN": ERROR,
    "VERIFY_RESIZE": PENDING,
}

# Where a task leads on which a server is: it is on its way there, whatever its status still says.
# Source: Nova's module nova.compute.task_states.
TASKS: Mapping[str, InstanceState] = {
    "deleting": STOPPING,
    "powering-off": STOPPING,
    "powering-on": PENDING,
    "rescuing": PENDING,
    "restoring": PENDING,
    "shelving": STOPPING,
    "shelving_image_pending_upload": STOPPING,
    "shelving_image_uploading": STOPPING,
    "shelving_offloading": STOPPING,
    "soft-deleting": STOPPING,
    "spawning": PENDING,
    "unrescuing": PENDING,
    "unshelving": PENDING,
}
SHELVED = frozenset({"SHELVED", "SHELVED_OFFLOADED"})
IMAGED = frozenset({"ACTIVE", "PAUSED", "SHUTOFF", "SUSPENDED"})

# RFC 1918, 6598, 3927, 1122; 4193, 4291.
_WITHIN_172 = tuple(f"172.{second}." for second in range(16, 32))
_WITHIN_100 = tuple(f"100.{second}." for second in range(64, 128))
_OTHERS = ("10.", "192.168.", "169.254.", "127.", "fc", "fd", "fe8", "fe9", "fea", "feb", "::1")
PRIVATE = (*_OTHERS, *_WITHIN_172, *_WITHIN_100)

KINDS = {4: AddressKind.IPV4, 6: AddressKind.IPV6}
FLOATS = "floating"
NO_PORTS: Sequence[Json] = ()


class Address(msgspec.Struct, frozen=True, gc=False):
    """An address of a server; `kind` is `fixed` or `floating`."""

    addr: str
    version: int
    kind: str | None = field(name="OS-EXT-IPS:type", default=None)


class Reference(msgspec.Struct, frozen=True, gc=False):
    """An image or a volume of a server."""

    id: str


class Flavour(msgspec.Struct, frozen=True, gc=False):
    """A server's flavour: its id, and since 2.47 its name and sizes instead."""

    id: str | None = None
    original_name: str | None = None
    vcpus: int | None = None


class Fault(msgspec.Struct, frozen=True, gc=False):
    """What went wrong with a server."""

    code: int = 0
    message: str = ""


class Server(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the driver reads of a server; `image` is "" when it boots from a volume.

    Source: https://docs.openstack.org/api-ref/compute/#show-server-details
    """

    id: str
    status: str
    name: str | None = None
    tenant_id: str | None = None
    metadata: dict[str, str] = {}
    image: Reference | str | None = None
    flavor: Flavour | None = None
    created: str | None = None
    addresses: dict[str, list[Address]] = {}
    key_name: str | None = None
    locked: bool | None = None
    fault: Fault | None = None
    host_id: str | None = field(name="hostId", default=None)
    realm: str | None = field(name="OS-EXT-AZ:availability_zone", default=None)
    launched: str | None = field(name="OS-SRV-USG:launched_at", default=None)
    task: str | None = field(name="OS-EXT-STS:task_state", default=None)
    volumes: list[Reference] = field(name="os-extended-volumes:volumes_attached", default=[])


# A server, and its whole JSON.
Told = tuple[Server, msgspec.Raw]

_SERVER = msgspec.json.Decoder(Server)


def server_in(raw: msgspec.Raw) -> Told:
    """Read a server. Raises CloudError for what is none."""
    try:
        return _SERVER.decode(raw), raw
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CloudError(f"Nova told of a server that is none: {error}") from None


def state_of(server: Server) -> InstanceState:
    """Return the state of a server, as its task and its status tell."""
    task = server.task
    if task is not None and (there := TASKS.get(task)) is not None and server.status != "ERROR":
        return there
    return STATES.get(server.status, ERROR)


def error_of(fault: Fault | None) -> CloudError:
    """Return what the fault of a server means."""
    return fault_error({"message": fault.message} if fault else {})


def instance_of(told: Told, ports: Ports, profiles: Mapping[str, str]) -> Instance:
    """Return a server in neutral words. Raises CloudError for one that has no times.

    `profiles` are ids by name: since 2.47 Nova tells only the name of a flavour. A volume that it
    boots from is among its volumes.
    """
    server, raw = told
    status, task, image, key = server.status, server.task, server.image, server.key_name
    own = ports.get(server.id, NO_PORTS)
    public, private = _addresses(server.addresses)
    return Instance(
        id=server.id,
        name=server.name or None,
        owner_id=server.tenant_id,
        image_id=image.id if isinstance(image, Reference) else None,
        realm_id=server.realm or None,
        hardware_profile_id=_profile(server.flavor, profiles),
        state=STATES.get(status, ERROR) if task is None else state_of(server),
        launched_at=time_of(server.launched),
        created_at=time_of(server.created),
        public_addresses=public,
        private_addresses=private,
        firewall_ids=_firewalls(own) if own else (),
        volumes=tuple([Attachment(volume.id) for volume in server.volumes]),
        network_interface_ids=tuple([port["id"] for port in own]) if own else (),
        login=Login(key_id=key) if key else None,
        # What Nova is at work on is waited for.
        can_be_imaged=status in IMAGED,
        state_reason=(server.fault.message or None) if server.fault else None,
        tags=tags_in(server.metadata) if server.metadata else {},
        subnet_id=_subnet(own) if own else None,
        locked=bool(server.locked),
        rescued=status == "RESCUE",
        shelved=status in SHELVED,
        extra=Extra(raw),
    )


def _profile(flavour: Flavour | None, profiles: Mapping[str, str]) -> str | None:
    if flavour is None:
        return None
    return flavour.id or profiles.get(flavour.original_name or "")


def time_of(text: str | None) -> datetime | None:
    """Return a time of Nova's, which is in UTC whether it says so or not."""
    if not text:
        return None
    try:
        return datetime.fromisoformat(text if text[-1] == "Z" else f"{text}Z")
    except ValueError:
        raise CloudError(f"Nova told a time that is none: {text[:100]!r}") from None


def ports_of(ports: Iterable[Json]) -> Ports:
    """Return ports by the server that has them."""
    found: dict[str, list[Json]] = {}
    for port in ports:
        found.setdefault(port["device_id"], []).append(port)
    return found


def _addresses(
    networks: Mapping[str, Sequence[Address]],
) -> tuple[tuple[Endpoint, ...], tuple[Endpoint, ...]]:
    """Return the public and the private addresses: one that floats is public wherever it is."""
    public: list[Endpoint] = []
    private: list[Endpoint] = []
    for addresses in networks.values():
        for each in addresses:
            address = each.addr
            side = public if each.kind == FLOATS or not address.startswith(PRIVATE) else private
            side.append(Endpoint(address, KINDS.get(each.version, AddressKind.UNAVAILABLE)))
    return tuple(public), tuple(private)


def _firewalls(ports: Sequence[Json]) -> tuple[str, ...]:
    if len(ports) == 1:
        return tuple(ports[0]["security_groups"])
    return tuple(dict.fromkeys(id for port in ports for id in port["security_groups"]))


def _subnet(ports: Sequence[Json]) -> str | None:
    """Return the subnet of the first address."""
    for port in ports:
        for address in port["fixed_ips"]:
            found: str = address["subnet_id"]
            return found
    return None
