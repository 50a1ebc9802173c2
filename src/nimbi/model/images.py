"""Images: what instances are started from."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec

from nimbi.model.errors import Invalid
from nimbi.model.features import Feature
from nimbi.model.resource import NewResource, Resource


class ImageState(StrEnum):
    """Only an AVAILABLE image can be started."""

    PENDING = "pending"
    AVAILABLE = "available"
    ERROR = "error"


class Visibility(StrEnum):
    """Who may use an image: its owner, also those it is shared with, or everybody.

    A PUBLIC image is in everybody's lists; a COMMUNITY one only for those who ask for such.
    """

    PRIVATE = "private"
    SHARED = "shared"
    COMMUNITY = "community"
    PUBLIC = "public"


class Image(Resource, frozen=True, kw_only=True):
    """An image. `hardware_profile_ids` None says that it runs on every profile.

    `root_type` is `transient` (the disk goes with the instance) or `persistent`. `format` is the
    cloud's word for how its bytes are laid out (`qcow2`, `raw`). What is None is not told.
    """

    name: str | None
    description: str | None
    owner_id: str | None
    architecture: str | None
    state: ImageState
    created_at: datetime | None = None
    hardware_profile_ids: tuple[str, ...] | None = None
    root_type: str = "transient"
    visibility: Visibility | None = None
    format: str | None = None


class ImageFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which images to list; no wish lists all that the login may see.

    An image must be as all wishes say.
    """

    owner_id: Annotated[
        str | None, Feature("owner_id", "Only images of this owner; `self` is the caller.")
    ] = None
    name: Annotated[
        str | None,
        Feature("name_filter", "Only images of this name; `*` is any text, `?` any character."),
    ] = None
    architecture: Annotated[
        str | None, Feature("architecture_filter", "Only images for this architecture.")
    ] = None
    visibility: Annotated[
        Visibility | None, Feature("visibility_filter", "Only images that these may use.")
    ] = None


class NewImage(NewResource, frozen=True, kw_only=True):
    """Make an image of one source: an instance's disk, a snapshot, or another image.

    `source_provider` is where the source image is, when not here.
    """

    instance_id: str | None = None
    snapshot_id: Annotated[
        str | None, Feature("image_of_snapshot", "Snapshot of a boot disk to make it of.")
    ] = None
    architecture: Annotated[
        str | None, Feature("image_of_snapshot", "What the snapshot's disk was made for.")
    ] = None
    source_image_id: Annotated[
        str | None, Feature("image_copy", "Image to copy, here or from another provider.")
    ] = None
    source_provider: Annotated[
        str | None, Feature("image_copy", "Provider that has the image to copy.")
    ] = None
    name: Annotated[str | None, Feature("image_name", "Name of the new image.")] = None
    description: Annotated[
        str | None, Feature("image_description", "Description of the new image.")
    ] = None

    def check(self) -> None:
        """Raise Invalid unless there is exactly one source, and nothing that it does not take."""
        sources = (self.instance_id, self.snapshot_id, self.source_image_id)
        if sum(source is not None for source in sources) != 1:
            raise Invalid("an image is made of one instance, one snapshot or one other image")
        if self.architecture is not None and self.snapshot_id is None:
            raise Invalid("an architecture is told only of a snapshot")
        if self.source_provider is not None and self.source_image_id is None:
            raise Invalid("a source provider is told only of an image to copy")


class NewUpload(NewResource, frozen=True, kw_only=True):
    """What is told of an image ahead of its bytes. `size_bytes` is None when it is not known.

    `format` is a word of the cloud (`qcow2`, `raw`). When a size is told, content that is longer
    or shorter is Invalid and leaves no image.
    """

    name: str
    format: str
    architecture: str | None = None
    size_bytes: int | None = None
    visibility: Annotated[
        Visibility | None, Feature("image_visibility", "Who may use the new image.")
    ] = None
    properties: Annotated[
        Mapping[str, str], Feature("image_properties", "Names and values kept with the image.")
    ] = {}


@dataclass(frozen=True)
class ImageContent:
    """An open image: its bytes, and how many there are when the cloud tells.

    Whoever gets it must read `chunks` to the end or call its `aclose`.
    """

    size_bytes: int | None
    chunks: AsyncIterator[bytes]
