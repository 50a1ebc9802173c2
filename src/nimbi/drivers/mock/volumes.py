"""Volumes of the mock cloud."""

import math
from datetime import UTC, datetime
from typing import ClassVar

import msgspec

from nimbi.driver.storage import Volumes
from nimbi.drivers.mock.attachment import attached, attachments, detached
from nimbi.drivers.mock.naming import mark, shown
from nimbi.drivers.mock.seed import DEFAULT_REALM, REALMS
from nimbi.drivers.mock.session import OfSession, offered
from nimbi.drivers.mock.world import State
from nimbi.model.errors import Conflict, Invalid
from nimbi.model.page import Page
from nimbi.model.volumes import NewVolume, Volume, VolumeState, VolumeTarget

DEFAULT_GIB = 1
LARGEST_GIB = 65536
KINDS = ("disk", "flash")
FASTEST = 1_000_000


@offered
class MockVolumes(OfSession, Volumes):
    """Volumes, available at once."""

    features: ClassVar[frozenset[str]] = frozenset(
        {
            "volume_name",
            "volume_description",
            "volume_kind",
            "volume_encryption",
            "volume_sharing",
            "volume_of_image",
        }
    )

    async def page(self, marker: str | None, limit: int) -> Page[Volume]:
        return self.paged(self.session.state.volumes, marker, limit)

    async def get(self, id: str) -> Volume:
        return self.session.state.volumes.get(id, "volume")

    async def create(self, new: NewVolume) -> Volume:
        with self.session.change() as state:
            if made := state.made_with("volumes.create", new.token):
                return state.volumes.get(made[0], "volume")
            volume = volume_of(state, new)
            state.remember("volumes.create", new.token, volume.id)
            return volume

    async def destroy(self, id: str) -> None:
        with self.session.change() as state:
            volume = state.volumes.get(id, "volume")
            if volume.instance_id is not None:
                raise Conflict(f"the volume {id!r} is attached to {volume.instance_id!r}")
            state.volumes = state.volumes.without(id)

    async def attach(self, id: str, target: VolumeTarget) -> Volume:
        with self.session.change() as state:
            volume = state.volumes.get(id, "volume")
            instance = state.instance_of(self.user, target.instance_id)
            return attached(state, volume, instance, shown(target.device or "", "the device"))

    async def detach(self, id: str, instance_id: str | None = None) -> Volume:
        with self.session.change() as state:
            volume = state.volumes.get(id, "volume")
            return detached(state, volume, _holder(volume, instance_id))

    async def resize(self, id: str, size_gib: int | float) -> Volume:
        with self.session.change() as state:
            volume = state.volumes.get(id, "volume")
            if _sound(size_gib) < volume.size_gib:
                raise Invalid(f"the volume {id!r} has {volume.size_gib} GiB, and can't shrink")
            resized = msgspec.structs.replace(volume, size_gib=size_gib)
            state.volumes = state.volumes.having(resized)
            return resized

    async def retype(self, id: str, kind: str) -> Volume:
        with self.session.change() as state:
            volume = state.volumes.get(id, "volume")
            retyped = msgspec.structs.replace(volume, kind=_known(kind))
            state.volumes = state.volumes.having(retyped)
            return retyped


def volume_of(state: State, new: NewVolume) -> Volume:
    """Return one more volume, now in the cloud."""
    if new.realm_id is not None and new.realm_id not in REALMS:
        raise Invalid(f"there is no realm {new.realm_id!r}")
    if new.image_id is not None:
        state.images.get(new.image_id, "image")
    id = state.fresh_id("vol", state.volumes)
    volume = Volume(
        id=id,
        name=shown(new.name or id, "the name of the volume"),
        description=shown(new.description or "", "the description of the volume") or None,
        state=VolumeState.AVAILABLE,
        size_gib=_size(state, new),
        created_at=datetime.now(UTC),
        realm_id=new.realm_id or DEFAULT_REALM,
        kind=_kind(new),
        iops=new.iops,
        throughput_mib=new.throughput_mib,
        encrypted=_is_encrypted(state, new),
        shared=new.shared,
        extra={"token": mark(new.token)},
    )
    state.volumes = state.volumes.having(volume)
    return volume


def _holder(volume: Volume, instance_id: str | None) -> str:
    """Return the instance that has the volume: the one asked for, or the only one."""
    holders = [a.instance_id for a in attachments(volume) if instance_id in {None, a.instance_id}]
    if len(holders) == 1:
        return holders[0]
    if holders:
        raise Conflict(f"the volume {volume.id!r} is attached to {', '.join(holders)}: tell which")
    where = "" if instance_id is None else f" to {instance_id!r}"
    raise Conflict(f"the volume {volume.id!r} is not attached{where}")


def _known(kind: str) -> str:
    if kind not in KINDS:
        raise Invalid(f"volumes are of the kinds {', '.join(KINDS)}, not {kind!r}")
    return kind


def _kind(new: NewVolume) -> str | None:
    for number in (new.iops, new.throughput_mib):
        if number is not None and not 1 <= number <= FASTEST:
            raise Invalid(f"a volume takes 1 to {FASTEST} of that a second, not {number}")
    return None if new.kind is None else _known(new.kind)


def _is_encrypted(state: State, new: NewVolume) -> bool | None:
    source = state.snapshots.find(new.snapshot_id or "")
    if source is None or not source.encrypted:
        return new.encrypted
    if new.encrypted is False:
        raise Invalid(f"the snapshot {source.id!r} is encrypted, and so is a volume made of it")
    return True


def _size(state: State, new: NewVolume) -> int | float:
    least: int | float = 0
    if new.snapshot_id is not None:
        least = state.snapshots.get(new.snapshot_id, "snapshot").size_gib or 0
    size = new.size_gib if new.size_gib is not None else least or DEFAULT_GIB
    if _sound(size) < least:
        raise Invalid(f"the snapshot {new.snapshot_id!r} needs {least} GiB, not {size}")
    return size


def _sound(size_gib: int | float) -> int | float:
    if not (math.isfinite(size_gib) and 0 < size_gib <= LARGEST_GIB):
        raise Invalid(f"a volume has more than 0 and up to {LARGEST_GIB} GiB, not {size_gib}")
    return size_gib
