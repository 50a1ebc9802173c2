"""Instances: what is asked of AWS, and what its answers mean."""

import base64
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web
from PIL import Image as Picture
from tests.drivers.ec2.answers import (
    IMAGE_ID,
    INSTANCE_ID,
    clouds,
    image,
    images,
    instance,
    made,
    moved,
    profile,
    profiles,
    reservations,
)
from tests.drivers.ec2.services import Asked, dropped, failing, good

from nimbi.driver.compute import Instances
from nimbi.gateway.cloud import Cloud
from nimbi.model.errors import Conflict, Invalid, NotFound, OutOfCapacity
from nimbi.model.hardware_profiles import Sizes
from nimbi.model.instances import (
    AddressKind,
    Attachment,
    InstanceFilter,
    InstanceState,
    NewAttachment,
    NewInstance,
)

WISH = NewInstance(image_id=IMAGE_ID, hardware_profile_id="t3.micro", token="one")


def answers(**by_action: str | web.Response | Callable[[Asked], web.Response]):
    """Return a handler that answers each action always alike."""

    def handle(asked: Asked) -> web.Response:
        answer = by_action[asked.form["Action"]]
        if callable(answer):
            return answer(asked)
        return good(answer) if isinstance(answer, str) else answer

    return handle


async def asked_for(wish: NewInstance, state_dir: Path) -> dict[str, str]:
    """Return the parameters of the launch of a wish."""
    handler = answers(RunInstances=made(instance()))
    async with clouds(handler, state_dir) as (cloud, aws):
        await cloud.instances.create(wish)
        return aws.asked[-1].form


async def test_every_wish_reaches_aws(tmp_path: Path) -> None:
    wish = NewInstance(
        image_id=IMAGE_ID,
        hardware_profile_id="t3.micro",
        realm_id="eu-west-1b",
        name="web",
        key_id="my key",
        user_data=b"#!/bin/sh\n",
        firewall_ids=("sg-1", "sg-2"),
        subnet_id="subnet-1",
        tags={"team": "a"},
        metrics=True,
        spot=True,
        spot_max_price="0.05",
        volumes=(
            NewAttachment(device="/dev/xvda", size_gib=20, kind="gp3", iops=4000),
            NewAttachment(device="/dev/sdb", snapshot_id="snap-1", encrypted=True, keep=True),
        ),
        snapshot_id="snap-2",
        device="/dev/sdx",
        token="one",
    )
    form = await asked_for(wish, tmp_path)
    token = form.pop("ClientToken")
    tag = {
        form.pop(f"TagSpecification.1.Tag.{n}.Key"): form.pop(f"TagSpecification.1.Tag.{n}.Value")
        for n in (1, 2, 3)
    }
    assert len(token) == 32
    assert tag == {"team": "a", "Name": "web", "nimbi:token": token}
    assert form == {
        "Action": "RunInstances",
        "Version": "2016-11-15",
        "ImageId": IMAGE_ID,
        "InstanceType": "t3.micro",
        "MinCount": "1",
        "MaxCount": "1",
        "Placement.AvailabilityZone": "eu-west-1b",
        "KeyName": "my key",
        "UserData": base64.b64encode(b"#!/bin/sh\n").decode(),
        "SecurityGroupId.1": "sg-1",
        "SecurityGroupId.2": "sg-2",
        "SubnetId": "subnet-1",
        "TagSpecification.1.ResourceType": "instance",
        "Monitoring.Enabled": "true",
        "MetadataOptions.HttpTokens": "required",
        "MetadataOptions.HttpEndpoint": "enabled",
        "InstanceMarketOptions.MarketType": "spot",
        "InstanceMarketOptions.SpotOptions.MaxPrice": "0.05",
        "InstanceMarketOptions.SpotOptions.SpotInstanceType": "one-time",
        "BlockDeviceMapping.1.DeviceName": "/dev/xvda",
        "BlockDeviceMapping.1.Ebs.VolumeSize": "20",
        "BlockDeviceMapping.1.Ebs.VolumeType": "gp3",
        "BlockDeviceMapping.1.Ebs.Iops": "4000",
        "BlockDeviceMapping.1.Ebs.DeleteOnTermination": "true",
        "BlockDeviceMapping.2.DeviceName": "/dev/sdb",
        "BlockDeviceMapping.2.Ebs.SnapshotId": "snap-1",
        "BlockDeviceMapping.2.Ebs.Encrypted": "true",
        "BlockDeviceMapping.2.Ebs.DeleteOnTermination": "false",
        "BlockDeviceMapping.3.DeviceName": "/dev/sdx",
        "BlockDeviceMapping.3.Ebs.SnapshotId": "snap-2",
        "BlockDeviceMapping.3.Ebs.DeleteOnTermination": "false",
    }


@pytest.mark.parametrize(
    ("wish", "told"), [(None, "required"), (False, "required"), (True, "optional")]
)
async def test_metadata_ask_for_a_token_unless_they_are_opened(
    tmp_path: Path, wish: bool | None, told: str
) -> None:
    asked = NewInstance(image_id=IMAGE_ID, hardware_profile_id="t3.micro", open_metadata=wish)
    assert (await asked_for(asked, tmp_path))["MetadataOptions.HttpTokens"] == told


async def test_many_are_made_all_or_none(tmp_path: Path) -> None:
    handler = answers(RunInstances=made(*(instance(f"i-{n}") for n in range(3))))
    async with clouds(handler, tmp_path) as (cloud, aws):
        new = await cloud.instances.create_many(WISH, 3)
    assert [i.id for i in new] == ["i-0", "i-1", "i-2"]
    assert (aws.asked[0].form["MinCount"], aws.asked[0].form["MaxCount"]) == ("3", "3")


@pytest.mark.parametrize(
    "wrong",
    [
        {"user_data": b"x" * 16385},
        {"spot": True, "spot_max_price": "cheap"},
        {"device": "/dev/sdx"},
        {"name": ""},
        {"volumes": (NewAttachment(device="/dev/sdb", size_gib=0),)},
        {"volumes": (NewAttachment(device="no device", size_gib=1),)},
        {"realm_id": "../x"},
        {"hardware_profile_id": "t3"},
    ],
)
async def test_what_aws_never_takes_is_refused_before_any_traffic(
    tmp_path: Path, wrong: dict[str, object]
) -> None:
    fields = {"image_id": IMAGE_ID, "hardware_profile_id": "t3.micro", **wrong}
    async with clouds(answers(), tmp_path) as (cloud, aws):
        with pytest.raises(Invalid):
            await cloud.instances.create(NewInstance(**fields))  # type: ignore[arg-type]
        assert not aws.asked


PROFILES = profiles(
    profile("a1.large", architectures=("arm64",), memory_mib=4096),
    profile("m5.large", memory_mib=8192),
    profile("m5.xlarge", cpus=4, memory_mib=16384),
    profile("r5.large", memory_mib=16384),
    profile("t3.micro"),
    profile("t3.small", memory_mib=2048),
    profile("t2.small", memory_mib=2048),
)


@pytest.mark.parametrize(
    ("architecture", "sizes", "chosen"),
    [
        ("x86_64", Sizes(), "t3.micro"),
        ("arm64", Sizes(), "a1.large"),
        ("x86_64", Sizes(memory_mib=16384), "m5.xlarge"),
    ],
)
async def test_a_launch_without_a_profile_gets_one_for_its_image(
    tmp_path: Path, architecture: str, sizes: Sizes, chosen: str
) -> None:
    handler = answers(
        DescribeImages=images(image(architecture=architecture)),
        DescribeInstanceTypes=PROFILES,
        RunInstances=made(instance()),
    )
    async with clouds(handler, tmp_path) as (cloud, aws):
        await cloud.instances.create(NewInstance(image_id=IMAGE_ID, sizes=sizes))
        await cloud.instances.create(NewInstance(image_id=IMAGE_ID, sizes=sizes))
    assert [asked.form["InstanceType"] for asked in aws.asked if "InstanceType" in asked.form] == [
        chosen
    ] * 2
    assert aws.actions.count("DescribeInstanceTypes") == 1
    assert aws.actions.count("DescribeImages") == 1


async def test_a_lost_answer_is_looked_up_before_anything_is_sent_again(tmp_path: Path) -> None:
    handler = answers(RunInstances=dropped, DescribeInstances=reservations(instance()))
    async with clouds(handler, tmp_path) as (cloud, aws):
        new = await cloud.instances.create(WISH)
    assert new.id == INSTANCE_ID
    assert aws.actions == ["RunInstances", "DescribeInstances"]
    assert aws.asked[1].form["Filter.1.Name"] == "tag:nimbi:token"
    assert aws.asked[1].form["Filter.1.Value.1"] == aws.asked[0].form["ClientToken"]


async def test_a_launch_that_left_no_trace_is_sent_again_with_the_same_token(
    tmp_path: Path,
) -> None:
    tries: list[str] = []

    def run(asked: Asked) -> web.Response:
        tries.append(asked.form["ClientToken"])
        return dropped(asked) if len(tries) == 1 else good(made(instance()))

    handler = answers(RunInstances=run, DescribeInstances=reservations())
    async with clouds(handler, tmp_path) as (cloud, _):
        await cloud.instances.create(WISH)
    assert len(tries) == 2
    assert len(set(tries)) == 1


async def test_a_zone_without_room_is_out_of_capacity(tmp_path: Path) -> None:
    handler = answers(RunInstances=failing("InsufficientInstanceCapacity", 500))
    async with clouds(handler, tmp_path) as (cloud, _):
        with pytest.raises(OutOfCapacity):
            await cloud.instances.create(WISH)


@pytest.mark.parametrize(
    ("verb", "action", "before"),
    [
        (Instances.start, "StartInstances", "running"),
        (Instances.start, "StartInstances", "pending"),
        (Instances.stop, "StopInstances", "stopped"),
        (Instances.stop, "StopInstances", "stopping"),
    ],
)
async def test_what_aws_takes_for_done_already_is_a_conflict(
    tmp_path: Path, verb: Callable[..., object], action: str, before: str
) -> None:
    async with clouds(answers(**{action: moved(before, before)}), tmp_path) as (cloud, _):
        with pytest.raises(Conflict):
            await cloud.call(verb, INSTANCE_ID)  # type: ignore[arg-type]


async def test_what_is_terminated_is_not_found(tmp_path: Path) -> None:
    handler = answers(
        DescribeInstances=reservations(instance(state="terminated")),
        TerminateInstances=moved("terminated", "terminated"),
        StopInstances=failing("IncorrectInstanceState"),
    )
    async with clouds(handler, tmp_path) as (cloud, _):
        for verb in (Instances.get, Instances.destroy, Instances.reboot, Instances.stop):
            with pytest.raises(NotFound):
                await cloud.call(verb, INSTANCE_ID)


async def test_filters_are_the_clouds_and_their_marks_are_taken_by_the_letter(
    tmp_path: Path,
) -> None:
    async with clouds(answers(DescribeInstances=reservations()), tmp_path) as (cloud, aws):
        where = InstanceFilter(
            realm_id="eu-west-1a", state=InstanceState.STOPPING, tags={"a": "*b?\\"}
        )
        assert not [i async for i in cloud.each(Instances.page, where=where)]
    form = aws.asked[0].form
    told = {
        form[f"Filter.{n}.Name"]: [v for k, v in form.items() if k.startswith(f"Filter.{n}.Value.")]
        for n in (1, 2, 3)
    }
    assert told == {
        "instance-state-name": ["shutting-down", "stopping"],
        "availability-zone": ["eu-west-1a"],
        "tag:a": ["\\*b\\?\\\\"],
    }


async def test_a_list_without_a_wish_leaves_out_what_is_terminated(tmp_path: Path) -> None:
    async with clouds(answers(DescribeInstances=reservations()), tmp_path) as (cloud, aws):
        await cloud.instances.page(None, 10)
    told = {v for k, v in aws.asked[0].form.items() if k.startswith("Filter.1.Value.")}
    assert told == {"pending", "running", "shutting-down", "stopping", "stopped"}


async def test_an_instance_tells_what_is_documented(tmp_path: Path) -> None:
    more = (
        "<ipAddress>203.0.113.5</ipAddress><dnsName>ec2.example</dnsName>"
        "<privateIpAddress>10.0.0.5</privateIpAddress><privateDnsName>ip.internal</privateDnsName>"
        "<keyName>k</keyName><subnetId>subnet-1</subnetId><instanceLifecycle>spot</instanceLifecycle>"
        "<groupSet><item><groupId>sg-1</groupId></item></groupSet>"
        "<blockDeviceMapping><item><deviceName>/dev/xvda</deviceName><ebs><volumeId>vol-1"
        "</volumeId></ebs></item><item><deviceName>/dev/sdb</deviceName><ebs><volumeId>vol-2"
        "</volumeId></ebs></item></blockDeviceMapping>"
        "<networkInterfaceSet><item><networkInterfaceId>eni-1</networkInterfaceId><attachment>"
        "<deviceIndex>0</deviceIndex><attachTime>2026-11-01T00:00:00.000Z</attachTime></attachment>"
        "<ipv6AddressesSet><item><ipv6Address>2001:db8::5</ipv6Address></item></ipv6AddressesSet>"
        "</item></networkInterfaceSet>"
        "<tagSet><item><key>Name</key><value>web</value></item><item><key>nimbi:token</key>"
        "<value>x</value></item><item><key>team</key><value>a</value></item></tagSet>"
    )
    handler = answers(DescribeInstances=reservations(instance(more=more)))
    async with clouds(handler, tmp_path) as (cloud, _):
        found = await cloud.instances.get(INSTANCE_ID)
    assert [(e.address, e.kind) for e in found.public_addresses] == [
        ("203.0.113.5", AddressKind.IPV4),
        ("ec2.example", AddressKind.HOSTNAME),
        ("2001:db8::5", AddressKind.IPV6),
    ]
    assert [e.address for e in found.private_addresses] == ["10.0.0.5", "ip.internal"]
    assert (found.name, found.tags, found.owner_id) == ("web", {"team": "a"}, "123456789012")
    assert found.volumes == (Attachment("vol-2", "/dev/sdb"),)
    assert (found.subnet_id, found.spot, found.realm_id) == ("subnet-1", True, "eu-west-1a")
    assert found.created_at is not None
    assert found.launched_at is not None
    assert found.created_at < found.launched_at
    assert found.login is not None
    assert found.login.key_id == "k"


@pytest.mark.parametrize(
    ("sizes", "chosen"),
    [
        (Sizes(memory_mib=2048), "t3.small"),
        (Sizes(cpus=4, memory_mib=16384), "m5.xlarge"),
        (Sizes(architecture="x86_64"), None),
        (Sizes(), None),
    ],
)
async def test_a_resize_takes_the_type_that_differs_in_nothing_else(
    tmp_path: Path, sizes: Sizes, chosen: str | None
) -> None:
    handler = answers(
        DescribeInstances=reservations(instance(state="stopped")),
        DescribeInstanceTypes=PROFILES,
        ModifyInstanceAttribute="<return>true</return>",
    )
    async with clouds(handler, tmp_path) as (cloud, aws):
        await cloud.instances.resize(INSTANCE_ID, sizes)
    changes = [a.form for a in aws.asked if a.form["Action"] == "ModifyInstanceAttribute"]
    assert [change["InstanceType.Value"] for change in changes] == ([chosen] if chosen else [])


@pytest.mark.parametrize(
    "sizes", [Sizes(cpus=3), Sizes(storage_gib=100), Sizes(architecture="arm64")]
)
async def test_a_resize_to_what_no_type_has_is_invalid(tmp_path: Path, sizes: Sizes) -> None:
    handler = answers(
        DescribeInstances=reservations(instance(state="stopped")), DescribeInstanceTypes=PROFILES
    )
    async with clouds(handler, tmp_path) as (cloud, _):
        with pytest.raises(Invalid):
            await cloud.instances.resize(INSTANCE_ID, sizes)


async def test_a_console_of_an_older_machine_is_what_it_wrote_at_boot(tmp_path: Path) -> None:
    log = base64.b64encode(b"x" * 70_000 + b"login: ").decode()

    def output(asked: Asked) -> web.Response:
        if "Latest" in asked.form:
            return failing("UnsupportedOperation")
        return good(f"<output>{log}</output>")

    async with clouds(answers(GetConsoleOutput=output), tmp_path) as (cloud, _):
        told = await cloud.instances.console(INSTANCE_ID)
    assert told.endswith(b"login: ")
    assert len(told) == 65536


def screen(data: bytes):
    text = base64.b64encode(data).decode()
    return answers(
        DescribeInstances=reservations(instance()),
        GetConsoleScreenshot=f"<instanceId>{INSTANCE_ID}</instanceId><imageData>{text}</imageData>",
    )


async def test_a_screen_comes_as_png(tmp_path: Path) -> None:
    out = io.BytesIO()
    Picture.new("RGB", (64, 48), (255, 0, 0)).save(out, "JPEG")
    async with clouds(screen(out.getvalue()), tmp_path) as (cloud, _):
        told = await cloud.instances.screenshot(INSTANCE_ID)
    with Picture.open(io.BytesIO(told), formats=("PNG",)) as picture:
        assert picture.size == (64, 48)


@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff\xe0 no picture"])
async def test_a_screen_that_is_no_picture_is_the_clouds_fault(tmp_path: Path, data: bytes) -> None:
    from nimbi.model.errors import CloudError

    async with clouds(screen(data), tmp_path) as (cloud, _):
        with pytest.raises(CloudError, match="no picture"):
            await cloud.instances.screenshot(INSTANCE_ID)


async def test_more_instances_than_a_page_of_aws_are_listed_once_each(cloud: Cloud) -> None:
    image_id = "ami-a1000000a00000000"
    wish = NewInstance(image_id=image_id, hardware_profile_id="t3.micro")
    made = {(await cloud.instances.create(wish)).id for _ in range(4)}
    made |= {i.id for i in await cloud.instances.create_many(wish, 4)}
    for limit in (1, 3, 6, 1000):
        found = [i.id async for i in cloud.each(Instances.page, limit=limit)]
        assert sorted(found) == sorted(made)


async def test_tags_subnet_and_volumes_are_had(cloud: Cloud) -> None:
    wish = NewInstance(
        image_id="ami-a1000000a00000000",
        hardware_profile_id="t3.micro",
        tags={"team": "a"},
        spot=True,
        volumes=(NewAttachment(device="/dev/sdb", size_gib=3),),
    )
    new = await cloud.instances.create(wish)
    found = await cloud.instances.get(new.id)
    assert found.tags == {"team": "a"}
    assert found.spot
    assert [a.device for a in found.volumes] == ["/dev/sdb"]
    where = InstanceFilter(tags={"team": "a"})
    assert [i.id async for i in cloud.each(Instances.page, where=where)] == [new.id]
    nothing = InstanceFilter(tags={"team": "b"})
    assert not [i async for i in cloud.each(Instances.page, where=nothing)]
