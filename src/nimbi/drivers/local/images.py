"""Images of the local cloud: the demo image, built on the spot when it is first looked for."""

from typing import ClassVar

from nimbi.driver.compute import Images
from nimbi.drivers.local.session import OfSession
from nimbi.model.errors import NotFound
from nimbi.model.images import Image, ImageFilter, ImageState
from nimbi.model.page import Page
from nimbi.qemu import Image as Built


class LocalImages(OfSession, Images):
    """What the hypervisor has built. All of it belongs to the one user."""

    features: ClassVar[frozenset[str]] = frozenset({"owner_id"})

    async def page(
        self, marker: str | None, limit: int, where: ImageFilter = ImageFilter()
    ) -> Page[Image]:
        await self.cloud.demo_image()
        found = [self._told(image) for image in await self.cloud.hypervisor.images()]
        if where.owner_id not in {None, "self", self.user}:
            found = []
        return self.paged(found, marker, limit, _rank)

    async def get(self, id: str) -> Image:
        await self.cloud.demo_image()
        for image in await self.cloud.hypervisor.images():
            if image.id == id:
                return self._told(image)
        raise NotFound(f"there is no image {id!r}")

    def _told(self, image: Built) -> Image:
        return Image(
            id=image.id,
            name=image.name,
            description=image.description,
            owner_id=self.user,
            architecture=image.architecture,
            state=ImageState.AVAILABLE,
            created_at=image.created_at,
            root_type="persistent",
            extra={"digest": image.digest, "size_bytes": image.size_bytes},
        )


def _rank(image: Image) -> str:
    at = image.created_at.isoformat(timespec="microseconds") if image.created_at else ""
    return f"{at} {image.id}"
