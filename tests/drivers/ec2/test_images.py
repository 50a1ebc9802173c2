"""Images: which ones are listed, and what is asked of AWS for a new one."""

from pathlib import Path

import pytest
from aiohttp import web
from tests.drivers.ec2.answers import IMAGE_ID, INSTANCE_ID, clouds, image, images
from tests.drivers.ec2.services import Asked, dropped, failing, good

from nimbi.driver.compute import Images
from nimbi.gateway.cloud import Cloud
from nimbi.model.errors import Conflict, Invalid, NotFound
from nimbi.model.images import ImageFilter, ImageState, NewImage

IDENTITY = (
    '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
    "<GetCallerIdentityResult><Account>123456789012</Account></GetCallerIdentityResult>"
    "</GetCallerIdentityResponse>"
)
PUBLIC = [{"owner": "137112412989", "name": "al2023-*"}]


def account(asked: Asked) -> web.Response:
    """Answer as to an account with one image, one that was shared, and two public ones."""
    form = asked.form
    if form["Action"] == "GetCallerIdentity":
        return web.Response(text=IDENTITY)
    if form.get("Owner.1") == "self":
        return good(images(image("ami-1", "own")))
    if form.get("ExecutableBy.1") == "self":
        granted = image("ami-1", "own"), image("ami-2", "shared", imageOwnerId="210987654321")
        return good(images(*granted))
    assert form["Owner.1"] == "137112412989"
    old = image("ami-3", "al2023-1", creationDate="2026-01-01T00:00:00.000Z")
    return good(images(old, image("ami-4", "al2023-2")))


async def test_a_list_shows_own_shared_and_the_newest_public_images(tmp_path: Path) -> None:
    for limit in (1, 2, 1000):
        async with clouds(account, tmp_path, public_images=PUBLIC) as (cloud, _):
            found = [i.id async for i in cloud.each(Images.page, limit=limit)]
        assert found == ["ami-1", "ami-2", "ami-4"]


async def test_no_list_asks_for_all_images_there_are(tmp_path: Path) -> None:
    async with clouds(account, tmp_path, public_images=PUBLIC) as (cloud, aws):
        where = ImageFilter(name="al*", architecture="x86_64")
        await cloud.images.page(None, 1000)
        await cloud.images.page(None, 1000, where)
    asked = [a.form for a in aws.asked if a.form["Action"] == "DescribeImages"]
    assert all("Owner.1" in form or "ExecutableBy.1" in form for form in asked)
    assert sum("137112412989" in form.values() for form in asked) == 1


async def test_name_and_architecture_are_compared_by_the_cloud(tmp_path: Path) -> None:
    def handle(asked: Asked) -> web.Response:
        return good(images())

    async with clouds(handle, tmp_path) as (cloud, aws):
        where = ImageFilter(owner_id="amazon", name="al2023-*", architecture="arm64")
        await cloud.images.page(None, 100, where)
    form = aws.asked[0].form
    told = {form[f"Filter.{n}.Name"]: form[f"Filter.{n}.Value.1"] for n in (1, 2, 3)}
    assert told == {"name": "al2023-*", "architecture": "arm64", "image-type": "machine"}
    assert form["Owner.1"] == "amazon"


async def test_a_list_of_a_large_owner_is_read_by_the_page(tmp_path: Path) -> None:
    def handle(asked: Asked) -> web.Response:
        assert asked.form["MaxResults"] == "100"
        return good(images(image(), token="70,000 more"))

    async with clouds(handle, tmp_path) as (cloud, aws):
        page = await cloud.images.page(None, 100, ImageFilter(owner_id="amazon"))
    assert page.next
    assert len(aws.asked) == 1


async def test_public_images_are_found_by_owner_and_name(cloud: Cloud) -> None:
    where = ImageFilter(owner_id="099720109477", name="ubuntu/*noble*", architecture="arm64")
    found = [i.name async for i in cloud.each(Images.page, where=where)]
    assert found == [
        f"ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-arm64-server-2026{day}"
        for day in ("0302", "0930")
    ]


async def test_the_usual_public_images_are_listed_without_a_setting(cloud: Cloud) -> None:
    found = [i.name or "" async for i in cloud.each(Images.page)]
    assert [name.split("-")[0] for name in found] == [
        "al2023",
        "al2023",
        *["ubuntu/images/hvm"] * 2,
        "debian",
    ]
    assert all("0930" in name for name in found)


async def test_an_image_of_another_state_than_documented_is_in_error(tmp_path: Path) -> None:
    def handle(asked: Asked) -> web.Response:
        return good(images(image(imageState="failed")))

    async with clouds(handle, tmp_path) as (cloud, _):
        assert (await cloud.images.get(IMAGE_ID)).state is ImageState.ERROR


@pytest.mark.parametrize(
    ("wish", "action", "asked"),
    [
        (
            {"instance_id": INSTANCE_ID},
            "CreateImage",
            {"InstanceId": INSTANCE_ID},
        ),
        (
            {"snapshot_id": "snap-1", "architecture": "arm64"},
            "RegisterImage",
            {
                "Architecture": "arm64",
                "VirtualizationType": "hvm",
                "EnaSupport": "true",
                "RootDeviceName": "/dev/xvda",
                "BlockDeviceMapping.1.DeviceName": "/dev/xvda",
                "BlockDeviceMapping.1.Ebs.SnapshotId": "snap-1",
                "BlockDeviceMapping.1.Ebs.DeleteOnTermination": "true",
            },
        ),
        (
            {"source_image_id": "ami-9", "source_provider": "us-east-1"},
            "CopyImage",
            {"SourceImageId": "ami-9", "SourceRegion": "us-east-1"},
        ),
        (
            {"source_image_id": "ami-9"},
            "CopyImage",
            {"SourceImageId": "ami-9", "SourceRegion": "eu-west-1"},
        ),
    ],
)
async def test_each_source_of_an_image_has_its_action(
    tmp_path: Path, wish: dict[str, str], action: str, asked: dict[str, str]
) -> None:
    def handle(asked: Asked) -> web.Response:
        if asked.form["Action"] != "DescribeImages":
            return good(f"<imageId>{IMAGE_ID}</imageId>")
        return good(images(*([] if "Filter.1.Name" in asked.form else [image()])))

    async with clouds(handle, tmp_path) as (cloud, aws):
        new = NewImage(name="mine", description="words", **wish)
        assert (await cloud.images.create(new)).id == IMAGE_ID
    form = next(a.form for a in aws.asked if a.form["Action"] == action)
    assert form["TagSpecification.1.Tag.1.Key"] == "nimbi:token"
    told = {k: v for k, v in form.items() if not k.startswith(("TagSpec", "ClientToken"))}
    common = {"Action": action, "Version": "2016-11-15", "Name": "mine", "Description": "words"}
    assert told == common | asked


async def test_a_lost_answer_makes_no_second_image(tmp_path: Path) -> None:
    made: list[str] = []

    def handle(asked: Asked) -> web.Response:
        if asked.form["Action"] == "CreateImage":
            made.append(asked.form["Name"])
            return dropped(asked)
        return good(images(*[image(name=name) for name in made]))

    async with clouds(handle, tmp_path) as (cloud, _):
        assert (await cloud.images.create(NewImage(instance_id=INSTANCE_ID))).id == IMAGE_ID
    assert len(made) == 1


async def test_a_name_in_use_is_a_conflict(tmp_path: Path) -> None:
    def handle(asked: Asked) -> web.Response:
        if asked.form["Action"] == "DescribeImages":
            return good(images())
        return failing("InvalidAMIName.Duplicate")

    async with clouds(handle, tmp_path) as (cloud, _):
        with pytest.raises(Conflict):
            await cloud.images.create(NewImage(instance_id=INSTANCE_ID, name="taken"))


@pytest.mark.parametrize("name", ["ab", "x" * 129, " begins", "ünïcödé", "a&b", ""])
async def test_a_name_that_aws_does_not_take_is_invalid(tmp_path: Path, name: str) -> None:
    async with clouds(account, tmp_path) as (cloud, aws):
        with pytest.raises(Invalid):
            await cloud.images.create(NewImage(instance_id=INSTANCE_ID, name=name))
        assert not aws.asked


TAG = "<tagSet><item><key>nimbi:token</key><value>x</value></item></tagSet>"


@pytest.mark.parametrize(
    ("more", "deletes"),
    [
        (TAG + f"<sourceInstanceId>{INSTANCE_ID}</sourceInstanceId>", True),
        (TAG + "<sourceImageId>ami-9</sourceImageId>", True),
        (TAG, False),
        (f"<sourceInstanceId>{INSTANCE_ID}</sourceInstanceId>", False),
    ],
)
async def test_only_snapshots_that_came_with_an_image_go_with_it(
    tmp_path: Path, more: str, deletes: bool
) -> None:
    def handle(asked: Asked) -> web.Response:
        return good(images(image(more=more)))

    async with clouds(handle, tmp_path) as (cloud, aws):
        await cloud.images.destroy(IMAGE_ID)
    assert aws.actions == ["DescribeImages", "DeregisterImage"]
    assert ("DeleteAssociatedSnapshots" in aws.asked[1].form) == deletes


async def test_a_copy_and_a_registered_image_are_found_and_deregistered(cloud: Cloud) -> None:
    copy = await cloud.images.create(
        NewImage(source_image_id="ami-a1000000a00000000", source_provider="us-east-1", name="copy")
    )
    registered = await cloud.images.create(NewImage(snapshot_id="snap-1", name="registered"))
    where = ImageFilter(owner_id="self")
    mine = {i.id async for i in cloud.each(Images.page, where=where)}
    assert mine == {copy.id, registered.id}
    for id in mine:
        await cloud.images.destroy(id)
        with pytest.raises(NotFound):
            await cloud.images.get(id)
