"""Images of the local cloud: the demo image, made when first looked for, and all that was added."""

from contextlib import suppress
from typing import ClassVar

from nimbi.driver.compute import Images
from nimbi.drivers.local.hardware_profiles import bears, profiles
from nimbi.drivers.local.session import OfSession
from nimbi.model.images import Image, ImageFilter, ImageState, NewImage
from nimbi.model.page import Page
from nimbi.qemu import Image as Kept
from nimbi.qemu import Missing, NotFound


class LocalImages(OfSession, Images):
    """What the hypervisor keeps. All of it belongs to the one user."""

    features: ClassVar[frozenset[str]] = frozenset({"owner_id", "image_name", "image_description"})

    async def page(
        self, marker: str | None, limit: int, where: ImageFilter = ImageFilter()
    ) -> Page[Image]:
        found = [self._told(image) for image in await self._all()]
        if where.owner_id not in {None, "self", self.user}:
            found = []
        return self.paged(found, marker, limit, _rank)

    async def get(self, id: str) -> Image:
        try:
            return self._told(await self.cloud.hypervisor.image(id))
        except NotFound:
            # It may be the demo image, not made yet.
            await self._all()
            return self._told(await self.cloud.hypervisor.image(id))

    async def create(self, new: NewImage) -> Image:
        made = await self.cloud.hypervisor.create_image(
            new.instance_id or "", name=new.name, description=new.description, token=new.token
        )
        return self._told(made)

    async def destroy(self, id: str) -> None:
        await self.cloud.hypervisor.remove_image(id)

    async def _all(self) -> list[Kept]:
        """Return all images, the demo image among them where this machine can make it.

        Raises Missing, with what the demo image takes, only when there is no other image.
        """
        cloud = self.cloud
        if others := [i for i in await cloud.hypervisor.images() if i.origin != "demo"]:
            with suppress(Missing):
                await cloud.demo_image()
                return await cloud.hypervisor.images()
            return others
        await cloud.demo_image()
        return await cloud.hypervisor.images()

    def _told(self, image: Kept) -> Image:
        runs_on = tuple(p.id for p in profiles() if bears(p, image))
        return Image(
            id=image.id,
            name=image.name,
            description=image.description or None,
            owner_id=self.user,
            architecture=image.architecture,
            state=ImageState(image.state.value),
            created_at=image.created_at,
            hardware_profile_ids=None if len(runs_on) == len(profiles()) else runs_on,
            root_type="persistent",
            extra={
                "digest": image.digest,
                "size_bytes": image.size_bytes,
                "disk_bytes": image.disk_bytes,
                "boot_modes": list(image.boot_modes),
                "origin": image.origin,
                "login_user": image.login_user,
                "reason": image.reason,
            },
        )


def _rank(image: Image) -> str:
    at = image.created_at.isoformat(timespec="microseconds") if image.created_at else ""
    return f"{at} {image.id}"
