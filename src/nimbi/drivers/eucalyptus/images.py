"""Images of Eucalyptus, all of which one list can hold."""

from typing import ClassVar

from nimbi.drivers.ec2.images import Ec2Images
from nimbi.drivers.ec2.pages import paged
from nimbi.model.images import Image, ImageFilter
from nimbi.model.page import Page


class EucalyptusImages(Ec2Images):
    """Machine images, all that the account may start."""

    features: ClassVar[frozenset[str]] = Ec2Images.features - {"image_copy"}

    async def page(
        self, marker: str | None, limit: int, where: ImageFilter = ImageFilter()
    ) -> Page[Image]:
        if where.owner_id is None:
            return await paged(self._fetch(where), marker, limit)
        return await super().page(marker, limit, where)
