"""Volumes: disks that live apart from instances."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec

from nimbi.model.features import Feature
from nimbi.model.resource import NewResource, Resource


class VolumeState(StrEnum):
    """Only an AVAILABLE volume can be attached."""

    PENDING = "pending"
    AVAILABLE = "available"
    IN_USE = "in-use"
    ERROR = "error"


class Volume(Resource, frozen=True, kw_only=True):
    """A disk. `instance_id` and `device` are set while it is attached."""

    name: str | None
    description: str | None
    state: VolumeState
    size_gib: int | float
    created_at: datetime | None
    realm_id: str | None
    kind: str | None = None
    instance_id: str | None = None
    device: str | None = None


class NewVolume(NewResource, frozen=True, kw_only=True):
    """An empty volume, or one filled from a snapshot; no size is the cloud's or snapshot's own."""

    size_gib: int | float | None = None
    realm_id: str | None = None
    snapshot_id: str | None = None
    name: Annotated[str | None, Feature("volume_name", "Name of the new volume.")] = None
    description: Annotated[
        str | None, Feature("volume_description", "Description of the new volume.")
    ] = None


class VolumeTarget(msgspec.Struct, frozen=True, kw_only=True):
    """Where to attach a volume. No device leaves the name to the cloud."""

    instance_id: str
    device: str | None = None
