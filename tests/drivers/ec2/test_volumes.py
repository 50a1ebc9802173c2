"""Volumes: what AWS tells of them, growing, and devices that are free."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.drivers.ec2.canned import Canned, Refusal
from tests.drivers.ec2.conftest import LOGIN, REGION
from tests.targets.exchange import served

from nimbi.drivers.ec2 import DRIVER
from nimbi.drivertest import opened
from nimbi.gateway.cloud import Cloud
from nimbi.model.errors import Conflict, Invalid, NotFound, OutOfCapacity
from nimbi.model.volumes import NewVolume, Volume, VolumeAttachment, VolumeState, VolumeTarget

AT = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
ID, OTHER, INSTANCE = "vol-00000000000000001", "vol-00000000000000002", "i-00000000000000001"
FREE = {
    "VolumeId": ID,
    "Size": 10,
    "State": "available",
    "AvailabilityZone": "eu-west-1a",
    "VolumeType": "gp3",
    "CreateTime": AT,
    "Encrypted": False,
}
ZONES = {
    "AvailabilityZones": [
        {"ZoneName": "eu-west-1-lax-1a", "State": "available", "ZoneType": "local-zone"},
        {"ZoneName": "eu-west-1c", "State": "available", "ZoneType": "availability-zone"},
        {"ZoneName": "eu-west-1b", "State": "available", "ZoneType": "availability-zone"},
        {"ZoneName": "eu-west-1a", "State": "impaired", "ZoneType": "availability-zone"},
    ]
}


def volumes(*told: dict[str, Any]) -> dict[str, Any]:
    return {"Volumes": list(told)}


def attached(device: str, state: str = "attached", id: str = ID) -> dict[str, Any]:
    at = {"VolumeId": id, "InstanceId": INSTANCE, "Device": device, "State": state}
    return FREE | {"VolumeId": id, "State": "in-use", "Attachments": [at]}


@pytest.fixture
def canned() -> Canned:
    return Canned()


@pytest.fixture
async def cloud(canned: Canned, tmp_path: Path) -> AsyncIterator[Cloud]:
    async with (
        served(canned) as url,
        opened(
            DRIVER,
            tmp_path,
            settings={"endpoint_url": url},
            credentials=LOGIN,
            provider=REGION,
        ) as cloud,
    ):
        yield cloud


async def test_all_that_aws_tells_of_a_volume_is_read(cloud: Cloud, canned: Canned) -> None:
    tags = [{"Key": "Name", "Value": "data"}, {"Key": "Description", "Value": "a ☃ disk"}]
    facts = {
        "VolumeType": "io2",
        "Iops": 4000,
        "Throughput": 250,
        "Encrypted": True,
        "MultiAttachEnabled": True,
        "Tags": tags,
    }
    canned.tell("DescribeVolumes", volumes(attached("/dev/sdf") | facts))
    found = await cloud.volumes.get(ID)
    assert found == Volume(
        id=ID,
        name="data",
        description="a ☃ disk",
        state=VolumeState.IN_USE,
        size_gib=10,
        created_at=AT,
        realm_id="eu-west-1a",
        kind="io2",
        instance_id=INSTANCE,
        device="/dev/sdf",
        attachments=(VolumeAttachment(INSTANCE, "/dev/sdf"),),
        shared=True,
        iops=4000,
        throughput_mib=250,
        encrypted=True,
        extra=found.extra,
    )
    assert found.extra["volumeType"] == "io2"


@pytest.mark.parametrize(
    ("told", "state"),
    [
        ("creating", VolumeState.PENDING),
        ("available", VolumeState.AVAILABLE),
        ("in-use", VolumeState.IN_USE),
        ("error", VolumeState.ERROR),
        ("a state of next year", VolumeState.ERROR),
    ],
)
async def test_every_state_has_a_word(
    cloud: Cloud, canned: Canned, told: str, state: VolumeState
) -> None:
    canned.tell("DescribeVolumes", volumes(FREE | {"State": told}))
    assert (await cloud.volumes.get(ID)).state is state


@pytest.mark.parametrize("state", ["deleting", "deleted"])
async def test_a_volume_on_its_way_out_is_gone(cloud: Cloud, canned: Canned, state: str) -> None:
    canned.tell("DescribeVolumes", volumes(FREE | {"State": state}))
    with pytest.raises(NotFound):
        await cloud.volumes.get(ID)
    assert (await cloud.volumes.page(None, 10)).items == ()


async def test_an_attachment_that_is_over_is_not_told(cloud: Cloud, canned: Canned) -> None:
    canned.tell("DescribeVolumes", volumes(attached("/dev/sdf", "detached")))
    found = await cloud.volumes.get(ID)
    assert (found.instance_id, found.device) == (None, None)


async def test_pages_follow_the_tokens_of_aws(cloud: Cloud, canned: Canned) -> None:
    first = volumes(FREE) | {"NextToken": "t1"}
    nothing = volumes(FREE | {"State": "deleting"}) | {"NextToken": "t2"}
    canned.tell("DescribeVolumes", first, nothing, volumes(FREE | {"VolumeId": OTHER}))
    page = await cloud.volumes.page(None, 100)
    assert [volume.id for volume in page.items] == [ID]
    assert page.next is not None
    page = await cloud.volumes.page(page.next, 100)
    assert ([volume.id for volume in page.items], page.next) == ([OTHER], None)
    asked = [canned.form_of("DescribeVolumes", call) for call in range(3)]
    assert [form.get("NextToken") for form in asked] == [None, "t1", "t2"]
    assert {form["MaxResults"] for form in asked} == {"100"}


async def test_a_wish_is_sent_in_full(cloud: Cloud, canned: Canned) -> None:
    canned.tell("CreateVolume", FREE)
    await cloud.volumes.create(
        NewVolume(
            token="t",
            size_gib=9.5,
            realm_id="eu-west-1a",
            snapshot_id="snap-1",
            name="data",
            description="a disk",
            kind="gp3",
            iops=4000,
            throughput_mib=250,
            encrypted=True,
        )
    )
    form = canned.form_of("CreateVolume")
    sent = {"Size": "10", "AvailabilityZone": "eu-west-1a", "SnapshotId": "snap-1"}
    sent |= {"VolumeType": "gp3", "Iops": "4000", "Throughput": "250", "Encrypted": "true"}
    assert sent.items() <= form.items()
    assert form["TagSpecification.1.ResourceType"] == "volume"
    tags = {
        form[f"TagSpecification.1.Tag.{n}.Key"]: form[f"TagSpecification.1.Tag.{n}.Value"]
        for n in (1, 2, 3)
    }
    assert (tags["Name"], tags["Description"]) == ("data", "a disk")
    assert tags["nimbi:token"] == form["ClientToken"]


async def test_without_a_realm_it_is_in_the_first_zone_that_works(
    cloud: Cloud, canned: Canned
) -> None:
    canned.tell("DescribeAvailabilityZones", ZONES)
    canned.tell("CreateVolume", FREE)
    for _ in range(2):
        await cloud.volumes.create(NewVolume())
    assert canned.form_of("CreateVolume")["AvailabilityZone"] == "eu-west-1b"
    assert canned.actions.count("DescribeAvailabilityZones") == 1


async def test_a_region_without_a_zone_has_no_room(cloud: Cloud, canned: Canned) -> None:
    canned.tell("DescribeAvailabilityZones", {"AvailabilityZones": []})
    with pytest.raises(OutOfCapacity):
        await cloud.volumes.create(NewVolume())


@pytest.mark.parametrize(
    ("kind", "size"), [(None, "1"), ("gp2", "1"), ("io2", "4"), ("st1", "125"), ("sc1", "125")]
)
async def test_a_volume_without_a_size_is_the_smallest_of_its_kind(
    cloud: Cloud, canned: Canned, kind: str | None, size: str
) -> None:
    canned.tell("CreateVolume", FREE)
    await cloud.volumes.create(NewVolume(realm_id="eu-west-1a", kind=kind))
    assert canned.form_of("CreateVolume")["Size"] == size


async def test_the_size_of_a_snapshot_is_left_to_aws(cloud: Cloud, canned: Canned) -> None:
    canned.tell("CreateVolume", FREE)
    await cloud.volumes.create(NewVolume(realm_id="eu-west-1a", snapshot_id="snap-1"))
    assert "Size" not in canned.form_of("CreateVolume")


@pytest.mark.parametrize(
    "wish",
    [
        NewVolume(size_gib=0),
        NewVolume(size_gib=65537),
        NewVolume(size_gib=float("nan")),
        NewVolume(name=""),
        NewVolume(name="x" * 257),
        NewVolume(description="\x00"),
        NewVolume(kind="gp3&Size=1"),
        NewVolume(kind=""),
    ],
)
async def test_what_no_volume_can_be_is_refused_before_anything_is_sent(
    cloud: Cloud, canned: Canned, wish: NewVolume
) -> None:
    with pytest.raises(Invalid):
        await cloud.volumes.create(wish)
    assert canned.actions == []


async def test_a_kind_that_aws_does_not_know_is_invalid(cloud: Cloud, canned: Canned) -> None:
    canned.tell("CreateVolume", Refusal("UnknownVolumeType"))
    with pytest.raises(Invalid):
        await cloud.volumes.create(NewVolume(realm_id="eu-west-1a", kind="gp9"))


async def test_a_device_that_is_free_is_taken(cloud: Cloud, canned: Canned) -> None:
    taken = volumes(attached("/dev/sdf", id=OTHER), attached("/dev/xvdg", "attaching", OTHER))
    canned.tell("DescribeVolumes", volumes(FREE), taken)
    canned.tell("AttachVolume", {"Device": "/dev/sdh", "State": "attaching"})
    volume = await cloud.volumes.attach(ID, VolumeTarget(instance_id=INSTANCE))
    assert (volume.state, volume.instance_id) == (VolumeState.IN_USE, INSTANCE)
    assert volume.device == "/dev/sdh"
    assert canned.form_of("DescribeVolumes", 1)["Filter.1.Value.1"] == INSTANCE
    assert canned.form_of("AttachVolume")["Device"] == "/dev/sdh"


async def test_a_device_that_somebody_else_took_first_is_left_to_them(
    cloud: Cloud, canned: Canned
) -> None:
    now = volumes(attached("/dev/sdf", id=OTHER))
    canned.tell("DescribeVolumes", volumes(FREE), volumes(), now)
    canned.tell(
        "AttachVolume",
        Refusal("InvalidParameterValue", "/dev/sdf is already in use"),
        {"Device": "/dev/sdg", "State": "attaching"},
    )
    volume = await cloud.volumes.attach(ID, VolumeTarget(instance_id=INSTANCE))
    assert volume.device == "/dev/sdg"
    assert canned.form_of("AttachVolume", 1)["Device"] == "/dev/sdg"


async def test_another_wrong_value_is_not_tried_again(cloud: Cloud, canned: Canned) -> None:
    canned.tell("DescribeVolumes", volumes(FREE), volumes())
    canned.tell("AttachVolume", Refusal("InvalidParameterValue", "something else"))
    with pytest.raises(Invalid):
        await cloud.volumes.attach(ID, VolumeTarget(instance_id=INSTANCE))
    assert canned.actions.count("AttachVolume") == 1


async def test_an_instance_with_all_devices_taken_takes_no_more(
    cloud: Cloud, canned: Canned
) -> None:
    full = volumes(*(attached(f"/dev/sd{letter}", id=OTHER) for letter in "fghijklmnop"))
    canned.tell("DescribeVolumes", volumes(FREE), full)
    with pytest.raises(Conflict):
        await cloud.volumes.attach(ID, VolumeTarget(instance_id=INSTANCE))


@pytest.mark.parametrize("device", ["", "/dev/sd f", "/dev/sdf&x", "x" * 65, "/dev/☃"])
async def test_what_names_no_device_is_invalid(cloud: Cloud, canned: Canned, device: str) -> None:
    canned.tell("DescribeVolumes", volumes(FREE))
    with pytest.raises(Invalid):
        await cloud.volumes.attach(ID, VolumeTarget(instance_id=INSTANCE, device=device))


@pytest.mark.parametrize(
    "code",
    ["InvalidVolume.ZoneMismatch", "VolumeInUse", "IncorrectState", "IncorrectInstanceState"],
)
async def test_a_volume_that_cannot_be_attached_is_a_conflict(
    cloud: Cloud, canned: Canned, code: str
) -> None:
    canned.tell("DescribeVolumes", volumes(FREE))
    canned.tell("AttachVolume", Refusal(code))
    with pytest.raises(Conflict):
        await cloud.volumes.attach(ID, VolumeTarget(instance_id=INSTANCE, device="/dev/sdf"))


async def test_a_volume_stays_in_use_until_its_instance_lets_go(
    cloud: Cloud, canned: Canned
) -> None:
    canned.tell("DescribeVolumes", volumes(attached("/dev/sdf")))
    canned.tell("DetachVolume", {"State": "detaching"})
    assert (await cloud.volumes.detach(ID)).state is VolumeState.IN_USE
    form = canned.form_of("DetachVolume")
    assert (form["VolumeId"], form["InstanceId"]) == (ID, INSTANCE)
    assert "Force" not in form


async def test_of_several_instances_the_one_that_is_told_loses_the_volume(
    cloud: Cloud, canned: Canned
) -> None:
    other = "i-00000000000000002"
    told = attached("/dev/sdf")
    told["Attachments"].append({**told["Attachments"][0], "InstanceId": other})
    canned.tell("DescribeVolumes", volumes(told))
    canned.tell("DetachVolume", {"State": "detached"})
    for which, words in ((None, "several"), ("i-00000000000000003", "not attached to")):
        with pytest.raises(Conflict, match=words):
            await cloud.volumes.detach(ID, which)
    left = await cloud.volumes.detach(ID, other)
    assert canned.form_of("DetachVolume")["InstanceId"] == other
    assert (left.state, left.instance_id) == (VolumeState.IN_USE, INSTANCE)


async def test_a_volume_that_is_free_at_once_says_so(cloud: Cloud, canned: Canned) -> None:
    canned.tell("DescribeVolumes", volumes(attached("/dev/sdf")))
    canned.tell("DetachVolume", {"State": "detached"})
    detached = await cloud.volumes.detach(ID)
    assert (detached.state, detached.instance_id) == (VolumeState.AVAILABLE, None)


async def test_a_volume_grows_while_it_is_attached(cloud: Cloud, canned: Canned) -> None:
    canned.tell("DescribeVolumes", volumes(attached("/dev/sdf")))
    canned.tell("ModifyVolume", {"VolumeModification": {"VolumeId": ID, "TargetSize": 21}})
    assert (await cloud.volumes.resize(ID, 20.5)).size_gib == 21
    assert canned.form_of("ModifyVolume")["Size"] == "21"


async def test_a_size_that_it_has_already_asks_for_no_change(cloud: Cloud, canned: Canned) -> None:
    canned.tell("DescribeVolumes", volumes(FREE))
    assert (await cloud.volumes.resize(ID, 10)).size_gib == 10
    assert canned.actions == ["DescribeVolumes"]


async def test_no_volume_shrinks(cloud: Cloud, canned: Canned) -> None:
    canned.tell("DescribeVolumes", volumes(FREE))
    with pytest.raises(Invalid):
        await cloud.volumes.resize(ID, 9.9)


@pytest.mark.parametrize("code", ["IncorrectModificationState", "VolumeModificationRateExceeded"])
async def test_growth_that_is_under_way_is_what_was_asked(
    cloud: Cloud, canned: Canned, code: str
) -> None:
    canned.tell("DescribeVolumes", volumes(FREE))
    canned.tell("ModifyVolume", Refusal(code))
    change = {"VolumeId": ID, "TargetSize": 20, "ModificationState": "optimizing"}
    canned.tell("DescribeVolumesModifications", {"VolumesModifications": [change]})
    assert (await cloud.volumes.resize(ID, 20)).size_gib == 20
    with pytest.raises(Conflict):
        await cloud.volumes.resize(ID, 30)


async def test_growth_that_failed_is_not_what_was_asked(cloud: Cloud, canned: Canned) -> None:
    canned.tell("DescribeVolumes", volumes(FREE))
    canned.tell("ModifyVolume", Refusal("IncorrectModificationState"))
    change = {"VolumeId": ID, "TargetSize": 20, "ModificationState": "failed"}
    canned.tell("DescribeVolumesModifications", {"VolumesModifications": [change]})
    with pytest.raises(Conflict):
        await cloud.volumes.resize(ID, 20)
