"""Snapshots of Cinder's volumes."""

from typing import ClassVar

from nimbi.driver.storage import Snapshots
from nimbi.drivers.openstack.disks import MARK, REFUSED, Json, text_of, when
from nimbi.drivers.openstack.errors import OpenStackError
from nimbi.drivers.openstack.ids import known
from nimbi.drivers.openstack.lists import page_of
from nimbi.drivers.openstack.marks import digest
from nimbi.drivers.openstack.session import OfSession
from nimbi.drivers.openstack.wishes import once
from nimbi.model.errors import Conflict, Invalid, NotFound
from nimbi.model.page import Page
from nimbi.model.snapshots import NewSnapshot, Snapshot, SnapshotState

SNAPSHOTS, DETAILS = "/snapshots", "/snapshots/detail"

# Source: https://docs.openstack.org/api-ref/block-storage/v3/#volume-snapshots-snapshots
STATES = {
    "creating": SnapshotState.PENDING,
    "restoring": SnapshotState.PENDING,
    "available": SnapshotState.COMPLETED,
    "backing-up": SnapshotState.COMPLETED,
}
PASSING = frozenset({"creating", "restoring", "backing-up"})
# A snapshot on its way out is gone for whoever asks.
GONE = frozenset({"deleting", "deleted"})


class OpenStackSnapshots(OfSession, Snapshots):
    """Snapshots, of attached volumes too: those hold what was written to the disk by then.

    A volume cannot go before its snapshots.
    """

    features: ClassVar[frozenset[str]] = frozenset()

    async def page(self, marker: str | None, limit: int) -> Page[Snapshot]:
        return Page(*await page_of(self.session, "volume", DETAILS, marker, limit, _there))

    async def get(self, id: str) -> Snapshot:
        found = _there(await self._look(id))
        if found is None:
            raise NotFound(f"there is no snapshot {id!r}")
        return found

    async def create(self, new: NewSnapshot) -> Snapshot:
        if new.name == "":
            raise Invalid("the name of a snapshot is empty")
        volume_id = known(new.volume_id, "volume")
        wish = {
            "volume_id": volume_id,
            "name": text_of(new.name, "the name of a snapshot"),
            "description": text_of(new.description, "the description of a snapshot"),
            # Of attached volumes, too; since 3.66 that is understood.
            "force": True,
            "metadata": {MARK: digest(new.token)},
        }

        async def find() -> Snapshot | None:
            # Cinder reads this as a dictionary of Python.
            query = {"metadata": f"{{'{MARK}': '{digest(new.token)}'}}"}
            found, _ = await page_of(self.session, "volume", DETAILS, None, 1, _there, query)
            return found[0] if found else None

        async def is_busy() -> bool:
            return await self.session.volume_is_busy(volume_id)

        async def make() -> Snapshot:
            try:
                answer = await self.session.calmed(
                    lambda: self.session.post("volume", SNAPSHOTS, {"snapshot": wish}),
                    is_busy,
                    REFUSED,
                )
            except OpenStackError as error:
                if error.status not in REFUSED:
                    raise
                raise Conflict(f"no snapshot of {volume_id!r}: {error.message}") from error
            return told(answer["snapshot"])

        return await once(self.session, "snapshot", new.token, find, make)

    async def destroy(self, id: str) -> None:
        path = f"{SNAPSHOTS}/{known(id, 'snapshot')}"

        async def is_busy() -> bool:
            snapshot = await self._look(id)
            if snapshot["status"] in GONE:
                raise NotFound(f"there is no snapshot {id!r}")
            return snapshot["status"] in PASSING

        try:
            await self.session.calmed(lambda: self.session.delete("volume", path), is_busy, REFUSED)
        except OpenStackError as error:
            if error.status not in REFUSED:
                raise
            raise Conflict(f"the snapshot {id!r} stays: {error.message}") from error

    async def _look(self, id: str) -> Json:
        """Return what Cinder tells of a snapshot. Raises NotFound."""
        answer = await self.session.get("volume", f"{SNAPSHOTS}/{known(id, 'snapshot')}")
        snapshot: Json = answer["snapshot"]
        return snapshot


def told(snapshot: Json) -> Snapshot:
    """Return the snapshot that Cinder tells of."""
    return Snapshot(
        id=snapshot["id"],
        name=snapshot.get("name") or None,
        description=snapshot.get("description") or None,
        state=STATES.get(snapshot.get("status") or "", SnapshotState.ERROR),
        volume_id=snapshot.get("volume_id") or None,
        created_at=when(snapshot, "created_at"),
        size_gib=snapshot.get("size"),
        extra=snapshot,
    )


def _there(snapshot: Json) -> Snapshot | None:
    """Return the snapshot, unless it is on its way out."""
    return None if snapshot.get("status") in GONE else told(snapshot)
