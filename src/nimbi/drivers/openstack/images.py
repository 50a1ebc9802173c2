"""Images of Glance, and those that Nova makes of instances."""

import re
from collections.abc import AsyncIterator, Mapping
from typing import Any, ClassVar

import msgspec

from nimbi.driver.compute import Images
from nimbi.drivers.openstack.calls import quoted
from nimbi.drivers.openstack.contents import opened, uploaded
from nimbi.drivers.openstack.disks import (
    LAST_CHARACTER,
    MARK,
    Json,
    text_of,
    when,
)
from nimbi.drivers.openstack.errors import OpenStackError
from nimbi.drivers.openstack.ids import known
from nimbi.drivers.openstack.lists import page_of
from nimbi.drivers.openstack.marks import digest
from nimbi.drivers.openstack.session import OfSession
from nimbi.drivers.openstack.snapshots import OpenStackSnapshots
from nimbi.drivers.openstack.wishes import once
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

IMAGES = "/images"

# Source: https://docs.openstack.org/glance/latest/user/statuses.html
STATES = {
    "queued": ImageState.PENDING,
    "saving": ImageState.PENDING,
    "uploading": ImageState.PENDING,
    "importing": ImageState.PENDING,
    "active": ImageState.AVAILABLE,
}
GONE = frozenset({"deleted", "pending_delete"})

# An image that is made of volumes' snapshots tells of them here, as JSON in a text.
# Source: https://docs.openstack.org/nova/latest/user/block-device-mapping.html
MAPPING = "block_device_mapping"

PATCH = "application/openstack-images-v2.1-json-patch"
SHARE = [{"op": "replace", "path": "/visibility", "value": "shared"}]

# What Glance itself tells of an image, and what is told of it in other ways.
# Source: https://docs.openstack.org/api-ref/image/v2/#show-image-schema
OWN = frozenset(
    [
        "checksum",
        "container_format",
        "created_at",
        "direct_url",
        "disk_format",
        "file",
        "id",
        "locations",
        "name",
        "os_hash_algo",
        "os_hash_value",
        "os_hidden",
        "owner",
        "protected",
        "schema",
        "self",
        "size",
        "status",
        "stores",
        "tags",
        "updated_at",
        "virtual_size",
        "visibility",
    ]
)
NUMBERS = frozenset({"min_disk", "min_ram"})
LONGEST, LONGEST_VALUE = 255, 65535
WITH_STARS = re.compile(r"[*?\\]")


class OpenStackImages(OfSession, Images):
    """One's own images, public ones, and shared ones that the project has accepted.

    Lists of SHARED images show those too that others share and the project has not accepted yet;
    lists of COMMUNITY images all that there are of these. An image of an instance that runs is
    made of what is on its disk at that moment.
    """

    features: ClassVar[frozenset[str]] = frozenset(
        {
            "owner_id",
            "name_filter",
            "architecture_filter",
            "visibility_filter",
            "image_name",
            "image_description",
            "image_visibility",
            "image_properties",
        }
    )

    async def page(
        self, marker: str | None, limit: int, where: ImageFilter = ImageFilter()
    ) -> Page[Image]:
        """Return images. All but names with stars are compared by the cloud."""
        query = await self._query(where)

        def fitting(image: Json) -> Image | None:
            found = _there(image)
            fits = found is None or where.name is None or _fits(found.name, where.name)
            return found if fits else None

        return Page(*await page_of(self.session, "image", IMAGES, marker, limit, fitting, query))

    async def get(self, id: str) -> Image:
        return _found(id, await self._look(id))

    async def create(self, new: NewImage) -> Image:
        """Make an image of an instance.

        Of one that boots from a volume, it is made of snapshots of its volumes.
        """
        instance_id = known(new.instance_id or "", "instance")
        marks = {MARK: digest(new.token)}
        if new.description:
            marks["description"] = _said(new.description)
        name = _name(new.name) if new.name is not None else f"nimbi-{digest(new.token)}"
        path = f"/servers/{instance_id}/action"
        wish = {"createImage": {"name": name, "metadata": marks}}

        async def find() -> Image | None:
            query = {"owner": await self.session.project(), MARK: marks[MARK]}
            found, _ = await page_of(self.session, "image", IMAGES, None, 100, _there, query)
            # What others make of an instance has the properties of the instance's own image.
            own = (i for i in found if i.extra.get("instance_uuid", instance_id) == instance_id)
            return next(own, None)

        async def make() -> Image:
            answer = await self.session.calmed(
                lambda: self.session.call("POST", "compute", path, body=wish, changes=True),
                lambda: self.session.server_is_busy(instance_id),
            )
            # Until 2.45, Nova told of it only in a header.
            at = answer.headers.get("Location", "").rpartition("/")[2]
            id = msgspec.json.decode(answer.body)["image_id"] if answer.body else at
            self.session.fresh(id)
            return await self.session.settled(lambda: self.get(id), ids=(id,))

        return await once(self.session, "image", new.token, find, make)

    async def destroy(self, id: str) -> None:
        """Remove it. Snapshots that came into being with it, by `create` here, go with it."""
        image = await self._look(id)
        _found(id, image)
        if image.get("protected"):
            raise Forbidden(f"the image {id!r} is protected")
        if MARK in image:
            # First, since nothing tells of them when the image is gone.
            snapshots = OpenStackSnapshots(self.session)
            for snapshot_id in _snapshots(image):
                try:
                    await snapshots.destroy(snapshot_id)
                except NotFound:
                    continue
                except OpenStackError as error:
                    if error.status != 404:
                        raise
        await self.session.delete("image", f"{IMAGES}/{id}")

    async def upload(self, new: NewUpload, chunks: AsyncIterator[bytes]) -> Image:
        """Make an image of these bytes, compared with the checksum that Glance tells of them.

        The format is one of Glance's disk formats: `raw`, `qcow2`, `vmdk`, `vhd`, `vhdx`, `vdi`,
        `iso`, `ploop`, `ami`, `ari`, `aki`. PRIVATE unless told otherwise.
        """
        facts: dict[str, Any] = {
            **_properties(new.properties),
            "name": _name(new.name),
            "disk_format": new.format,
            "container_format": new.format if new.format in {"ami", "ari", "aki"} else "bare",
            "visibility": (new.visibility or Visibility.PRIVATE).value,
            "tags": [f"{MARK}={digest(new.token)}"],
        }
        if new.architecture is not None:
            facts["architecture"] = _said(new.architecture)
        query = {"owner": await self.session.project(), "tag": facts["tags"]}
        found, _ = await page_of(self.session, "image", IMAGES, None, 1, _there, query)
        for image in found:
            if image.state is not ImageState.AVAILABLE:
                raise Conflict(f"the image {image.id!r} of this wish is on its way up, or was torn")
            return image
        return told(await uploaded(self.session, facts, chunks, new.size_bytes))

    async def read(self, id: str) -> ImageContent:
        """Open an image, compared with its checksum as it comes."""
        image = await self._look(id)
        if _found(id, image).state is not ImageState.AVAILABLE:
            raise Conflict(f"the image {id!r} has no bytes, it is {image.get('status')}")
        if _snapshots(image) and not image.get("size"):
            raise Conflict(f"the image {id!r} has no bytes, but snapshots of volumes")
        return await opened(self.session, image)

    async def share(self, id: str, project_id: str) -> Image:
        """Let another project use it by its id; it is in that one's lists once that accepts it."""
        image = _found(id, await self._look(id))
        member = _project(project_id)
        if image.visibility in {Visibility.PUBLIC, Visibility.COMMUNITY}:
            raise Conflict(f"the image {id!r} is {image.visibility}: everybody may use it")
        path = f"{IMAGES}/{id}"
        if image.visibility is not Visibility.SHARED:
            told_now = await self.session.patch("image", path, SHARE, content_type=PATCH)
            image = told(told_now)
        try:
            await self.session.post("image", f"{path}/members", {"member": member})
        except OpenStackError as error:
            # It is a member already.
            if error.status != 409:
                raise
        return image

    async def unshare(self, id: str, project_id: str) -> None:
        image = _found(id, await self._look(id))
        path = f"{IMAGES}/{id}/members/{quoted(project_id)}"
        if image.visibility is not Visibility.SHARED:
            # Glance forbids what there is no reason to ask for.
            raise NotFound(f"the image {id!r} is not shared with {project_id[:100]!r}")
        await self.session.delete("image", path)

    async def _query(self, where: ImageFilter) -> dict[str, Any]:
        query: dict[str, Any] = {
            "owner": await self.session.project() if where.owner_id == "self" else where.owner_id,
            "architecture": where.architecture,
        }
        if where.name is not None and not WITH_STARS.search(where.name):
            # As it is, a comma would part two names, and `in:` begin a list of them.
            query["name"] = None if re.search(r'[,:"]', where.name) else where.name
        if where.visibility is not None:
            query["visibility"] = where.visibility.value
        if where.visibility is Visibility.SHARED:
            query["member_status"] = "all"
        return {name: value for name, value in query.items() if value is not None}

    async def _look(self, id: str) -> Json:
        """Return what Glance tells of an image. Raises NotFound."""
        image: Json = await self.session.get("image", f"{IMAGES}/{known(id, 'image')}")
        return image


def told(image: Json) -> Image:
    """Return the image that Glance tells of."""
    return Image(
        id=image["id"],
        name=image.get("name") or None,
        description=image.get("description") or None,
        owner_id=image.get("owner") or None,
        architecture=image.get("architecture") or None,
        state=STATES.get(image.get("status") or "", ImageState.ERROR),
        created_at=when(image, "created_at"),
        root_type="persistent" if _snapshots(image) else "transient",
        visibility=VISIBILITIES.get(image.get("visibility") or ""),
        format=image.get("disk_format") or None,
        extra=image,
    )


VISIBILITIES = {each.value: each for each in Visibility}


def _there(image: Json) -> Image | None:
    """Return the image, unless it is on its way out."""
    return None if image.get("status") in GONE else told(image)


def _found(id: str, image: Json) -> Image:
    found = _there(image)
    if found is None:
        raise NotFound(f"there is no image {id!r}")
    return found


def _snapshots(image: Json) -> list[str]:
    """Return the ids of the snapshots that an image is made of."""
    mapping = image.get(MAPPING)
    if not isinstance(mapping, str) or not mapping:
        return []
    try:
        disks = msgspec.json.decode(mapping)
    except msgspec.DecodeError:
        return []
    found = [disk.get("snapshot_id") for disk in disks if isinstance(disk, dict)]
    return [id for id in found if isinstance(id, str) and id]


def _fits(name: str | None, pattern: str) -> bool:
    """Whether a name is as a filter says: `*` is any text, `?` any character."""
    parts = re.findall(r"\\.|.", pattern, re.DOTALL)
    marks = {"*": ".*", "?": "."}
    wanted = "".join(marks.get(part) or re.escape(part[-1]) for part in parts)
    return name is not None and re.fullmatch(wanted, name, re.DOTALL) is not None


def _name(name: str) -> str:
    if not name:
        raise Invalid("the name of an image is empty")
    return text_of(name, "the name of an image") or ""


def _said(text: str) -> str:
    return text_of(text, "what is told of an image") or ""


def _project(id: str) -> str:
    """Return the id of a project. Glance takes any text of up to 255 characters."""
    if not id or len(id) > LONGEST or not id.isascii() or not id.isprintable() or " " in id:
        raise Invalid(f"{id[:100]!r} can be the id of no project")
    return id


def _properties(properties: Mapping[str, str]) -> dict[str, Any]:
    """Return the properties to send. Raises Invalid for names that mean something to Glance."""
    kept: dict[str, Any] = {}
    for name, value in properties.items():
        if name in OWN or name.startswith("os_glance"):
            raise Invalid(f"the property {name!r} is the cloud's own")
        if not name or len(value) > LONGEST_VALUE or max(value, default="") > LAST_CHARACTER:
            raise Invalid(f"the property {name[:100]!r} cannot be kept")
        kept[text_of(name, "the name of a property") or ""] = value
        if name in NUMBERS:
            if not (value.isascii() and value.isdecimal()):
                raise Invalid(f"the property {name!r} is a whole number")
            kept[name] = int(value)
    return kept
