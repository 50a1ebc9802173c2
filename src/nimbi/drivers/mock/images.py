"""Images of the mock cloud."""

from datetime import UTC, datetime
from typing import ClassVar

from nimbi.driver.compute import Images
from nimbi.drivers.mock.naming import named_like, shown
from nimbi.drivers.mock.seed import PROFILE_IDS
from nimbi.drivers.mock.session import OfSession, offered
from nimbi.drivers.mock.world import State
from nimbi.model.errors import Conflict
from nimbi.model.images import Image, ImageFilter, ImageState, NewImage
from nimbi.model.page import Page

DEFAULT_ARCHITECTURE = "x86_64"


@offered
class MockImages(OfSession, Images):
    """Images, available at once."""

    features: ClassVar[frozenset[str]] = frozenset(
        {
            "owner_id",
            "name_filter",
            "architecture_filter",
            "image_name",
            "image_description",
            "image_of_snapshot",
            "image_copy",
        }
    )

    async def page(
        self, marker: str | None, limit: int, where: ImageFilter = ImageFilter()
    ) -> Page[Image]:
        images = self.session.state.images
        if where.owner_id is not None:
            owner = self.user if where.owner_id == "self" else where.owner_id
            images = images.where(lambda image: image.owner_id == owner)
        if where.name is not None:
            pattern = named_like(where.name)
            images = images.where(lambda image: pattern.match(image.name or "") is not None)
        if where.architecture is not None:
            images = images.where(lambda image: image.architecture == where.architecture)
        return self.paged(images, marker, limit)

    async def get(self, id: str) -> Image:
        return self.session.state.images.get(id, "image")

    async def create(self, new: NewImage) -> Image:
        with self.session.change() as state:
            if made := state.made_with("images.create", new.token):
                return state.images.get(made[0], "image")
            architecture = _architecture(state, self.user, new)
            id = state.fresh_id("img", state.images, new.name)
            image = Image(
                id=id,
                name=shown(new.name or id, "the name of the image"),
                description=shown(new.description or "", "the description of the image") or None,
                owner_id=self.user,
                architecture=architecture,
                state=ImageState.AVAILABLE,
                created_at=datetime.now(UTC),
                hardware_profile_ids=PROFILE_IDS,
            )
            state.images = state.images.having(image)
            state.remember("images.create", new.token, id)
            return image

    async def destroy(self, id: str) -> None:
        with self.session.change() as state:
            state.images.get(id, "image")
            state.images = state.images.without(id)


def _architecture(state: State, user: str, new: NewImage) -> str | None:
    """Return what the source of a new image is made for. Raises NotFound, Conflict."""
    if new.source_image_id is not None:
        # All providers show the same cloud.
        return state.images.get(new.source_image_id, "image").architecture
    if new.snapshot_id is not None:
        state.snapshots.get(new.snapshot_id, "snapshot")
        return new.architecture or DEFAULT_ARCHITECTURE
    instance = state.instance_of(user, new.instance_id or "")
    if not instance.can_be_imaged:
        raise Conflict(f"no image can be made of the instance {instance.id!r}")
    source = state.images.find(instance.image_id or "")
    return source.architecture if source else None
