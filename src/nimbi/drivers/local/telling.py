"""What the local cloud tells of a guest."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from nimbi.drivers.local.hardware_profiles import profiles
from nimbi.drivers.local.session import rank
from nimbi.model.hardware_profiles import Sizes
from nimbi.model.instances import Attachment, Endpoint, Instance, InstanceState, Login
from nimbi.qemu import Guest
from nimbi.qemu.disks.records import Volume
from nimbi.qemu.guests.spec import HTTP, SSH
from nimbi.qemu.images.imaging import IMAGED
from nimbi.qemu.network.records import Records

GUEST_ADDRESS = "10.0.2.15"
"""The same in every guest where each has a network of its own."""

LOGIN_USER = "root"


Attached = Mapping[str, tuple[Attachment, ...]]


def attachments(volumes: Iterable[Volume]) -> Attached:
    """Return what is attached, by guest."""
    found: dict[str, tuple[Attachment, ...]] = {}
    for volume in volumes:
        if volume.guest_id is not None:
            mine = Attachment(volume.id, volume.place)
            found[volume.guest_id] = (*found.get(volume.guest_id, ()), mine)
    return found


@dataclass(frozen=True, kw_only=True)
class Joined:
    """How one guest is connected: its addresses and cards, the first card first."""

    held: tuple[str, ...] = ()
    private: tuple[str, ...] = (GUEST_ADDRESS,)
    interface_ids: tuple[str, ...] = ()
    firewall_ids: tuple[str, ...] = ()


def connections(records: Records) -> Mapping[str, Joined]:
    """Return how guests are connected, by guest."""
    found: dict[str, Joined] = {}
    for card in sorted(records.cards.values(), key=lambda card: card.slot):
        mine = found.get(card.guest_id, Joined(private=()))
        found[card.guest_id] = replace(
            mine,
            private=(*mine.private, card.ip),
            interface_ids=(*mine.interface_ids, card.id),
            firewall_ids=mine.firewall_ids + card.firewall_ids,
        )
    for address in sorted(records.addresses.values(), key=rank):
        if address.guest_id is not None:
            mine = found.get(address.guest_id, Joined())
            found[address.guest_id] = replace(mine, held=(*mine.held, address.ip))
    return found


def told(
    guest: Guest, owner_id: str | None, attached: Attached, joined: Mapping[str, Joined]
) -> Instance:
    """Return the guest as an instance.

    Its published port is among the public addresses only while it can answer there.
    """
    labels = guest.labels
    mine = joined.get(guest.id, Joined())
    return Instance(
        id=guest.id,
        name=guest.name,
        owner_id=owner_id,
        image_id=guest.image_id,
        realm_id=labels.get("realm_id"),
        hardware_profile_id=labels.get("hardware_profile_id"),
        state=InstanceState(guest.state.value),
        sizes=_sizes(guest),
        can_be_imaged=guest.state in IMAGED,
        launched_at=guest.started_at,
        created_at=guest.created_at,
        public_addresses=(*map(Endpoint, mine.held), *_published(guest)),
        private_addresses=tuple(map(Endpoint, mine.private)),
        firewall_ids=mine.firewall_ids,
        network_interface_ids=mine.interface_ids,
        volumes=attached.get(guest.id, ()),
        login=_login(guest),
        state_reason=guest.reason,
        extra={
            "accelerator": guest.accelerator,
            "host_name": guest.host_name,
            "token": guest.labels.get("token"),
            "ports": {str(inside): outside for inside, outside in guest.ports.items()},
        },
    )


def login_user(guest: Guest) -> str:
    """Return who gets the keys of this guest: its image says so, if it is known."""
    return guest.labels.get("login_user", LOGIN_USER)


def _sizes(guest: Guest) -> Sizes:
    of = next((p for p in profiles() if p.id == guest.labels.get("hardware_profile_id")), None)
    rules = of.properties() if of else {}

    def other(name: str, value: int) -> int | None:
        return None if name in rules and rules[name].default == value else value

    return Sizes(
        cpus=other("cpus", guest.cpus),
        memory_mib=other("memory_mib", guest.memory_mib),
        storage_gib=other("storage_gib", guest.disk_gib),
    )


def _published(guest: Guest) -> tuple[Endpoint, ...]:
    port = guest.ports.get(HTTP)
    return (Endpoint(guest.address, port=port),) if guest.pid is not None and port else ()


def _login(guest: Guest) -> Login | None:
    key_id = guest.labels.get("key_id")
    if key_id is None and "login" not in guest.labels:
        return None
    port = guest.ports.get(SSH) if guest.pid is not None else None
    return Login(key_id=key_id, user=login_user(guest), port=port)
