"""Images: what instances are started from."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec

from nimbi.model.features import Feature
from nimbi.model.resource import NewResource, Resource


class ImageState(StrEnum):
    """Only an AVAILABLE image can be started."""

    PENDING = "pending"
    AVAILABLE = "available"
    ERROR = "error"


class Image(Resource, frozen=True, kw_only=True):
    """An image. `hardware_profile_ids` None says that it runs on every profile.

    `root_type` is `transient` (the disk goes with the instance) or `persistent`.
    """

    name: str | None
    description: str | None
    owner_id: str | None
    architecture: str | None
    state: ImageState
    created_at: datetime | None = None
    hardware_profile_ids: tuple[str, ...] | None = None
    root_type: str = "transient"


class ImageFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which images to list; no wish lists all that the login may see."""

    owner_id: Annotated[
        str | None, Feature("owner_id", "Only images of this owner; `self` is the caller.")
    ] = None


class NewImage(NewResource, frozen=True, kw_only=True):
    """Make an image of an instance's disk."""

    instance_id: str
    name: Annotated[str | None, Feature("image_name", "Name of the new image.")] = None
    description: Annotated[
        str | None, Feature("image_description", "Description of the new image.")
    ] = None
