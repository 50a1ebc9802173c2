"""Volumes of the local cloud: disks that real guests use while they run."""

import math
from typing import ClassVar

from nimbi.driver.storage import Volumes
from nimbi.drivers.local.realms import LOCAL, realm
from nimbi.drivers.local.session import LocalCloud, OfSession
from nimbi.model.errors import Conflict, Invalid
from nimbi.model.instances import NewInstance
from nimbi.model.page import Page
from nimbi.model.volumes import NewVolume, Volume, VolumeAttachment, VolumeState, VolumeTarget
from nimbi.qemu.disks.attachments import check_device
from nimbi.qemu.disks.records import Volume as Kept

KIND = "qcow2"


class LocalVolumes(OfSession, Volumes):
    """Volumes, available at once. A volume's token is its identity, as an instance's."""

    features: ClassVar[frozenset[str]] = frozenset({"volume_name", "volume_description"})

    async def page(self, marker: str | None, limit: int) -> Page[Volume]:
        found = await self.cloud.hypervisor.volumes.all()
        return self.paged((_told(volume) for volume in found), marker, limit, _rank)

    async def get(self, id: str) -> Volume:
        return _told(await self.cloud.hypervisor.volumes.get(id))

    async def create(self, new: NewVolume) -> Volume:
        store = self.cloud.hypervisor.volumes
        if new.realm_id is not None:
            realm(new.realm_id)
        made = await store.create(
            name=new.name,
            description=new.description,
            size_gib=None if new.size_gib is None else _whole(new.size_gib),
            snapshot_id=new.snapshot_id,
            token=new.token,
        )
        return _told(made)

    async def destroy(self, id: str) -> None:
        await self.cloud.hypervisor.volumes.destroy(id)

    async def attach(self, id: str, target: VolumeTarget) -> Volume:
        store = self.cloud.hypervisor.volumes
        return _told(await store.attach(id, target.instance_id, target.device))

    async def detach(self, id: str, instance_id: str | None = None) -> Volume:
        store = self.cloud.hypervisor.volumes
        if instance_id not in {None, (await store.get(id)).guest_id}:
            raise Conflict(f"the volume {id!r} is not attached to {instance_id!r}")
        return _told(await store.detach(id))

    async def resize(self, id: str, size_gib: int | float) -> Volume:
        return _told(await self.cloud.hypervisor.volumes.resize(id, _whole(size_gib)))


async def check_snapshot(cloud: LocalCloud, new: NewInstance) -> None:
    """Raise NotFound, Invalid or Conflict unless the new instance can have its snapshot."""
    if new.snapshot_id is None:
        if new.device is not None:
            raise Invalid("a device is only for a snapshot to attach")
        return
    check_device(new.device)
    snapshot = await cloud.hypervisor.snapshots.get(new.snapshot_id)
    if not snapshot.is_completed:
        raise Conflict(f"the snapshot {snapshot.id!r} is {snapshot.state}: it has no data")


async def attach_snapshot(cloud: LocalCloud, new: NewInstance, guest_id: str, token: str) -> None:
    """Give a new guest a volume made of the snapshot that was asked, once for each token."""
    if new.snapshot_id is None:
        return
    store = cloud.hypervisor.volumes
    volume = await store.create(snapshot_id=new.snapshot_id, token=f"volume of {token}"[-255:])
    if volume.guest_id is None:
        await store.attach(volume.id, guest_id, new.device)


def _whole(size_gib: int | float) -> int:
    if not math.isfinite(size_gib) or size_gib != int(size_gib):
        raise Invalid(f"size_gib is {size_gib}, not a whole number")
    return int(size_gib)


def _told(volume: Kept) -> Volume:
    attached = volume.guest_id is not None
    return Volume(
        id=volume.id,
        name=volume.id if volume.name is None else volume.name,
        description=volume.description,
        state=VolumeState.IN_USE if attached else VolumeState.AVAILABLE,
        size_gib=volume.size_gib,
        created_at=volume.created_at,
        realm_id=LOCAL.id,
        kind=KIND,
        instance_id=volume.guest_id,
        device=volume.place,
        attachments=(
            () if volume.guest_id is None else (VolumeAttachment(volume.guest_id, volume.place),)
        ),
        extra={"hold": volume.hold.value, "snapshot_id": volume.snapshot_id},
    )


def _rank(volume: Volume) -> str:
    at = volume.created_at.isoformat(timespec="microseconds") if volume.created_at else ""
    return f"{at} {volume.id}"
