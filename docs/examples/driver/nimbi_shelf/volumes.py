"""Volumes of Shelf: its disks. They can't be attached, so attach and detach are not overridden."""

from datetime import UTC, datetime
from typing import Any, ClassVar

from nimbi.driver.storage import Volumes
from nimbi.model.errors import Invalid
from nimbi.model.page import Page
from nimbi.model.volumes import NewVolume, Volume, VolumeState
from nimbi_shelf.session import Session

DEFAULT_GIB = 1
DEFAULT_BOARD = "top"


class ShelfVolumes(Volumes):
    features: ClassVar[frozenset[str]] = frozenset({"volume_name"})

    def __init__(self, session: Session) -> None:
        self.session = session

    async def page(self, marker: str | None, limit: int) -> Page[Volume]:
        """Return a page; its marker is the id of its last disk."""
        if marker == "":
            raise Invalid("the marker is not one that this list gave")
        # One more than asked for tells whether there is a next page.
        disks = await self.session.call(self.session.shelf.disks, marker or "", limit + 1)
        items = tuple(_volume(disk) for disk in disks[:limit])
        return Page(items, items[-1].id if len(disks) > limit else None)

    async def get(self, id: str) -> Volume:
        return _volume(await self.session.call(self.session.shelf.disk, id))

    async def create(self, new: NewVolume) -> Volume:
        if new.snapshot_id is not None:
            raise Invalid("Shelf has no snapshots to make a disk of")
        disk = await self.session.call(
            self.session.shelf.make_disk,
            request=new.token or "",
            label=new.name,
            gib=DEFAULT_GIB if new.size_gib is None else new.size_gib,
            board=DEFAULT_BOARD if new.realm_id is None else new.realm_id,
            made=datetime.now(UTC).isoformat(),
        )
        return _volume(disk)

    async def destroy(self, id: str) -> None:
        await self.session.call(self.session.shelf.remove_disk, id)


def _volume(disk: dict[str, Any]) -> Volume:
    return Volume(
        id=disk["id"],
        extra=disk,
        name=disk["label"],
        description=None,
        state=VolumeState.AVAILABLE,
        size_gib=disk["gib"],
        created_at=datetime.fromisoformat(disk["made"]),
        realm_id=disk["board"],
    )
