"""Attaching volumes to instances, under names of devices that are free there."""

import re
from string import ascii_lowercase

from nimbi.drivers.ec2.errors import AwsError
from nimbi.drivers.ec2.lists import matching
from nimbi.drivers.ec2.query import items, text
from nimbi.drivers.ec2.session import Session
from nimbi.model.errors import Conflict, Invalid

# What AWS recommends for volumes that are attached later.
# Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/device_naming.html
DEVICES = tuple(f"/dev/sd{letter}" for letter in ascii_lowercase[5:16])
DEVICE = re.compile(r"[A-Za-z0-9/]{1,64}", re.ASCII)

# Of a volume or an instance that was made just now.
UNKNOWN = frozenset({"InvalidVolume.NotFound", "InvalidInstanceID.NotFound"})
# Said, among much else, when the device was taken since it was looked for.
TAKEN = frozenset({"InvalidParameterValue"})
TRIES = 4


async def attached(session: Session, volume_id: str, instance_id: str, device: str | None) -> str:
    """Attach a volume under a device, or the first that is free; return the device.

    Raises Invalid for what can name no device, Conflict when all are taken.
    """
    if device is not None:
        if not DEVICE.fullmatch(device):
            raise Invalid(f"{device[:100]!r} names no device")
        return await _attach(session, volume_id, instance_id, device)
    taken = await _taken(session, instance_id)
    for _ in range(TRIES):
        free = _free(taken, instance_id)
        try:
            return await _attach(session, volume_id, instance_id, free)
        except AwsError as error:
            if error.code not in TAKEN:
                raise
            # Somebody else may have been quicker: then the device is taken by now.
            taken = await _taken(session, instance_id)
            if free not in taken:
                raise
    raise Conflict(f"others attach volumes to {instance_id!r} at the same time: try again")


async def _attach(session: Session, volume_id: str, instance_id: str, device: str) -> str:
    asked = {"VolumeId": volume_id, "InstanceId": instance_id, "Device": device}
    answer = await session.settled(
        lambda: session.ec2("AttachVolume", asked, changes=True),
        codes=UNKNOWN,
        ids=(volume_id, instance_id),
    )
    return text(answer, "device") or device


async def _taken(session: Session, instance_id: str) -> frozenset[str]:
    volumes = await matching(
        session, "DescribeVolumes", "volumeSet/item", "attachment.instance-id", (instance_id,)
    )
    return frozenset(
        text(at, "device") or ""
        for volume in volumes
        for at in items(volume, "attachmentSet/item")
        if text(at, "instanceId") == instance_id
    )


def _free(taken: frozenset[str], instance_id: str) -> str:
    for device in DEVICES:
        # On some images `/dev/sdf` and `/dev/xvdf` are one device.
        if device not in taken and device.replace("/sd", "/xvd") not in taken:
            return device
    raise Conflict(f"the devices of {instance_id!r} are all taken: name one")
