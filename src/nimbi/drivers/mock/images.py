"""Images of the mock cloud."""

from datetime import UTC, datetime
from typing import ClassVar

from nimbi.driver.compute import Images
from nimbi.drivers.mock.naming import shown
from nimbi.drivers.mock.seed import PROFILE_IDS
from nimbi.drivers.mock.session import OfSession, offered
from nimbi.model.errors import Conflict
from nimbi.model.images import Image, ImageFilter, ImageState, NewImage
from nimbi.model.page import Page


@offered
class MockImages(OfSession, Images):
    """Images, available at once."""

    features: ClassVar[frozenset[str]] = frozenset({"owner_id", "image_name", "image_description"})

    async def page(
        self, marker: str | None, limit: int, where: ImageFilter = ImageFilter()
    ) -> Page[Image]:
        images = self.session.state.images
        if where.owner_id is not None:
            owner = self.user if where.owner_id == "self" else where.owner_id
            images = images.where(lambda image: image.owner_id == owner)
        return self.paged(images, marker, limit)

    async def get(self, id: str) -> Image:
        return self.session.state.images.get(id, "image")

    async def create(self, new: NewImage) -> Image:
        with self.session.change() as state:
            if made := state.made_with("images.create", new.token):
                return state.images.get(made[0], "image")
            instance = state.instance_of(self.user, new.instance_id)
            if not instance.can_be_imaged:
                raise Conflict(f"no image can be made of the instance {instance.id!r}")
            source = state.images.find(instance.image_id or "")
            id = state.fresh_id("img", state.images, new.name)
            image = Image(
                id=id,
                name=shown(new.name or id, "the name of the image"),
                description=shown(new.description or "", "the description of the image") or None,
                owner_id=self.user,
                architecture=source.architecture if source else None,
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
