"""Images of the mock cloud."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import ClassVar

import msgspec

from nimbi.driver.compute import Images
from nimbi.drivers.mock.contents import Stored
from nimbi.drivers.mock.naming import checked, named_like, shown
from nimbi.drivers.mock.seed import PROFILE_IDS
from nimbi.drivers.mock.session import OfSession, offered
from nimbi.drivers.mock.world import Bytes, State
from nimbi.model.errors import Conflict, Forbidden, Invalid, NotFound
from nimbi.model.images import (
    Image,
    ImageContent,
    ImageFilter,
    ImageState,
    NewImage,
    NewUpload,
    Visibility,
)
from nimbi.model.page import Page

DEFAULT_ARCHITECTURE = "x86_64"
FORMATS = ("raw", "qcow2", "vmdk", "vdi", "vhd", "vhdx", "iso")
MOST_PROPERTIES = 50


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
            "image_visibility",
            "image_properties",
            "visibility_filter",
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
        if where.visibility is not None:
            images = images.where(lambda image: image.visibility == where.visibility)
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
                visibility=Visibility.PRIVATE,
            )
            state.images = state.images.having(image)
            state.remember("images.create", new.token, id)
            return image

    async def destroy(self, id: str) -> None:
        with self.session.change() as state:
            state.images.get(id, "image")
            stored = state.image_bytes.get(id)
            state.images = state.images.without(id)
            state.image_bytes = {k: v for k, v in state.image_bytes.items() if k != id}
            state.image_shares = {k: v for k, v in state.image_shares.items() if k != id}
        if stored is not None:
            await self.session.cloud.contents.remove(stored.name)

    async def upload(self, new: NewUpload, chunks: AsyncIterator[bytes]) -> Image:
        _check_upload(new)
        async with self.session.cloud.contents.received(chunks, new.size_bytes) as stored:
            with self.session.change() as state:
                made = state.made_with("images.upload", new.token)
                if made is None:
                    return _uploaded(state, self.user, new, stored)
        # Asked again: the first bytes stay.
        await self.session.cloud.contents.remove(stored.name)
        return self.session.state.images.get(made[0], "image")

    async def read(self, id: str) -> ImageContent:
        """Open it; one that was not uploaded holds a line that tells its name."""
        self.session.state.images.get(id, "image")
        stored = self.session.state.image_bytes.get(id)
        if stored is None:
            made_up = f"Nimbi mock image {id}\n".encode()
            return ImageContent(len(made_up), _once(made_up))
        try:
            pieces = self.session.cloud.contents.open(stored.name)
        except FileNotFoundError as error:
            raise NotFound(f"there is no image {id!r}") from error
        pieces.limit(0, stored.size_bytes)
        return ImageContent(stored.size_bytes, pieces)

    async def share(self, id: str, project_id: str) -> Image:
        checked(project_id, "the other account")
        with self.session.change() as state:
            image = self._own(state, id)
            if image.visibility in {Visibility.COMMUNITY, Visibility.PUBLIC}:
                raise Conflict(f"the image {id!r} is {image.visibility}: everybody may use it")
            others = dict.fromkeys((*state.image_shares.get(id, ()), project_id))
            state.image_shares = {**state.image_shares, id: tuple(others)}
            shared = msgspec.structs.replace(image, visibility=Visibility.SHARED)
            state.images = state.images.having(shared)
            return shared

    async def unshare(self, id: str, project_id: str) -> None:
        with self.session.change() as state:
            self._own(state, id)
            others = state.image_shares.get(id, ())
            if project_id not in others:
                raise NotFound(f"the image {id!r} is not shared with {project_id!r}")
            left = tuple(other for other in others if other != project_id)
            state.image_shares = {**state.image_shares, id: left}

    def _own(self, state: State, id: str) -> Image:
        image = state.images.get(id, "image")
        if image.owner_id != self.user:
            raise Forbidden(f"the image {id!r} belongs to {image.owner_id!r}")
        return image


def _check_upload(new: NewUpload) -> None:
    checked(new.name, "the name of the image")
    shown(new.architecture or "", "the architecture of the image")
    if new.format not in FORMATS:
        raise Invalid(f"images are of the formats {', '.join(FORMATS)}, not {new.format!r}")
    if new.size_bytes is not None and new.size_bytes < 0:
        raise Invalid(f"an image can't have {new.size_bytes} bytes")
    if len(new.properties) > MOST_PROPERTIES:
        raise Invalid(f"an image has at most {MOST_PROPERTIES} properties")
    for name, value in new.properties.items():
        checked(name, "the name of a property")
        shown(value, f"the property {name!r}")


def _uploaded(state: State, user: str, new: NewUpload, stored: Stored) -> Image:
    """Return one more image, now in the cloud with its bytes."""
    id = state.fresh_id("img", state.images, new.name)
    image = Image(
        id=id,
        name=new.name,
        description=None,
        owner_id=user,
        architecture=new.architecture or DEFAULT_ARCHITECTURE,
        state=ImageState.AVAILABLE,
        created_at=datetime.now(UTC),
        hardware_profile_ids=PROFILE_IDS,
        visibility=new.visibility or Visibility.PRIVATE,
        format=new.format,
        extra={"properties": dict(new.properties)},
    )
    state.images = state.images.having(image)
    state.image_bytes = {
        **state.image_bytes,
        id: Bytes(name=stored.name, size_bytes=stored.size_bytes),
    }
    state.remember("images.upload", new.token, id)
    return image


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content


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
