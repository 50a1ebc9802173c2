"""The audit as the broker's parts use it: before and after, together, and without secrets."""

import asyncio
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from tests.broker.whole import Whole

from nimbi.broker.access import ADMIN, Caller
from nimbi.broker.audit import HIDDEN, Audit, cloud_event, result_of, safe
from nimbi.broker.job_audit import JobAudit
from nimbi.driver.compute import Instances
from nimbi.gateway.audit import CLIENT, REQUEST_ID
from nimbi.model.accounts import Problem
from nimbi.model.audit import AuditEntry, AuditFilter, Phase
from nimbi.model.errors import Forbidden, NotFound
from nimbi.model.instances import NewInstance
from nimbi.model.jobs import Job, JobState
from nimbi.model.people import Owner
from nimbi.model.tokens import Scope
from nimbi.store.audit import ALL, AuditStore
from nimbi.store.errors import StoreUnavailable

START = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture
def audit(whole: Whole) -> Audit:
    return whole.broker.audit


async def every(audit: Audit, wish: AuditFilter = ALL) -> list[AuditEntry]:
    return [entry async for entry in audit.each(wish)]


async def test_an_end_repeats_what_began_and_names_what_was_made(audit: Audit) -> None:
    begun = await audit.begun(ADMIN, "volumes.create", account="aws", details={"size_gib": 8})
    await audit.ended(begun, "ok", "vol-1")
    first, last = await every(audit)
    assert (first.phase, first.result, first.thing) == (Phase.BEGUN, "open", None)
    assert (last.phase, last.began, last.result, last.thing) == (Phase.ENDED, begun, "ok", "vol-1")
    assert (last.operation, last.account, last.details) == (
        "volumes.create",
        "aws",
        {"size_gib": 8},
    )


async def test_the_request_and_the_address_are_those_of_the_context(audit: Audit) -> None:
    request, client = REQUEST_ID.set("req-7"), CLIENT.set("192.0.2.9")
    begun = await audit.begun(ADMIN, "volumes.create")
    REQUEST_ID.reset(request)
    CLIENT.reset(client)
    await audit.ended(begun)
    assert {(each.request_id, each.address) for each in await every(audit)} == {
        ("req-7", "192.0.2.9")
    }


async def test_another_process_can_tell_the_end(whole: Whole, audit: Audit) -> None:
    begun = await audit.begun(ADMIN, "volumes.create", account="aws", thing="vol-1")
    other = Audit(AuditStore(whole.broker.database))
    await other.ended(begun, "timeout")
    last = (await every(audit))[-1]
    assert (last.began, last.account, last.thing, last.result) == (begun, "aws", "vol-1", "timeout")
    with pytest.raises(NotFound):
        await other.ended(999)


async def test_entries_of_many_tasks_share_transactions_and_keep_one_order(
    whole: Whole, audit: Audit
) -> None:
    callers = [msgspec.structs.replace(ADMIN, name=f"n{n}") for n in range(150)]
    numbers = await asyncio.gather(*(audit.told(each, "things.touch") for each in callers))
    assert numbers == list(range(1, 151))
    assert [each.name for each in await every(audit)] == [each.name for each in callers]
    assert (await audit.verify()).is_whole


async def test_who_leaves_before_its_change_began_leaves_nothing_open(audit: Audit) -> None:
    asked = asyncio.create_task(audit.begun(ADMIN, "volumes.create"))
    await asyncio.sleep(0)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    async with asyncio.timeout(10):
        async for entry in audit.follow(ALL, 0):
            if entry is not None and entry.phase is Phase.ENDED:
                break
    assert [each.result for each in await every(audit)] == ["open", "cancelled"]


async def test_nothing_begins_when_it_cannot_be_written_down(whole: Whole) -> None:
    class Broken(AuditStore):
        async def append(self, entries: object) -> list[int]:
            raise StoreUnavailable("the database cannot be used just now")

    audit = Audit(Broken(whole.broker.database))
    with pytest.raises(StoreUnavailable):
        await audit.begun(ADMIN, "volumes.create")
    with pytest.raises(StoreUnavailable):
        await audit.told(ADMIN, "volumes.create")


def test_details_hold_no_secrets_and_are_short() -> None:
    told = {
        "password": "p",
        "Client-Secret": "s",
        "token": "t",
        "api_key": "k",
        "user_data": "u",
        "credentials": {"user": "x"},
        "nested": {"password": "p"},
        "name": "n" * 2000,
        "count": 3,
        "huge": 2**70,
        "ids": ["a", {"password": "p"}],
        "raw": b"bytes",
        "none": None,
    }
    found = safe(told)
    assert {name for name, value in found.items() if value == HIDDEN} == {
        *("password", "Client-Secret", "token", "api_key", "user_data", "credentials"),
        *("nested", "huge", "raw"),
    }
    assert len(found["name"]) == 512
    assert (found["count"], found["ids"], found["none"]) == (3, ["a", HIDDEN], None)
    assert len(safe({f"n{n}": n for n in range(100)})) == 20


async def test_what_a_database_and_json_cannot_hold_does_not_stop_an_entry(audit: Audit) -> None:
    odd = Caller(id="\ud800", name="a\0b", scopes=())
    await audit.told(odd, "x.y", details={"name": "\udfff\0", "nan": float("nan")})
    assert (await audit.verify()).is_whole


def test_each_error_has_a_result() -> None:
    assert result_of(Forbidden("no")) == "forbidden"
    assert result_of(asyncio.CancelledError()) == "cancelled"
    assert result_of(RuntimeError("secret")) == "internal"


async def test_a_cloud_event_has_a_subject_when_there_is_one(audit: Audit) -> None:
    await audit.told(ADMIN, "blobs.destroy", account="aws", thing="my bucket/a?b")
    await audit.told(ADMIN, "tokens.create")
    first, second = [cloud_event(each) for each in await every(audit)]
    assert first["subject"] == "aws/my%20bucket%2Fa%3Fb"
    assert first["type"] == "nimbi.audit.told.blobs.destroy"
    assert "subject" not in second


async def test_calls_to_clouds_are_written_down_before_and_after(whole: Whole) -> None:
    await whole.add("a")
    wish = NewInstance(name="web", image_id="img1", hardware_profile_id="m1-small")
    async with whole.broker.use(ADMIN, "a") as cloud:
        made = await cloud.call(Instances.create, wish)
        await cloud.call(Instances.get, made.id)
        with pytest.raises(NotFound):
            await cloud.call(Instances.destroy, "none")
    reader = Caller(id="t", name="reader", scopes=(Scope("read"),))
    async with whole.broker.use(reader, "a") as cloud:
        with pytest.raises(Forbidden):
            await cloud.call(Instances.destroy, made.id)
    told = [(e.operation, e.phase, e.result, e.thing) for e in await every(whole.broker.audit)]
    assert told == [
        ("instances.create", Phase.BEGUN, "open", "web"),
        ("instances.create", Phase.ENDED, "ok", made.id),
        ("instances.destroy", Phase.BEGUN, "open", "none"),
        ("instances.destroy", Phase.ENDED, "not_found", "none"),
        ("instances.destroy", Phase.TOLD, "forbidden", made.id),
    ]


async def test_jobs_are_written_down_when_they_begin_and_when_they_end(whole: Whole) -> None:
    turns = JobAudit(whole.broker.audit)
    job = Job(
        id="j1",
        kind="launch",
        title="t",
        owner=Owner(user="u1", name="Ada"),
        state=JobState.RUNNING,
        created_at=START,
    )
    ends = (
        job,
        msgspec.structs.replace(job, state=JobState.DONE),
        msgspec.structs.replace(job, state=JobState.CANCELLED),
        msgspec.structs.replace(job, state=JobState.FAILED, error=Problem("timeout", "late")),
        msgspec.structs.replace(job, owner=Owner(user="u1", name="Ada", tenant="gone")),
    )
    for each in ends:
        async with whole.broker.database.writing() as connection:
            await turns(connection, each)
    told = [(e.operation, e.result, e.user, e.owners) for e in await every(whole.broker.audit)]
    assert told == [
        ("jobs.begin", "ok", "u1", ("root",)),
        ("jobs.end", "ok", "u1", ("root",)),
        ("jobs.end", "cancelled", "u1", ("root",)),
        ("jobs.end", "timeout", "u1", ("root",)),
        ("jobs.begin", "ok", "u1", ("gone",)),
    ]


async def test_retention_removes_what_is_old_and_says_so(audit: Audit) -> None:
    for _ in range(3):
        await audit.told(ADMIN, "things.touch")
    assert await audit.prune(datetime.now(UTC) - timedelta(hours=1)) == 0
    assert await audit.prune(datetime.now(UTC) + timedelta(hours=1)) >= 3
    (left,) = await every(audit)
    assert (left.operation, left.name, left.details["through"]) == ("audit.prune", "retention", 3)
    assert (await audit.verify()).is_whole
