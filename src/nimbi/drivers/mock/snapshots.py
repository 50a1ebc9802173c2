"""Snapshots of the mock cloud."""

from datetime import UTC, datetime

from nimbi.driver.storage import Snapshots
from nimbi.drivers.mock.naming import mark, shown
from nimbi.drivers.mock.session import OfSession, offered
from nimbi.model.page import Page
from nimbi.model.snapshots import NewSnapshot, Snapshot, SnapshotState


@offered
class MockSnapshots(OfSession, Snapshots):
    """Snapshots, complete at once. They stay when their volume goes."""

    async def page(self, marker: str | None, limit: int) -> Page[Snapshot]:
        return self.paged(self.session.state.snapshots, marker, limit)

    async def get(self, id: str) -> Snapshot:
        return self.session.state.snapshots.get(id, "snapshot")

    async def create(self, new: NewSnapshot) -> Snapshot:
        with self.session.change() as state:
            if made := state.made_with("snapshots.create", new.token):
                return state.snapshots.get(made[0], "snapshot")
            volume = state.volumes.get(new.volume_id, "volume")
            id = state.fresh_id("snap", state.snapshots)
            snapshot = Snapshot(
                id=id,
                name=shown(new.name or id, "the name of the snapshot"),
                description=shown(new.description or "", "the description") or None,
                state=SnapshotState.COMPLETED,
                volume_id=volume.id,
                created_at=datetime.now(UTC),
                size_gib=volume.size_gib,
                encrypted=volume.encrypted,
                extra={"token": mark(new.token)},
            )
            state.snapshots = state.snapshots.having(snapshot)
            state.remember("snapshots.create", new.token, id)
            return snapshot

    async def destroy(self, id: str) -> None:
        with self.session.change() as state:
            state.snapshots.get(id, "snapshot")
            state.snapshots = state.snapshots.without(id)
