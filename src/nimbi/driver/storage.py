"""Interfaces of disks: volumes and their snapshots."""

from typing import ClassVar

from nimbi.driver.operation import Collection, repeatable, safe
from nimbi.model.page import Page
from nimbi.model.snapshots import NewSnapshot, Snapshot
from nimbi.model.volumes import NewVolume, Volume, VolumeTarget


class Volumes(Collection):
    """Disks that live apart from instances."""

    name: ClassVar[str] = "volumes"

    @safe
    async def page(self, marker: str | None, limit: int) -> Page[Volume]:
        raise NotImplementedError

    @safe
    async def get(self, id: str) -> Volume:
        raise NotImplementedError

    @repeatable
    async def create(self, new: NewVolume) -> Volume:
        """Return the volume, perhaps still pending. Raises NotFound for an unknown snapshot."""
        raise NotImplementedError

    @repeatable
    async def destroy(self, id: str) -> None:
        """Remove a volume with its data. Raises Conflict while it is attached."""
        raise NotImplementedError

    async def attach(self, id: str, target: VolumeTarget) -> Volume:
        """Return the volume. Raises Conflict when it is attached already.

        One that is shared may be attached to other instances too.
        """
        raise NotImplementedError

    async def detach(self, id: str, instance_id: str | None = None) -> Volume:
        """Return the volume. Raises Conflict when it is attached nowhere.

        Or not to this instance; or to several, when none is told.
        """
        raise NotImplementedError

    @repeatable
    async def resize(self, id: str, size_gib: int | float) -> Volume:
        """Return the volume with more room; what is on it stays as it is.

        Raises Invalid for a size below the present one or beyond the cloud's largest, Conflict
        while it is attached when the cloud can do it only apart, OutOfCapacity.
        """
        raise NotImplementedError

    @repeatable
    async def retype(self, id: str, kind: str) -> Volume:
        """Return the volume as another kind of disk, perhaps still pending.

        Raises Invalid for a kind that the cloud does not know, Conflict when it is attached and the
        cloud can do it only apart, OutOfCapacity.
        """
        raise NotImplementedError


class Snapshots(Collection):
    """What volumes held at one moment."""

    name: ClassVar[str] = "snapshots"

    @safe
    async def page(self, marker: str | None, limit: int) -> Page[Snapshot]:
        raise NotImplementedError

    @safe
    async def get(self, id: str) -> Snapshot:
        raise NotImplementedError

    @repeatable
    async def create(self, new: NewSnapshot) -> Snapshot:
        """Return the snapshot, perhaps still pending. Raises NotFound for an unknown volume."""
        raise NotImplementedError

    @repeatable
    async def destroy(self, id: str) -> None:
        raise NotImplementedError
