"""Jobs when the database fails, keys are missing, slots are taken, and who listens raises."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncConnection
from tests.jobs.lab import ANN, QUICK, Diary, Lab, kind

from nimbi.jobs import Jobs, Work, slots
from nimbi.jobs.slots import NoSlot
from nimbi.model.errors import CloudError
from nimbi.model.jobs import Job, JobState
from nimbi.store.errors import StoreUnavailable
from nimbi.store.jobs import JobStore
from nimbi.store.keys import new_key
from nimbi.store.sealing import Keyring


@contextmanager
def failing(
    words: str, times: int = 1, error: type[DBAPIError] = OperationalError
) -> Iterator[list[str]]:
    """Have statements with these words in them fail so often; give those that did."""
    failed: list[str] = []

    def fail(_conn: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        plain = " ".join(statement.lower().replace('"', "").split())
        if words in plain and len(failed) < times:
            failed.append(statement)
            raise error(statement, None, sqlite3.OperationalError("disk I/O error"))

    event.listen(Engine, "before_cursor_execute", fail)
    try:
        yield failed
    finally:
        event.remove(Engine, "before_cursor_execute", fail)


async def test_a_step_waits_until_the_database_is_back(quick_lab: Lab) -> None:
    diary = Diary()
    came = diary.hold("one")
    async with quick_lab.opened(diary.steps("one", "two")) as site:
        job = await site.jobs.start("steps", None, ANN)
        await came.wait()
        with failing("select jobs.state, jobs.fence", 2) as failed:
            diary.held["one"].set()
            job = await site.ended(job.id)
    assert job.state is JobState.DONE
    assert diary.seen == ["one", "two"]
    assert len(failed) == 2


async def test_a_step_that_needs_the_database_is_done_again_when_it_is_back(
    quick_lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    tries: list[int] = []

    async def needy() -> int:
        tries.append(1)
        if len(tries) == 1:
            raise StoreUnavailable("the database cannot be used just now")
        return len(tries)

    async def run(work: Work, _wish: None) -> int:
        return await work.step("needy", needy, type=int)

    async with quick_lab.opened(kind("needy", run)) as site:
        job = await site.done("needy")
    assert (job.state, job.result) == (JobState.DONE, 2)
    assert "waits for the database" in caplog.text


async def test_a_job_that_cannot_be_begun_is_begun_later(
    quick_lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    diary = Diary()
    async with quick_lab.opened(diary.steps("one")) as site:
        await site.done("steps")
        with failing("into main.workflow_status", 1, ProgrammingError) as failed:
            job = await site.done("steps")
    assert job.state is JobState.DONE
    assert failed
    assert "cannot be begun now" in caplog.text


@pytest.mark.parametrize("words", ["update leases", "jobs.slot", "from jobs where jobs.state"])
async def test_a_worker_survives_a_failure_of_the_database(quick_lab: Lab, words: str) -> None:
    pace = slots.Pace(lease_s=5.0, keep_s=0.05, look_s=0.05, idle_look_s=0.05)
    diary = Diary()
    async with quick_lab.opened(diary.steps("one"), pace=pace) as site:
        await site.done("steps")
        with failing(words, 2) as failed:
            async with asyncio.timeout(20):
                while len(failed) < 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
        job = await site.done("steps")
    assert job.state is JobState.DONE


async def test_an_engine_that_cannot_begin_is_begun_again(
    quick_lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    diary = Diary()
    with failing("application_versions", 1) as failed:
        async with quick_lab.opened(diary.steps("one")) as site:
            job = await site.done("steps")
    assert job.state is JobState.DONE
    assert failed
    assert "jobs wait" in caplog.text or "begun" in caplog.text


async def test_a_job_whose_arguments_no_key_opens_waits_for_its_key(
    quick_lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    diary = Diary()
    async with quick_lab.opened(diary.steps("one"), works=False) as site:
        job = await site.jobs.start("steps", None, ANN)
    other = Lab(quick_lab.url, Keyring.of(new_key()))
    async with other.opened(diary.steps("one")) as site, asyncio.timeout(20):
        while "which is not given" not in caplog.text:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        assert (await site.jobs.get(job.id)).is_ended is False
    async with quick_lab.opened(diary.steps("one")) as site:
        assert (await site.ended(job.id)).state is JobState.DONE


async def test_arguments_of_an_older_form_fail_the_job(quick_lab: Lab) -> None:
    async def run(work: Work, number: int) -> int:
        return number

    async with quick_lab.opened(kind("form", run, str), works=False) as site:
        job = await site.jobs.start("form", "one", ANN)
    async with quick_lab.opened(kind("form", run, int)) as site:
        job = await site.ended(job.id)
    assert job.error is not None
    assert job.error.code == "invalid"


async def test_steps_of_jobs_that_ended_long_ago_are_forgotten(
    quick_lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    diary = Diary()
    came = diary.hold("two")
    async with quick_lab.opened(diary.steps("one"), kind("other", _nothing)) as site:
        await site.done("steps")
    async with quick_lab.opened(diary.steps("one", "two")) as site:
        going_on = await site.jobs.start("steps", None, ANN)
        await came.wait()
    diary.held.clear()
    monkeypatch.setattr("nimbi.jobs.worker.STEPS_AGE", timedelta(days=-1))
    async with quick_lab.opened(diary.steps("one", "two")) as site:
        assert (await site.ended(going_on.id)).state is JobState.DONE
        await site.done("steps")
    with sqlite3.connect(tmp_path / "nimbi.db.jobs") as connection:
        known = connection.execute("select workflow_uuid from workflow_status").fetchall()
    connection.close()
    assert len(known) == 2
    assert (going_on.id,) in known


async def _nothing(_work: Work, _wish: None) -> None:
    return None


async def test_forgetting_that_fails_stops_no_job(
    quick_lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    diary = Diary()
    with failing("workflow_status.created_at <", 1, ProgrammingError):
        async with quick_lab.opened(diary.steps("one")) as site:
            assert (await site.done("steps")).state is JobState.DONE
            async with asyncio.timeout(20):
                while "is not forgotten yet" not in caplog.text:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)


async def test_without_a_free_slot_jobs_wait(
    quick_lab: Lab, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(slots, "MOST_SLOTS", 1)
    diary = Diary()
    async with quick_lab.opened(diary.steps("one")) as site:
        assert await site.leases.take("jobs/1", "other", 60) == 1
        with pytest.raises(NoSlot):
            await slots.take(site.leases, "this", 60)
        job = await site.jobs.start("steps", None, ANN)
        async with asyncio.timeout(20):
            while "jobs wait" not in caplog.text:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        await site.leases.release("jobs/1", "other", 1)
        assert (await site.ended(job.id)).state is JobState.DONE


async def test_somebody_is_told_of_begin_and_end_and_it_waits_for_that(quick_lab: Lab) -> None:
    told: list[JobState] = []

    async def turn(_connection: AsyncConnection, job: Job) -> None:
        told.append(job.state)
        if len(told) == 1:
            raise StoreUnavailable("not now")

    diary = Diary()
    async with quick_lab.opened(works=False) as site:
        store = JobStore(site.database, quick_lab.keyring, turn)
        steps = diary.steps("one")
        parts = (store, site.leases, site.database.place, [steps])
        jobs = Jobs(*parts, holder="h", pace=QUICK)
        assert dict(jobs.kinds) == {"steps": steps}
        async with jobs.running():
            job = await jobs.start("steps", None, ANN)
            job = await jobs.wait(job.id, 60)
    assert job.state is JobState.DONE
    assert told == [JobState.RUNNING, JobState.RUNNING, JobState.DONE]


async def test_a_cloud_error_that_is_not_known_is_one_all_the_same(quick_lab: Lab) -> None:
    async def odd() -> None:
        raise CloudError("odd")

    async def run(work: Work, _wish: None) -> None:
        await work.step("odd", odd, type=type(None))

    async with quick_lab.opened(kind("odd", run)) as site:
        job = await site.done("odd")
    assert job.error is not None
    assert job.error.code == "cloud_error"
