"""What the local cloud tells of a guest."""

from nimbi.drivers.local.hardware_profiles import profiles
from nimbi.model.hardware_profiles import Sizes
from nimbi.model.instances import Endpoint, Instance, InstanceState, Login
from nimbi.qemu import Guest
from nimbi.qemu.spec import HTTP

GUEST_ADDRESS = "10.0.2.15"
"""The same in every guest: each has a network of its own."""

LOGIN_USER = "root"


def told(guest: Guest, owner_id: str | None) -> Instance:
    """Return the guest as an instance. It has a public address only while it can answer there."""
    labels = guest.labels
    return Instance(
        id=guest.id,
        name=guest.name,
        owner_id=owner_id,
        image_id=guest.image_id,
        realm_id=labels.get("realm_id"),
        hardware_profile_id=labels.get("hardware_profile_id"),
        state=InstanceState(guest.state.value),
        sizes=_sizes(guest),
        launched_at=guest.started_at,
        created_at=guest.created_at,
        public_addresses=_published(guest),
        private_addresses=(Endpoint(GUEST_ADDRESS),),
        login=_login(guest),
        state_reason=guest.reason,
        extra={
            "accelerator": guest.accelerator,
            "host_name": guest.host_name,
            "ports": {str(inside): outside for inside, outside in guest.ports.items()},
        },
    )


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
    return Login(key_id=key_id, user=LOGIN_USER)
