"""Snapshots: what a volume held at one moment."""

from datetime import datetime
from enum import StrEnum

from nimbi.model.resource import NewResource, Resource


class SnapshotState(StrEnum):
    """Only a COMPLETED snapshot can be made a volume."""

    PENDING = "pending"
    COMPLETED = "completed"
    ERROR = "error"


class Snapshot(Resource, frozen=True, kw_only=True):
    """`volume_id` is None when the volume is gone and the cloud no longer tells."""

    name: str | None
    description: str | None
    state: SnapshotState
    volume_id: str | None
    created_at: datetime | None
    size_gib: int | float | None = None
    encrypted: bool | None = None


class NewSnapshot(NewResource, frozen=True, kw_only=True):
    """Keep what a volume holds now."""

    volume_id: str
    name: str | None = None
    description: str | None = None
