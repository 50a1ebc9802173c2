"""Snapshots: what AWS tells of them, and whose they are."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.drivers.ec2.canned import Canned, Refusal
from tests.drivers.ec2.conftest import LOGIN, REGION
from tests.targets.exchange import served

from nimbi.drivers.ec2 import DRIVER
from nimbi.drivertest import opened
from nimbi.gateway.cloud import Cloud
from nimbi.model.errors import Conflict, Invalid, NotFound, Throttled
from nimbi.model.snapshots import NewSnapshot, Snapshot, SnapshotState

AT = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
ID, VOLUME = "snap-00000000000000001", "vol-00000000000000001"
TOLD = {
    "SnapshotId": ID,
    "VolumeId": VOLUME,
    "State": "completed",
    "StartTime": AT,
    "VolumeSize": 8,
    "Encrypted": True,
    "Description": "before the upgrade",
    "Tags": [{"Key": "Name", "Value": "monday"}],
}
NONE = {"Snapshots": []}


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
            settings={"endpoint_url": url, "calls": {"attempts": 1}},
            credentials=LOGIN,
            provider=REGION,
        ) as cloud,
    ):
        yield cloud


async def test_all_that_aws_tells_of_a_snapshot_is_read(cloud: Cloud, canned: Canned) -> None:
    canned.tell("DescribeSnapshots", {"Snapshots": [TOLD]})
    found = await cloud.snapshots.get(ID)
    assert found == Snapshot(
        id=ID,
        name="monday",
        description="before the upgrade",
        state=SnapshotState.COMPLETED,
        volume_id=VOLUME,
        created_at=AT,
        size_gib=8,
        encrypted=True,
        extra=found.extra,
    )


@pytest.mark.parametrize(
    ("told", "state"),
    [
        ("pending", SnapshotState.PENDING),
        ("recovering", SnapshotState.PENDING),
        ("completed", SnapshotState.COMPLETED),
        ("error", SnapshotState.ERROR),
        ("recoverable", SnapshotState.ERROR),
    ],
)
async def test_every_state_has_a_word(
    cloud: Cloud, canned: Canned, told: str, state: SnapshotState
) -> None:
    canned.tell("DescribeSnapshots", {"Snapshots": [TOLD | {"State": told}]})
    assert (await cloud.snapshots.get(ID)).state is state


async def test_a_snapshot_that_was_copied_is_of_no_volume(cloud: Cloud, canned: Canned) -> None:
    canned.tell("DescribeSnapshots", {"Snapshots": [TOLD | {"VolumeId": "vol-ffffffff"}]})
    assert (await cloud.snapshots.get(ID)).volume_id is None


async def test_lists_hold_the_logins_own(cloud: Cloud, canned: Canned) -> None:
    canned.tell("DescribeSnapshots", {"Snapshots": [TOLD], "NextToken": "t"}, NONE)
    page = await cloud.snapshots.page(None, 10)
    assert [snapshot.id for snapshot in page.items] == [ID]
    assert (await cloud.snapshots.page(page.next, 10)).items == ()
    for call in range(2):
        assert canned.form_of("DescribeSnapshots", call)["Owner.1"] == "self"
    assert canned.form_of("DescribeSnapshots", 1)["NextToken"] == "t"


async def test_any_snapshot_is_found_by_its_id(cloud: Cloud, canned: Canned) -> None:
    canned.tell("DescribeSnapshots", {"Snapshots": [TOLD]})
    await cloud.snapshots.get(ID)
    form = canned.form_of("DescribeSnapshots")
    assert form["SnapshotId.1"] == ID
    assert "Owner.1" not in form


async def test_what_a_token_made_is_found_by_its_tag(cloud: Cloud, canned: Canned) -> None:
    canned.tell("DescribeSnapshots", NONE, {"Snapshots": [TOLD]})
    canned.tell("CreateSnapshot", TOLD)
    wish = NewSnapshot(volume_id=VOLUME, name="monday", description="d", token="t")
    assert (await cloud.snapshots.create(wish)).id == ID
    assert (await cloud.snapshots.create(wish)).id == ID
    assert canned.actions.count("CreateSnapshot") == 1
    form = canned.form_of("CreateSnapshot")
    assert form["Description"] == "d"
    tags = {
        form[f"TagSpecification.1.Tag.{n}.Key"]: form[f"TagSpecification.1.Tag.{n}.Value"]
        for n in (1, 2)
    }
    looked = canned.form_of("DescribeSnapshots", 1)
    assert looked["Filter.1.Name"] == "tag:nimbi:token"
    assert looked["Filter.1.Value.1"] == tags["nimbi:token"]


@pytest.mark.parametrize(
    "wish",
    [
        NewSnapshot(volume_id=VOLUME, name=""),
        NewSnapshot(volume_id=VOLUME, name="\n"),
        NewSnapshot(volume_id=VOLUME, description="x" * 256),
        NewSnapshot(volume_id=VOLUME, description="\x00"),
    ],
)
async def test_what_aws_would_not_keep_is_refused_before_anything_is_sent(
    cloud: Cloud, canned: Canned, wish: NewSnapshot
) -> None:
    with pytest.raises(Invalid):
        await cloud.snapshots.create(wish)
    assert canned.actions == []


async def test_snapshots_of_one_volume_come_one_after_another(cloud: Cloud, canned: Canned) -> None:
    canned.tell("DescribeSnapshots", NONE)
    canned.tell("CreateSnapshot", Refusal("SnapshotCreationPerVolumeRateExceeded"))
    with pytest.raises(Throttled):
        await cloud.within(0.5).snapshots.create(NewSnapshot(volume_id=VOLUME))


async def test_a_snapshot_that_an_image_needs_stays(cloud: Cloud, canned: Canned) -> None:
    canned.tell("DeleteSnapshot", Refusal("InvalidSnapshot.InUse"))
    with pytest.raises(Conflict):
        await cloud.snapshots.destroy(ID)


async def test_an_id_that_is_none_is_not_asked_for(cloud: Cloud, canned: Canned) -> None:
    for id in ("nothing", "", "snap-1&x", "../snap-1"):
        with pytest.raises(NotFound):
            await cloud.snapshots.get(id)
    assert canned.actions == []
