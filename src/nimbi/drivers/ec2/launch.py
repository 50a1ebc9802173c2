"""How a wish for instances reads to RunInstances."""

import math
import re
from collections.abc import Iterator
from typing import Any

from nimbi.drivers.ec2 import tags
from nimbi.drivers.ec2.hardware_profiles import made_for, profiles_of
from nimbi.drivers.ec2.ids import known
from nimbi.drivers.ec2.images import image_element
from nimbi.drivers.ec2.query import text
from nimbi.drivers.ec2.realms import SHAPE as ZONE
from nimbi.drivers.ec2.session import Session
from nimbi.model.errors import Invalid
from nimbi.model.hardware_profiles import HardwareProfile
from nimbi.model.instances import NewAttachment, NewInstance

# https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-add-user-data.html
MOST_USER_DATA_BYTES = 16 * 1024

PROFILE = re.compile(r"[a-z0-9-]{1,32}\.[a-z0-9-]{1,32}", re.ASCII)
KEY = re.compile(r"[!-~]([ -~]{0,253}[!-~])?", re.ASCII)
DEVICE = re.compile(r"[A-Za-z0-9/]{1,64}", re.ASCII)
PRICE = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?", re.ASCII)

# What AWS recommends for volumes that come later, on every kind of image.
# https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/device_naming.html
DEVICE_OF_SNAPSHOT = "/dev/sdf"

# How long the architecture of an image is remembered; it never changes.
AGE_S = 24 * 3600.0


async def parameters(session: Session, new: NewInstance, count: int) -> dict[str, Any]:
    """Return the parameters for `count` instances, all or none. Raises NotFound, Invalid.

    Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RunInstances.html
    """
    asked = {
        "ImageId": known(new.image_id or "", "image"),
        "MinCount": count,
        "MaxCount": count,
        "ClientToken": tags.digest(new.token),
        "TagSpecification": _tags(new),
        "Placement": {"AvailabilityZone": _fitting(ZONE, new.realm_id, "realm")},
        "SubnetId": None if new.subnet_id is None else known(new.subnet_id, "subnet"),
        "SecurityGroupId": [known(id, "firewall") for id in new.firewall_ids],
        "KeyName": _fitting(KEY, new.key_id, "key"),
        "UserData": _user_data(new.user_data),
        "Monitoring": {"Enabled": new.metrics},
        # Without a token, any program that can be made to fetch a URL gives the login away.
        "MetadataOptions": {
            "HttpTokens": "optional" if new.open_metadata else "required",
            "HttpEndpoint": "enabled",
        },
        "BlockDeviceMapping": list(_mappings(new)),
        "InstanceMarketOptions": _market(new),
    }
    return {**asked, "InstanceType": await _profile(session, new)}


async def _profile(session: Session, new: NewInstance) -> str:
    """Return the type that was asked for, or else the first on which the image runs."""
    asked = _fitting(PROFILE, new.hardware_profile_id, "hardware profile")
    if asked is not None:
        if new.sizes.given():
            (await profiles_of(session)).get(asked).check(new.sizes)
        return asked
    architecture = await _architecture(session, new.image_id or "")
    profiles = await profiles_of(session)
    if not new.sizes.given():
        return profiles.default(architecture).id
    for profile in profiles.by_id.values():
        if (architecture is None or made_for(profile, architecture)) and _offers(profile, new):
            return profile.id
    raise Invalid("no hardware profile offers these sizes")


async def _architecture(session: Session, image_id: str) -> str | None:
    async def fetch() -> str | None:
        return text(await image_element(session, image_id), "architecture")

    return await session.backend.cached(("architecture", *session.key, image_id), AGE_S, fetch)


def _offers(profile: HardwareProfile, new: NewInstance) -> bool:
    try:
        profile.check(new.sizes)
    except Invalid:
        return False
    return True


def _fitting(shape: re.Pattern[str], value: str | None, noun: str) -> str | None:
    if value is None or shape.fullmatch(value):
        return value
    raise Invalid(f"there is no {noun} {value[:100]!r}")


def _tags(new: NewInstance) -> list[dict[str, Any]]:
    if new.name == "":
        raise Invalid("the name of an instance is empty")
    return tags.specification("instance", new.token, new.name, new.tags)


def _user_data(data: bytes | None) -> bytes | None:
    if data is not None and len(data) > MOST_USER_DATA_BYTES:
        raise Invalid(f"user data has at most {MOST_USER_DATA_BYTES} bytes, not {len(data)}")
    return data or None


def _market(new: NewInstance) -> dict[str, Any] | None:
    if not new.spot:
        return None
    price = _fitting(PRICE, new.spot_max_price, "price")
    # A persistent request would start another instance after this one was destroyed.
    options = {"MaxPrice": price, "SpotInstanceType": "one-time"}
    return {"MarketType": "spot", "SpotOptions": options}


def _mappings(new: NewInstance) -> Iterator[dict[str, Any]]:
    for volume in new.volumes:
        yield _mapping(volume)
    if new.snapshot_id is not None:
        device = DEVICE_OF_SNAPSHOT if new.device is None else new.device
        yield _mapping(NewAttachment(device=device, snapshot_id=new.snapshot_id, keep=True))
    elif new.device is not None:
        raise Invalid("a device is only for a snapshot to attach")


def _mapping(volume: NewAttachment) -> dict[str, Any]:
    if volume.size_gib is not None and not 0 < volume.size_gib <= 64 * 1024:
        raise Invalid(f"a volume has more than 0 and at most 65,536 GiB, not {volume.size_gib}")
    snapshot_id = volume.snapshot_id
    return {
        "DeviceName": _fitting(DEVICE, volume.device, "device"),
        "Ebs": {
            "VolumeSize": None if volume.size_gib is None else math.ceil(volume.size_gib),
            "SnapshotId": None if snapshot_id is None else known(snapshot_id, "snapshot"),
            "VolumeType": volume.kind,
            "Iops": volume.iops,
            "Encrypted": volume.encrypted,
            "DeleteOnTermination": not volume.keep,
        },
    }
