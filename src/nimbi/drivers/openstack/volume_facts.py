"""What Cinder tells of volumes, and how it is asked for a new one."""

import math
from typing import Any

from msgspec.structs import replace

from nimbi.drivers.openstack.disks import MARK, Json, text_of, when
from nimbi.drivers.openstack.ids import known
from nimbi.drivers.openstack.marks import digest
from nimbi.model.errors import Invalid, NotFound, Unsupported
from nimbi.model.volumes import NewVolume, Volume, VolumeAttachment, VolumeState

# Source: https://docs.openstack.org/api-ref/block-storage/v3/#volumes-volumes
STATES = {
    "creating": VolumeState.PENDING,
    "downloading": VolumeState.PENDING,
    "available": VolumeState.AVAILABLE,
    "reserved": VolumeState.PENDING,
    "attaching": VolumeState.PENDING,
    "in-use": VolumeState.IN_USE,
    # Until the operating system of its instance lets go of it.
    "detaching": VolumeState.IN_USE,
    "awaiting-transfer": VolumeState.PENDING,
    "maintenance": VolumeState.PENDING,
    "restoring-backup": VolumeState.PENDING,
}
# Attached or not, it does something else for a while.
AT_WORK = frozenset({"backing-up", "extending", "retyping", "uploading"})
# What passes by itself, and soon.
PASSING = AT_WORK | {"creating", "downloading", "reserved", "attaching", "detaching"}
# A volume on its way out is gone for whoever asks.
GONE = frozenset({"deleting", "deleted"})

LARGEST_GIB = 2**31 - 1


def told(volume: Json) -> Volume:
    """Return the volume that Cinder tells of."""
    at = tuple(
        VolumeAttachment(each["server_id"], each.get("device") or None)
        for each in volume.get("attachments") or ()
        if each.get("server_id")
    )
    read = Volume(
        id=volume["id"],
        name=volume.get("name") or None,
        description=volume.get("description") or None,
        state=_state(volume.get("status") or "", is_attached=bool(at)),
        size_gib=volume.get("size") or 0,
        created_at=when(volume, "created_at"),
        realm_id=volume.get("availability_zone") or None,
        kind=volume.get("volume_type") or None,
        encrypted=volume.get("encrypted"),
        shared=volume.get("multiattach"),
        extra=volume,
    )
    return attached(read, at) if at else read


def attached(volume: Volume, at: tuple[VolumeAttachment, ...]) -> Volume:
    """Return a volume with its attachments, of which there is one at least."""
    first = at[0]
    return replace(volume, attachments=at, instance_id=first.instance_id, device=first.device)


def _state(status: str, *, is_attached: bool) -> VolumeState:
    if status in AT_WORK:
        return VolumeState.IN_USE if is_attached else VolumeState.PENDING
    return STATES.get(status, VolumeState.ERROR)


def there(volume: Json) -> Volume | None:
    """Return the volume, unless it is on its way out."""
    return None if volume.get("status") in GONE else told(volume)


def present(id: str, volume: Json) -> Volume:
    """Return the volume. Raises NotFound for one on its way out."""
    left = there(volume)
    if left is None:
        raise NotFound(f"there is no volume {id!r}")
    return left


def wish_of(new: NewVolume) -> dict[str, Any]:
    """Return what Cinder is asked for. Raises Invalid, NotFound, Unsupported."""
    if new.name == "":
        raise Invalid("the name of a volume is empty")
    if new.kind == "":
        raise Invalid("no volume is of the kind ''")
    if new.iops is not None or new.throughput_mib is not None:
        raise Unsupported("what a volume is promised is its kind's affair", "volumes.volume_kind")
    if new.realm_id == "":
        raise NotFound("there is no realm ''")
    size = new.size_gib
    if size is None and new.snapshot_id is None and new.image_id is None:
        size = 1
    wish = {
        "size": None if size is None else whole_gib(size),
        "name": text_of(new.name, "the name of a volume"),
        "description": text_of(new.description, "the description of a volume"),
        "availability_zone": new.realm_id,
        "snapshot_id": None if new.snapshot_id is None else known(new.snapshot_id, "snapshot"),
        "imageRef": None if new.image_id is None else known(new.image_id, "image"),
        "volume_type": new.kind,
        "metadata": {MARK: digest(new.token)},
    }
    return {name: value for name, value in wish.items() if value is not None}


def whole_gib(size_gib: int | float) -> int:
    """Return a size rounded up. Raises Invalid for one that no volume has."""
    if not (math.isfinite(size_gib) and 0 < size_gib <= LARGEST_GIB):
        raise Invalid(f"a volume has more than 0 and up to {LARGEST_GIB} GiB, not {size_gib}")
    return math.ceil(size_gib)
