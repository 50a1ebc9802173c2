"""Volumes: disks that live apart from instances."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec

from nimbi.model.errors import Invalid
from nimbi.model.features import Feature
from nimbi.model.resource import NewResource, Resource


class VolumeState(StrEnum):
    """Only an AVAILABLE volume can be attached."""

    PENDING = "pending"
    AVAILABLE = "available"
    IN_USE = "in-use"
    ERROR = "error"


class VolumeAttachment(msgspec.Struct, frozen=True):
    """An instance that has a volume. `device` is the name that was asked for, or is known."""

    instance_id: str
    device: str | None = None


class Volume(Resource, frozen=True, kw_only=True):
    """A disk. `instance_id` and `device` are set while it is attached.

    They are the first of `attachments`, of which only a `shared` volume has several. `state_reason`
    is why it is in error, when the cloud tells.
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
    shared: bool | None = None
    attachments: tuple[VolumeAttachment, ...] = ()
    state_reason: str | None = None


class NewVolume(NewResource, frozen=True, kw_only=True):
    """An empty volume, or one filled from a snapshot or image; no size is the cloud's or theirs."""

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
    shared: Annotated[
        bool | None, Feature("volume_sharing", "Whether several instances may have it at once.")
    ] = None
    image_id: Annotated[
        str | None, Feature("volume_of_image", "Image to fill it with, to boot from afterwards.")
    ] = None

    def check(self) -> None:
        """Raise Invalid for a volume filled from two things."""
        if self.snapshot_id is not None and self.image_id is not None:
            raise Invalid("a volume is filled from a snapshot or an image, not from both")


class VolumeTarget(msgspec.Struct, frozen=True, kw_only=True):
    """Where to attach a volume. No device leaves the name to the cloud."""

    instance_id: str
    device: str | None = None
