"""Volumes of Cinder, which Nova attaches."""

import asyncio
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from msgspec.structs import replace

from nimbi.driver.storage import Volumes
from nimbi.drivers.openstack.disks import MARK, REFUSED, Json
from nimbi.drivers.openstack.errors import OpenStackError
from nimbi.drivers.openstack.ids import known
from nimbi.drivers.openstack.lists import page_of
from nimbi.drivers.openstack.marks import digest
from nimbi.drivers.openstack.session import OfSession
from nimbi.drivers.openstack.volume_facts import (
    GONE,
    PASSING,
    attached,
    present,
    there,
    told,
    whole_gib,
    wish_of,
)
from nimbi.drivers.openstack.wishes import once
from nimbi.model.errors import Conflict, Invalid, NotFound, Unsupported
from nimbi.model.page import Page
from nimbi.model.volumes import (
    NewVolume,
    Volume,
    VolumeAttachment,
    VolumeState,
    VolumeTarget,
)

VOLUMES = "/volumes"

# Cinder's messages to people, and of how many volumes in error they are asked for.
MESSAGES_SINCE = "3.5"
MOST_REASONS = 20

# A kind of this makes volumes that several instances may have.
# Source: https://docs.openstack.org/cinder/latest/admin/volume-multiattach.html
SHARED, IS_SHARED = "multiattach", "<is> True"

BYTES_PER_GIB = 2**30
DEVICE = re.compile(r"(/dev/)?[A-Za-z0-9/_-]{1,58}", re.ASCII)


class OpenStackVolumes(OfSession, Volumes):
    """Volumes. Sizes are whole GiB, and rounded up. A kind is a volume type, by its name.

    Only volumes of some kinds can be shared, where the cloud has one; without a kind, a shared
    volume is of the first such. Changes of a volume that does something else wait for its end.
    """

    features: ClassVar[frozenset[str]] = frozenset(
        {
            "volume_name",
            "volume_description",
            "volume_kind",
            "volume_sharing",
            "volume_of_image",
        }
    )

    async def page(self, marker: str | None, limit: int) -> Page[Volume]:
        path = f"{VOLUMES}/detail"
        found, next = await page_of(self.session, "volume", path, marker, limit, there)
        return Page(await self._with_reasons(found), next)

    async def get(self, id: str) -> Volume:
        volume = present(id, await self._look(id))
        return (await self._with_reasons((volume,)))[0]

    async def create(self, new: NewVolume) -> Volume:
        wish = wish_of(new)

        async def find() -> Volume | None:
            # Cinder reads this as a dictionary of Python.
            query = {"metadata": f"{{'{MARK}': '{digest(new.token)}'}}"}
            path = f"{VOLUMES}/detail"
            found, _ = await page_of(self.session, "volume", path, None, 1, there, query)
            return found[0] if found else None

        async def make() -> Volume:
            return told(await self._made(new, wish))

        return await once(self.session, "volume", new.token, find, make)

    async def destroy(self, id: str) -> None:
        """Remove it, when it is made. One of which there are snapshots is a Conflict."""
        # Cinder lets go of one that it still looks for a place for, and the place is lost then.
        volume = await self._settled(id)
        if volume.instance_id is not None:
            raise Conflict(f"the volume {id!r} is attached to {volume.instance_id!r}")

        async def is_busy() -> bool:
            present(id, await self._look(id))
            return await self._loses_snapshots(id)

        try:
            await self.session.calmed(
                lambda: self.session.delete("volume", f"{VOLUMES}/{id}"), is_busy, REFUSED
            )
        except OpenStackError as error:
            if error.status not in REFUSED:
                raise
            raise Conflict(f"the volume {id!r} stays as it is: {error.message}") from error

    async def attach(self, id: str, target: VolumeTarget) -> Volume:
        """Attach it. The name of its device is the hypervisor's affair: most refuse another."""
        if target.device is not None and not DEVICE.fullmatch(target.device):
            raise Invalid(f"{target.device[:100]!r} is the name of no device")
        volume = await self._settled(id)
        path = f"/servers/{known(target.instance_id, 'instance')}/os-volume_attachments"
        if volume.attachments and not volume.shared:
            raise Conflict(f"the volume {id!r} is attached to {volume.instance_id!r}")
        if target.instance_id in {each.instance_id for each in volume.attachments}:
            raise Conflict(f"the volume {id!r} is attached to {target.instance_id!r} already")
        wish = {"volumeId": id, "device": target.device}
        wish = {name: value for name, value in wish.items() if value is not None}

        answer = await self.session.calmed(
            lambda: self.session.post("compute", path, {"volumeAttachment": wish}),
            lambda: self._is_busy(id),
            REFUSED,
        )
        device = answer["volumeAttachment"].get("device") or None
        if target.device is not None and device != target.device:
            await self._taken_off(id, path)
            raise Invalid(f"the cloud chooses the device itself, and chose {device}")
        at = (*volume.attachments, VolumeAttachment(target.instance_id, device))
        # Cinder tells of it only when the instance has it.
        return attached(replace(volume, state=VolumeState.IN_USE), at)

    async def _taken_off(self, id: str, path: str) -> None:
        """Undo an attachment, and return when it is undone."""
        # It cannot be taken off before it is on.
        await self.session.calmed(
            lambda: self.session.delete("compute", f"{path}/{id}"),
            lambda: self._is_busy(id),
            REFUSED,
        )
        await self._settled(id)

    async def detach(self, id: str, instance_id: str | None = None) -> Volume:
        """Detach it; it is in use until the operating system of its instance lets go of it."""
        volume = await self._settled(id)
        at = [each.instance_id for each in volume.attachments]
        if instance_id is None and len(at) > 1:
            raise Conflict(f"the volume {id!r} is attached to several instances: name one")
        if not at or instance_id not in (None, *at):
            raise Conflict(f"the volume {id!r} is not attached{' to that' if at else ''}")
        path = f"/servers/{instance_id or at[0]}/os-volume_attachments/{id}"
        await self._unmerged(id)
        try:
            await self.session.delete("compute", path)
        except OpenStackError as error:
            # Of the disk that an instance boots from, Nova says that this is forbidden.
            if error.status in {400, 403, 404}:
                raise Conflict(f"the volume {id!r} stays: {error.message}") from error
            raise
        return volume

    async def resize(self, id: str, size_gib: int | float) -> Volume:
        """Let it grow, attached or not. The file system on it does not grow by itself."""
        known(id, "volume")
        size = whole_gib(size_gib)
        volume = await self._settled(id)
        if size_gib < volume.size_gib:
            raise Invalid(f"the volume {id!r} has {volume.size_gib} GiB, and cannot shrink")
        if size > volume.size_gib:
            await self._act(id, "os-extend", {"new_size": size})
        return replace(await self.get(id), size_gib=size)

    async def retype(self, id: str, kind: str) -> Volume:
        """Make it another kind, moving it when need be.

        It is PENDING, or IN_USE, meanwhile; the old kind is told until the end, and afterwards when
        the cloud found no place for it.
        """
        volume = await self._settled(id)
        if volume.kind == kind:
            return volume
        if kind not in {each["name"] for each in await self._kinds()}:
            raise Invalid(f"no volume is of the kind {kind[:100]!r}")
        await self._act(id, "os-retype", {"new_type": kind, "migration_policy": "on-demand"})
        return await self.get(id)

    async def _act(self, id: str, action: str, wish: Mapping[str, Any]) -> None:
        path = f"{VOLUMES}/{id}/action"
        try:
            await self.session.calmed(
                lambda: self.session.post("volume", path, {action: wish}),
                lambda: self._is_busy(id),
                REFUSED,
            )
        except OpenStackError as error:
            if error.status not in REFUSED:
                raise
            raise Conflict(f"the volume {id!r} stays as it is: {error.message}") from error

    async def _made(self, new: NewVolume, wish: dict[str, Any]) -> Json:
        if new.shared:
            wish["volume_type"] = await self._shared_kind(new.kind)
        if new.image_id is not None and new.size_gib is None:
            wish["size"] = await self._size_of_image(new.image_id)

        async def is_busy() -> bool:
            if new.snapshot_id is None:
                return False
            snapshot = await self._snapshot(new.snapshot_id)
            return bool(snapshot["status"] == "creating")

        try:
            answer = await self.session.calmed(
                lambda: self.session.post("volume", VOLUMES, {"volume": wish}), is_busy, REFUSED
            )
        except OpenStackError as error:
            await self._explain(new, error)
            raise
        made: Json = answer["volume"]
        return made

    async def _explain(self, new: NewVolume, error: OpenStackError) -> None:
        """Raise what a refusal means when a part of the wish is unknown to the cloud."""
        if error.status not in {400, 404}:
            return
        if new.snapshot_id is not None:
            status = (await self._snapshot(new.snapshot_id))["status"]
            if status != "available":
                raise Conflict(f"the snapshot {new.snapshot_id!r} is {status}") from error
        if new.image_id is not None:
            await self.session.get("image", f"/images/{new.image_id}")
        if new.kind is not None and error.status == 404:
            raise Invalid(f"no volume is of the kind {new.kind[:100]!r}") from error

    async def _snapshot(self, id: str) -> Json:
        answer = await self.session.get("volume", f"/snapshots/{id}")
        found: Json = answer["snapshot"]
        if found.get("status") in GONE:
            raise NotFound(f"there is no snapshot {id!r}")
        return found

    async def _size_of_image(self, id: str) -> int:
        image = await self.session.get("image", f"/images/{id}")
        size_bytes = max(image.get("virtual_size") or 0, image.get("size") or 0)
        return max(math.ceil(size_bytes / BYTES_PER_GIB), image.get("min_disk") or 0, 1)

    async def _shared_kind(self, kind: str | None) -> str:
        kinds = await self._kinds()
        if kind is not None and kind not in {each["name"] for each in kinds}:
            raise Invalid(f"no volume is of the kind {kind[:100]!r}")
        shared = sorted(
            each["name"] for each in kinds if each.get("extra_specs", {}).get(SHARED) == IS_SHARED
        )
        if not shared:
            raise Unsupported("the cloud has no kind of shared volumes", "volumes.volume_sharing")
        if kind is not None and kind not in shared:
            raise Invalid(f"of the kind {kind!r} no volume is shared; of these: {shared}")
        return kind or shared[0]

    async def _kinds(self) -> list[Json]:
        return [kind async for kind in self.session.each("volume", "/types", "volume_types")]

    async def _look(self, id: str) -> Json:
        """Return what Cinder tells of a volume. Raises NotFound."""
        answer = await self.session.get("volume", f"{VOLUMES}/{known(id, 'volume')}")
        volume: Json = answer["volume"]
        return volume

    async def _is_busy(self, id: str) -> bool:
        volume = await self._look(id)
        return volume["status"] in PASSING

    async def _loses_snapshots(self, id: str) -> bool:
        """Return whether there are snapshots of a volume, and all are on their way out."""
        left = await self._snapshot_states(id)
        return bool(left) and left <= GONE

    async def _snapshot_states(self, id: str) -> frozenset[str]:
        query = {"volume_id": id, "limit": 100}
        answer = await self.session.get("volume", "/snapshots/detail", query)
        return frozenset(snapshot["status"] for snapshot in answer["snapshots"])

    async def _unmerged(self, id: str) -> None:
        """Return when no snapshot of an attached volume is on its way out.

        Some drivers have Nova merge it into the disk; taken off in the midst of that, the snapshot
        is in error, and the volume kept by it, until the operator of the cloud comes.
        """

        async def look() -> None:
            if "deleting" in await self._snapshot_states(id):
                raise OpenStackError("volume", 409, message="a snapshot of it is being removed")

        await self.session.calmed(look, _always, REFUSED)

    async def _settled(self, id: str) -> Volume:
        """Return the volume when what goes on with it is over."""

        async def look() -> Json:
            volume = await self._look(id)
            if volume["status"] in PASSING:
                raise OpenStackError("volume", 409, message=f"the volume is {volume['status']}")
            return volume

        return present(id, await self.session.calmed(look, _always, REFUSED))

    async def _with_reasons(self, volumes: Sequence[Volume]) -> tuple[Volume, ...]:
        """Return the volumes, those in error with what Cinder tells people of it."""
        failed = [volume.id for volume in volumes if volume.state is VolumeState.ERROR]
        if not failed or not await self.session.supports("volume", MESSAGES_SINCE):
            return tuple(volumes)
        # One by one: the list of all shows those of other projects, too.
        said = await asyncio.gather(*map(self._reason, failed[:MOST_REASONS]))
        reasons = dict(zip(failed, said, strict=False))
        return tuple(
            replace(volume, state_reason=reasons[volume.id]) if volume.id in reasons else volume
            for volume in volumes
        )

    async def _reason(self, id: str) -> str | None:
        query = {"resource_uuid": id, "sort": "created_at:desc", "limit": 1}
        try:
            answer = await self.session.get("volume", "/messages", query)
        except OpenStackError:
            # A role may not be allowed to read them: the volumes can be told without.
            return None
        return next((each["user_message"] for each in answer["messages"]), None)


async def _always() -> bool:
    return True
