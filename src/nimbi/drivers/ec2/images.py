"""Images: one's own, those shared with the account, and public ones that are asked for."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

from nimbi.driver.compute import Images
from nimbi.drivers.ec2 import tags
from nimbi.drivers.ec2.ids import known
from nimbi.drivers.ec2.pages import Fetch, paged
from nimbi.drivers.ec2.public_images import PublicImages
from nimbi.drivers.ec2.query import extra, filters, items, text, when
from nimbi.drivers.ec2.session import Element, OfSession, Session
from nimbi.drivers.ec2.wishes import once
from nimbi.model.errors import Invalid, NotFound
from nimbi.model.images import Image, ImageFilter, ImageState, NewImage
from nimbi.model.page import Page

STATES: Mapping[str, ImageState] = {
    "available": ImageState.AVAILABLE,
    "pending": ImageState.PENDING,
    "transient": ImageState.PENDING,
}

# What AWS takes as an owner; it refuses other words, of which nobody is the owner.
OWNERS = re.compile(r"self|amazon|aws-marketplace|aws-backup-vault|[0-9]{12}", re.ASCII)

# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateImage.html
NAME = re.compile(r"[A-Za-z0-9()\[\] ./\-'@_]{3,128}", re.ASCII)
LONGEST_DESCRIPTION = 255

# How long the newest public images may be some others, and how many of a kind are looked at.
AGE_S = 3600.0
MOST_PAGES = 5

# Where the images of AWS and of its partners have their boot disk.
ROOT_DEVICE = "/dev/xvda"
MACHINES = {"image-type": "machine"}


class Ec2Images(OfSession, Images):
    """One's own images, those shared with the account, and the newest of some public kinds.

    Those kinds are the setting `public_images`; a list of an owner's shows all that it has.

    An image of an instance restarts it for a moment, so that its disk is whole.
    """

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
        """Return images. Names and architectures are compared by the cloud."""
        if where.owner_id is None:
            lists = (self._own(where), self._shared(where), self._public(where))
            return await paged(lists, marker, limit)
        if not OWNERS.fullmatch(where.owner_id):
            return Page(())
        return await paged(self._fetch(where, Owner=[where.owner_id]), marker, limit)

    async def get(self, id: str) -> Image:
        return _image(await image_element(self.session, id))

    async def create(self, new: NewImage) -> Image:
        """Make an image of an instance, of a boot disk's snapshot, or of another one by a copy."""

        async def find() -> Image | None:
            return await self._made_by(new.token)

        async def make() -> Image:
            return await self._made(new)

        action = self._request(new)[0]
        return await once(self.session, action, new.token, find, make)

    async def destroy(self, id: str) -> None:
        """Deregister an image.

        The snapshots that came into being with it, by `create` here, go with it.
        """
        found = await image_element(self.session, id)
        copied = text(found, "sourceInstanceId") or text(found, "sourceImageId")
        asked: dict[str, Any] = {"ImageId": id}
        if copied and tags.TOKEN in _tags(found):
            asked["DeleteAssociatedSnapshots"] = True
        await self.session.ec2("DeregisterImage", asked, changes=True)

    def _own(self, where: ImageFilter) -> Fetch[Image]:
        return self._fetch(where, Owner=["self"])

    def _shared(self, where: ImageFilter) -> Fetch[Image]:
        fetch = self._fetch(where, {"is-public": "false"}, ExecutableBy=["self"])

        async def others(token: str | None, size: int) -> tuple[Sequence[Image], str | None]:
            images, after = await fetch(token, size)
            own = await self.session.owner_id() if images else None
            return [image for image in images if image.owner_id != own], after

        return others

    def _public(self, where: ImageFilter) -> Fetch[Image]:
        async def newest(_token: str | None, _size: int) -> tuple[Sequence[Image], str | None]:
            kinds = [
                kind
                for kind in self.session.settings.public_images
                if kind.partition in {None, self.session.partition}
                and where.architecture in {None, kind.architecture}
            ]
            found = await asyncio.gather(*(self._newest(kind) for kind in kinds))
            fitting = {
                image.id: image
                for image in found
                if image is not None and (where.name is None or _fits(image.name, where.name))
            }
            return tuple(fitting.values()), None

        return newest

    async def _newest(self, kind: PublicImages) -> Image | None:
        async def find() -> Image | None:
            where = ImageFilter(name=kind.name, architecture=kind.architecture)
            fetch = self._fetch(where, {"state": "available"}, Owner=[kind.owner])
            found: list[Image] = []
            token: str | None = None
            for _ in range(MOST_PAGES):
                images, token = await fetch(token, 1000)
                found += images
                if token is None:
                    break
            return max(found, key=_age, default=None)

        key = ("public-image", self.session.endpoints.urls["ec2"], self.session.region, kind)
        return await self.session.backend.cached(key, AGE_S, find)

    def _fetch(
        self, where: ImageFilter, more: Mapping[str, str] | None = None, **whose: list[str]
    ) -> Fetch[Image]:
        wanted = {"name": where.name, "architecture": where.architecture, **MACHINES}

        async def fetch(token: str | None, size: int) -> tuple[Sequence[Image], str | None]:
            asked = {
                **whose,
                "Filter": filters({**wanted, **(more or {})}),
                "MaxResults": size,
                "NextToken": token,
            }
            root = await self.session.ec2("DescribeImages", asked)
            images = [_image(item) for item in items(root, "imagesSet/item")]
            return images, text(root, "nextToken")

        return fetch

    async def _made_by(self, token: str | None) -> Image | None:
        asked = {"Owner": ["self"], "Filter": filters(tags.by_token(token))}
        root = await self.session.ec2("DescribeImages", asked)
        return next((_image(item) for item in items(root, "imagesSet/item")), None)

    async def _made(self, new: NewImage) -> Image:
        action, asked = self._request(new)
        root = await self.session.ec2(action, asked, changes=True)
        id = text(root, "imageId") or ""
        self.session.fresh(id)
        return await self.get(id)

    def _request(self, new: NewImage) -> tuple[str, dict[str, Any]]:
        """Return the action and its parameters. Raises NotFound, Invalid."""
        if new.instance_id is not None:
            known(new.instance_id, "instance")
        told = {
            "Name": _name(new),
            "Description": _description(new.description),
            "TagSpecification": tags.specification("image", new.token),
        }
        if new.instance_id is not None:
            return "CreateImage", {**told, "InstanceId": new.instance_id}
        if new.snapshot_id is not None:
            known(new.snapshot_id, "snapshot")
            return "RegisterImage", {
                **told,
                "Architecture": new.architecture or "x86_64",
                "VirtualizationType": "hvm",
                "EnaSupport": True,
                "RootDeviceName": ROOT_DEVICE,
                "BlockDeviceMapping": [
                    {
                        "DeviceName": ROOT_DEVICE,
                        "Ebs": {"SnapshotId": new.snapshot_id, "DeleteOnTermination": True},
                    }
                ],
            }
        source = new.source_image_id or ""
        return "CopyImage", {
            **told,
            "SourceImageId": known(source, "image"),
            "SourceRegion": new.source_provider or self.session.region,
            "ClientToken": tags.digest(new.token),
        }


async def image_element(session: Session, id: str) -> Element:
    """Return the cloud's answer on one image. Raises NotFound."""
    known(id, "image")
    root = await session.settled(
        lambda: session.ec2("DescribeImages", {"ImageId": [id]}), codes={"InvalidAMIID.NotFound"}
    )
    for item in items(root, "imagesSet/item"):
        return item
    raise NotFound(f"there is no image {id!r}")


def _image(item: Element) -> Image:
    """Read an Image.

    Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Image.html
    """
    return Image(
        id=text(item, "imageId") or "",
        name=text(item, "name"),
        description=text(item, "description"),
        owner_id=text(item, "imageOwnerId"),
        architecture=text(item, "architecture"),
        state=STATES.get(text(item, "imageState") or "", ImageState.ERROR),
        created_at=when(item, "creationDate"),
        root_type="persistent" if text(item, "rootDeviceType") == "ebs" else "transient",
        extra=extra(item),
    )


def _tags(item: Element) -> set[str | None]:
    return {text(tag, "key") for tag in items(item, "tagSet/item")}


def _age(image: Image) -> datetime:
    return image.created_at or datetime.min.replace(tzinfo=UTC)


def _fits(name: str | None, pattern: str) -> bool:
    """Whether a name is as a filter says: `*` is any text, `?` any character."""
    parts = re.findall(r"\\.|.", pattern, re.DOTALL)
    marks = {"*": ".*", "?": "."}
    wanted = "".join(marks.get(part) or re.escape(part[-1]) for part in parts)
    return name is not None and re.fullmatch(wanted, name, re.DOTALL) is not None


def _name(new: NewImage) -> str:
    """Return the name to give. AWS has no image without one."""
    name = f"nimbi-{tags.digest(new.token)}" if new.name is None else new.name
    if not NAME.fullmatch(name) or name != name.strip():
        raise Invalid("the name of an image has 3 to 128 letters, digits, spaces or ()[]./-'@_")
    return name


def _description(text: str | None) -> str | None:
    if text is None:
        return None
    return tags.checked(text, "the description of an image", LONGEST_DESCRIPTION) or None
