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
    """A disk. `instance_id` and `device` are set while it is attached.

    `kind` is the cloud's own word; `iops` and `throughput_mib` (MiB/s) are what it is promised.
    """

    name: str | None
    description: str | None
    state: VolumeState
    size_gib: int | float
    created_at: datetime | None
    realm_id: str | None
    kind: str | None = None
    instance_id: str | None = None
    device: str | None = None
    iops: int | None = None
    throughput_mib: int | None = None
    encrypted: bool | None = None


class NewVolume(NewResource, frozen=True, kw_only=True):
    """An empty volume, or one filled from a snapshot; no size is the cloud's or snapshot's own."""

    size_gib: int | float | None = None
    realm_id: str | None = None
    snapshot_id: str | None = None
    name: Annotated[str | None, Feature("volume_name", "Name of the new volume.")] = None
    description: Annotated[
        str | None, Feature("volume_description", "Description of the new volume.")
    ] = None
    kind: Annotated[
        str | None, Feature("volume_kind", "Kind of disk, by the cloud's own word: `gp3`.")
    ] = None
    iops: Annotated[
        int | None, Feature("volume_kind", "Operations a second that it is to take.")
    ] = None
    throughput_mib: Annotated[
        int | None, Feature("volume_kind", "MiB a second that it is to take.")
    ] = None
    encrypted: Annotated[
        bool | None, Feature("volume_encryption", "Whether the cloud keeps it encrypted.")
    ] = None


class VolumeTarget(msgspec.Struct, frozen=True, kw_only=True):
    """Where to attach a volume. No device leaves the name to the cloud."""

    instance_id: str
    device: str | None = None
