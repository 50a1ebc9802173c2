"""Snapshots: what Cinder tells of them, and states that pass."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.drivers.openstack.told import Canned, Refusal, canned_cloud

from nimbi.gateway.cloud import Cloud
from nimbi.model.errors import Conflict, Invalid, NotFound, QuotaExceeded
from nimbi.model.snapshots import NewSnapshot, Snapshot, SnapshotState

ID = "22222222-2222-4333-8444-000000000001"
OTHER = "22222222-2222-4333-8444-000000000002"
VOLUME = "11111111-2222-4333-8444-000000000001"
DONE: dict[str, Any] = {
    "id": ID,
    "status": "available",
    "size": 3,
    "created_at": "2026-02-03T04:05:06.000000",
    "name": "before",
    "description": "of a ☃ disk",
    "volume_id": VOLUME,
    "metadata": {},
}
LOOK, LIST = f"GET volume /snapshots/{ID}", "GET volume /snapshots/detail"
MAKE, DROP = "POST volume /snapshots", f"DELETE volume /snapshots/{ID}"
REFUSED = Refusal(400, "badRequest", "Invalid snapshot")


def snapshot(**facts: Any) -> dict[str, Any]:
    return {"snapshot": DONE | facts}


@pytest.fixture
async def both(tmp_path: Path) -> AsyncIterator[tuple[Canned, Cloud]]:
    async with canned_cloud(tmp_path) as both:
        both[0].tell(LIST, {"snapshots": []})
        yield both


async def test_all_that_cinder_tells_of_a_snapshot_is_read(told: Cloud, canned: Canned) -> None:
    canned.tell(LOOK, snapshot())
    found = await told.snapshots.get(ID)
    assert found == Snapshot(
        id=ID,
        name="before",
        description="of a ☃ disk",
        state=SnapshotState.COMPLETED,
        volume_id=VOLUME,
        created_at=datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC),
        size_gib=3,
        extra=found.extra,
    )
    assert found.extra["status"] == "available"


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("creating", SnapshotState.PENDING),
        ("available", SnapshotState.COMPLETED),
        ("backing-up", SnapshotState.COMPLETED),
        ("restoring", SnapshotState.PENDING),
        ("error", SnapshotState.ERROR),
        ("error_deleting", SnapshotState.ERROR),
        ("a status of next year", SnapshotState.ERROR),
    ],
)
async def test_every_status_has_a_state(
    told: Cloud, canned: Canned, status: str, state: SnapshotState
) -> None:
    canned.tell(LOOK, snapshot(status=status))
    assert (await told.snapshots.get(ID)).state is state


async def test_a_snapshot_on_its_way_out_is_gone(told: Cloud, canned: Canned) -> None:
    canned.tell(LOOK, snapshot(status="deleting"))
    canned.tell(LIST, {"snapshots": [DONE | {"status": "deleting"}, DONE | {"id": OTHER}]})
    canned.tell(DROP, REFUSED)
    with pytest.raises(NotFound):
        await told.snapshots.get(ID)
    with pytest.raises(NotFound):
        await told.snapshots.destroy(ID)
    assert [each.id for each in (await told.snapshots.page(None, 10)).items] == [OTHER]


async def test_a_wish_is_sent_in_full(told: Cloud, canned: Canned) -> None:
    canned.tell(MAKE, snapshot(status="creating"))
    made = await told.snapshots.create(
        NewSnapshot(volume_id=VOLUME, name="before", description="a disk")
    )
    assert made.state is SnapshotState.PENDING
    sent = canned.body(MAKE)["snapshot"]
    token = sent["metadata"]["nimbi:token"]
    # By force, since the volume may be attached.
    assert sent == {
        "volume_id": VOLUME,
        "name": "before",
        "description": "a disk",
        "force": True,
        "metadata": {"nimbi:token": token},
    }
    assert canned.last(LIST).query["metadata"] == f"{{'nimbi:token': '{token}'}}"


async def test_a_snapshot_whose_answer_was_lost_is_not_made_twice(
    told: Cloud, canned: Canned
) -> None:
    canned.tell(LIST, {"snapshots": []}, {"snapshots": [DONE]})
    canned.tell(MAKE, Refusal(502))
    assert (await told.snapshots.create(NewSnapshot(volume_id=VOLUME))).id == ID
    assert canned.requests.count(MAKE) == 1


@pytest.mark.parametrize("name", ["", " x ", "a\nb", "𝕟𝕚𝕞𝕓𝕚", "x" * 256])
async def test_a_name_that_would_not_be_kept_is_invalid(told: Cloud, name: str) -> None:
    with pytest.raises(Invalid):
        await told.snapshots.create(NewSnapshot(volume_id=VOLUME, name=name))


async def test_a_volume_at_work_is_waited_for(told: Cloud, canned: Canned) -> None:
    canned.tell(MAKE, REFUSED, snapshot())
    canned.tell(f"GET volume /volumes/{VOLUME}", {"volume": {"status": "extending"}})
    assert (await told.snapshots.create(NewSnapshot(volume_id=VOLUME))).id == ID


@pytest.mark.parametrize("status", ["error", "error_extending"])
async def test_a_volume_in_error_is_a_conflict(told: Cloud, canned: Canned, status: str) -> None:
    canned.tell(MAKE, REFUSED)
    canned.tell(f"GET volume /volumes/{VOLUME}", {"volume": {"status": status}})
    with pytest.raises(Conflict):
        await told.snapshots.create(NewSnapshot(volume_id=VOLUME))


async def test_a_quota_is_no_throttling(told: Cloud, canned: Canned) -> None:
    canned.tell(MAKE, Refusal(413, "overLimit", "SnapshotLimitExceeded", 0))
    with pytest.raises(QuotaExceeded):
        await told.snapshots.create(NewSnapshot(volume_id=VOLUME))
    assert canned.requests.count(MAKE) == 1


async def test_a_snapshot_is_destroyed_when_it_is_made(told: Cloud, canned: Canned) -> None:
    canned.tell(DROP, REFUSED, None)
    canned.tell(LOOK, snapshot(status="creating"))
    await told.snapshots.destroy(ID)
    assert canned.requests == [DROP, LOOK, DROP]


async def test_a_snapshot_of_a_group_is_a_conflict(told: Cloud, canned: Canned) -> None:
    canned.tell(DROP, REFUSED)
    canned.tell(LOOK, snapshot())
    with pytest.raises(Conflict):
        await told.snapshots.destroy(ID)
