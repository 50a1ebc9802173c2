"""Volumes of EBS, each in one zone."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from msgspec.structs import replace

from nimbi.driver.storage import Volumes
from nimbi.drivers.ec2.devices import attached
from nimbi.drivers.ec2.errors import AwsError
from nimbi.drivers.ec2.ids import known
from nimbi.drivers.ec2.pages import paged
from nimbi.drivers.ec2.query import extra, filters, items, number, tags, text, truth, when
from nimbi.drivers.ec2.session import Element, OfSession, Session
from nimbi.drivers.ec2.tags import NAME, by_token, digest, specification
from nimbi.drivers.ec2.wishes import Sent, once
from nimbi.model.errors import Conflict, Invalid, NotFound, OutOfCapacity
from nimbi.model.page import Page
from nimbi.model.volumes import NewVolume, Volume, VolumeAttachment, VolumeState, VolumeTarget

# Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Volume.html
# A volume that is `deleting` or `deleted` is gone for whoever asks.
STATES = {
    "creating": VolumeState.PENDING,
    "available": VolumeState.AVAILABLE,
    "in-use": VolumeState.IN_USE,
}
GONE = frozenset({"deleting", "deleted"})
VOLUMES = "volumeSet/item"

UNKNOWN = frozenset({"InvalidVolume.NotFound"})
UNKNOWN_SNAPSHOT = frozenset({"InvalidSnapshot.NotFound"})
# A volume grows once at a time, and seldom; asked again, it may have done what was asked.
GROWING = frozenset({"IncorrectModificationState", "VolumeModificationRateExceeded"})
UNDER_WAY = frozenset({"modifying", "optimizing", "completed"})

# The smallest sizes, in GiB, of the kinds that do not begin at 1, and the largest of any kind.
# Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateVolume.html
SMALLEST = {"io1": 4, "io2": 4, "st1": 125, "sc1": 125}
LARGEST_GIB = 65536

KIND = re.compile(r"[a-z]{1,20}[0-9]{0,3}", re.ASCII)
ZONE = re.compile(r"[a-z0-9-]{1,64}", re.ASCII)

DESCRIPTION = "Description"

# How long the zones of a region are remembered.
ZONES_AGE_S = 3600.0


class Ec2Volumes(OfSession, Volumes):
    """Volumes. Name and description are kept as the tags `Name` and `Description`.

    Sizes are whole GiB, and rounded up. Without a realm, a volume is in the region's first zone.
    """

    features: ClassVar[frozenset[str]] = frozenset(
        {"volume_name", "volume_description", "volume_kind", "volume_encryption"}
    )

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._sent = Sent()

    async def page(self, marker: str | None, limit: int) -> Page[Volume]:
        async def fetch(token: str | None, size: int) -> tuple[Sequence[Volume], str | None]:
            asked = {"MaxResults": size, "NextToken": token}
            answer = await self.session.ec2("DescribeVolumes", asked)
            found = [told(each) for each in items(answer, VOLUMES) if not _is_gone(each)]
            return found, text(answer, "nextToken")

        return await paged(fetch, marker, limit)

    async def get(self, id: str) -> Volume:
        asked = {"VolumeId": [known(id, "volume")]}
        answer = await self.session.settled(
            lambda: self.session.ec2("DescribeVolumes", asked), codes=UNKNOWN, ids=(id,)
        )
        for volume in items(answer, VOLUMES):
            if not _is_gone(volume):
                return told(volume)
        raise NotFound(f"there is no volume {id!r}")

    async def create(self, new: NewVolume) -> Volume:
        wish = _wish(new)

        async def find() -> Volume | None:
            # AWS knows its client token; not all that stand in for it do.
            if new.token not in self._sent:
                return None
            asked = {"Filter": filters(by_token(new.token))}
            answer = await self.session.ec2("DescribeVolumes", asked)
            found = (told(each) for each in items(answer, VOLUMES) if not _is_gone(each))
            return next(found, None)

        async def make() -> Volume:
            zone = new.realm_id or await self._first_zone()
            self._sent.add(new.token)
            answer = await self.session.settled(
                lambda: self.session.ec2(
                    "CreateVolume", {**wish, "AvailabilityZone": zone}, changes=True
                ),
                codes=UNKNOWN_SNAPSHOT,
                ids=(new.snapshot_id or "",),
            )
            made = told(answer)
            self.session.fresh(made.id)
            return made

        return await once(self.session, "volume", new.token, find, make)

    async def destroy(self, id: str) -> None:
        await self._changed("DeleteVolume", {"VolumeId": known(id, "volume")})

    async def attach(self, id: str, target: VolumeTarget) -> Volume:
        volume = await self.get(id)
        instance_id = known(target.instance_id, "instance")
        if volume.instance_id is not None:
            raise Conflict(f"the volume {id!r} is attached to {volume.instance_id!r}")
        device = await attached(self.session, id, instance_id, target.device)
        # Lists may tell of it only some seconds later.
        return _at(volume, (VolumeAttachment(instance_id, device),))

    async def detach(self, id: str, instance_id: str | None = None) -> Volume:
        """Detach it; it is in use until the operating system of its instance lets go of it."""
        volume = await self.get(id)
        at = _chosen(volume, instance_id)
        asked = {"VolumeId": id, "InstanceId": at.instance_id, "Device": at.device}
        answer = await self._changed("DetachVolume", asked)
        if text(answer, "status") != "detached":
            return volume
        return _at(volume, tuple(each for each in volume.attachments if each is not at))

    async def resize(self, id: str, size_gib: int | float) -> Volume:
        """Let it grow, attached or not. The file system on it does not grow by itself."""
        size = _size(size_gib)
        volume = await self.get(id)
        if size_gib < volume.size_gib:
            raise Invalid(f"the volume {id!r} has {volume.size_gib} GiB, and cannot shrink")
        if size == volume.size_gib:
            return volume
        try:
            answer = await self._changed("ModifyVolume", {"VolumeId": id, "Size": size})
        except AwsError as error:
            if error.code in GROWING and await self._grows_to(id, size):
                return replace(volume, size_gib=size)
            raise
        target = number(answer, "volumeModification/targetSize")
        return replace(volume, size_gib=target or size)

    async def _grows_to(self, id: str, size_gib: int) -> bool:
        answer = await self.session.ec2("DescribeVolumesModifications", {"VolumeId": [id]})
        return any(
            number(each, "targetSize") == size_gib and text(each, "modificationState") in UNDER_WAY
            for each in items(answer, "volumeModificationSet/item")
        )

    async def _changed(self, action: str, asked: Mapping[str, Any]) -> Element:
        return await self.session.settled(
            lambda: self.session.ec2(action, asked, changes=True),
            codes=UNKNOWN,
            ids=(asked["VolumeId"],),
        )

    async def _first_zone(self) -> str:
        """Return the zone of volumes for which none was asked: always the same one."""

        async def asked() -> str:
            answer = await self.session.ec2("DescribeAvailabilityZones")
            zones = [
                text(zone, "zoneName") or ""
                for zone in items(answer, "availabilityZoneInfo/item")
                if text(zone, "zoneState") == "available"
                and (text(zone, "zoneType") or "availability-zone") == "availability-zone"
            ]
            if not zones:
                raise OutOfCapacity("no zone of the region is available")
            return min(zones)

        return await self.session.backend.cached(
            ("first zone", *self.session.key), ZONES_AGE_S, asked
        )


def told(volume: Element) -> Volume:
    """Return the volume that an element of DescribeVolumes, or of CreateVolume, tells of.

    Of a volume at several instances, the first is told.
    """
    marks = tags(volume)
    attachments = tuple(
        VolumeAttachment(instance_id, text(each, "device"))
        for each in items(volume, "attachmentSet/item")
        # What a service of AWS holds for itself is at no instance.
        if text(each, "status") != "detached" and (instance_id := text(each, "instanceId"))
    )
    first = attachments[0] if attachments else None
    return Volume(
        id=text(volume, "volumeId") or "",
        name=marks.get(NAME),
        description=marks.get(DESCRIPTION),
        state=STATES.get(text(volume, "status") or "", VolumeState.ERROR),
        size_gib=number(volume, "size") or 0,
        created_at=when(volume, "createTime"),
        realm_id=text(volume, "availabilityZone"),
        kind=text(volume, "volumeType"),
        instance_id=None if first is None else first.instance_id,
        device=None if first is None else first.device,
        attachments=attachments,
        iops=number(volume, "iops"),
        throughput_mib=number(volume, "throughput"),
        encrypted=truth(volume, "encrypted"),
        shared=truth(volume, "multiAttachEnabled"),
        extra=extra(volume),
    )


def _at(volume: Volume, attachments: tuple[VolumeAttachment, ...]) -> Volume:
    first = attachments[0] if attachments else None
    return replace(
        volume,
        state=VolumeState.IN_USE if first else VolumeState.AVAILABLE,
        instance_id=None if first is None else first.instance_id,
        device=None if first is None else first.device,
        attachments=attachments,
    )


def _chosen(volume: Volume, instance_id: str | None) -> VolumeAttachment:
    """Return the attachment to an instance, or the only one. Raises Conflict."""
    found = [a for a in volume.attachments if instance_id in {None, a.instance_id}]
    if len(found) == 1:
        return found[0]
    where = "anywhere" if instance_id is None else f"to {instance_id!r}"
    if not found:
        raise Conflict(f"the volume {volume.id!r} is not attached {where}")
    raise Conflict(f"the volume {volume.id!r} is attached to several instances: tell from which")


def _is_gone(volume: Element) -> bool:
    return text(volume, "status") in GONE


def _wish(new: NewVolume) -> dict[str, Any]:
    """Return the parameters of CreateVolume, save the zone. Raises Invalid, NotFound."""
    if new.name == "":
        raise Invalid("the name of a volume is empty")
    if new.kind is not None and not KIND.fullmatch(new.kind):
        raise Invalid(f"no volume is of the kind {new.kind[:100]!r}")
    if new.realm_id is not None and not ZONE.fullmatch(new.realm_id):
        raise NotFound(f"there is no zone {new.realm_id[:100]!r}")
    more = {} if new.description is None else {DESCRIPTION: new.description}
    size = new.size_gib
    if size is None and new.snapshot_id is None:
        size = SMALLEST.get(new.kind or "", 1)
    return {
        "Size": None if size is None else _size(size),
        "SnapshotId": None if new.snapshot_id is None else known(new.snapshot_id, "snapshot"),
        "VolumeType": new.kind,
        "Iops": new.iops,
        "Throughput": new.throughput_mib,
        "Encrypted": new.encrypted,
        "ClientToken": digest(new.token),
        "TagSpecification": specification("volume", new.token, new.name, more),
    }


def _size(size_gib: int | float) -> int:
    if not (math.isfinite(size_gib) and 0 < size_gib <= LARGEST_GIB):
        raise Invalid(f"a volume has more than 0 and up to {LARGEST_GIB} GiB, not {size_gib}")
    return math.ceil(size_gib)
