"""Snapshots of the local cloud: full copies of what volumes held at one moment."""

from nimbi.driver.storage import Snapshots
from nimbi.drivers.local.session import OfSession
from nimbi.model.page import Page
from nimbi.model.snapshots import NewSnapshot, Snapshot, SnapshotState
from nimbi.qemu.disks.records import Snapshot as Kept


class LocalSnapshots(OfSession, Snapshots):
    """Snapshots. What one holds is settled when its creation returns; its copying may go on."""

    async def page(self, marker: str | None, limit: int) -> Page[Snapshot]:
        found = await self.cloud.hypervisor.snapshots.all()
        return self.paged((_told(snapshot) for snapshot in found), marker, limit, _rank)

    async def get(self, id: str) -> Snapshot:
        return _told(await self.cloud.hypervisor.snapshots.get(id))

    async def create(self, new: NewSnapshot) -> Snapshot:
        made = await self.cloud.hypervisor.snapshots.create(
            new.volume_id, name=new.name, description=new.description, token=new.token
        )
        return _told(made)

    async def destroy(self, id: str) -> None:
        await self.cloud.hypervisor.snapshots.destroy(id)


def _told(snapshot: Kept) -> Snapshot:
    return Snapshot(
        id=snapshot.id,
        name=snapshot.id if snapshot.name is None else snapshot.name,
        description=snapshot.description,
        state=SnapshotState(snapshot.state.value),
        volume_id=snapshot.volume_id,
        created_at=snapshot.created_at,
        size_gib=snapshot.size_gib,
        extra={
            "consistent": snapshot.consistent,
            "error": snapshot.error,
            "size_bytes": snapshot.size_bytes,
        },
    )


def _rank(snapshot: Snapshot) -> str:
    at = snapshot.created_at.isoformat(timespec="microseconds") if snapshot.created_at else ""
    return f"{at} {snapshot.id}"
