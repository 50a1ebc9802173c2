"""Jobs that another process goes on with, and what it still knows of them."""

import asyncio
import time
from pathlib import Path

import pytest
from sqlalchemy import text, update
from tests.jobs.lab import ANN, LONG_S, Diary, Lab, kind
from tests.targets.postgres import Server

from nimbi.jobs import Pace, Work
from nimbi.model.jobs import JobState
from nimbi.store.database import open_database
from nimbi.store.jobs import Hold
from nimbi.store.place import place_of
from nimbi.store.schema import jobs as table


async def test_what_was_done_is_not_done_again(lab: Lab) -> None:
    diary = Diary()
    came = diary.hold("two")
    names = ("one", "two", "three")
    async with lab.opened(diary.steps(*names)) as site:
        job = await site.jobs.start("steps", None, ANN)
        await came.wait()
    diary.held.clear()
    async with lab.opened(diary.steps(*names)) as site:
        job = await site.ended(job.id)
    assert diary.seen == ["one", "two", "two", "three"]
    assert (job.state, job.result, job.attempt) == (JobState.DONE, list(names), 2)


async def test_a_process_that_ends_waits_for_no_job(quick_lab: Lab) -> None:
    diary = Diary()
    came = diary.hold("one")
    async with asyncio.timeout(LONG_S):
        async with quick_lab.opened(diary.steps("one")) as site:
            job = await site.jobs.start("steps", None, ANN)
            await came.wait()
            for _ in range(5):
                await site.jobs.start("steps", None, ANN)
    async with quick_lab.opened(works=False) as site:
        assert (await site.jobs.get(job.id)).state is JobState.RUNNING


async def _forget_all(url: str, server: Server | None) -> None:
    """Lose what the engine knows, as after a restore of our own database alone."""
    place = place_of(url)
    if place.file is not None:
        for file in place.file.parent.glob(f"{place.file.name}.jobs*"):
            file.unlink()
        return
    assert server is not None
    server.run("drop schema dbos cascade", str(place.url.database))


async def test_a_job_starts_anew_when_the_engine_has_forgotten_it(
    lab: Lab, postgresql: Server
) -> None:
    diary = Diary()
    came = diary.hold("two")
    async with lab.opened(diary.steps("one", "two")) as site:
        job = await site.jobs.start("steps", None, ANN)
        await came.wait()
    await _forget_all(lab.url, postgresql)
    diary.held.clear()
    async with lab.opened(diary.steps("one", "two")) as site:
        job = await site.ended(job.id)
    assert diary.seen == ["one", "two", "one", "two"]
    assert job.state is JobState.DONE


async def test_a_job_is_done_again_when_our_own_end_of_it_was_lost(lab: Lab) -> None:
    diary = Diary()
    async with lab.opened(diary.steps("one")) as site:
        job = await site.done("steps")
    async with open_database(lab.url) as database, database.writing() as connection:
        sealed = lab.keyring.seal(b"null", f"job/{job.id}")
        await connection.execute(
            update(table).values(
                state="running", sealed=sealed.body, key_id=sealed.key_id, ended_us=None
            )
        )
    async with lab.opened(diary.steps("one")) as site:
        job = await site.ended(job.id)
    assert job.state is JobState.DONE
    assert diary.seen == ["one", "one"]


async def test_a_job_whose_steps_are_others_in_a_newer_version_starts_anew(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nimbi.jobs.worker.BEGIN_S", 0.5)
    diary = Diary()
    came = diary.hold("two")
    async with lab.opened(diary.steps("one", "two")) as site:
        job = await site.jobs.start("steps", None, ANN)
        await came.wait()
    diary.held.clear()
    async with lab.opened(diary.steps("zero", "one", "two")) as site:
        job = await site.ended(job.id)
    assert diary.seen == ["one", "two", "zero", "one", "two"]
    assert job.state is JobState.DONE


async def test_a_sleep_counts_from_its_first_begin(quick_lab: Lab) -> None:
    asleep = asyncio.Event()
    dues: list[float] = []

    async def due() -> float:
        dues.append(time.time())
        return dues[0]

    async def run(work: Work, _wish: None) -> None:
        await work.step("begin", due, type=float)
        asleep.set()
        await work.sleep(0.6)

    async with quick_lab.opened(kind("sleep", run)) as site:
        job = await site.jobs.start("sleep", None, ANN)
        await asleep.wait()
        await asyncio.sleep(0.1)
    async with quick_lab.opened(kind("sleep", run)) as site:
        job = await site.ended(job.id)
    assert job.state is JobState.DONE
    assert len(dues) == 1
    assert job.ended_at is not None
    assert job.ended_at.timestamp() >= dues[0] + 0.6


async def test_progress_does_not_go_back_when_another_goes_on(quick_lab: Lab) -> None:
    diary = Diary()
    came = diary.hold("two")

    async def run(work: Work, _wish: None) -> None:
        await work.progress(10, "one")
        await work.step("one", diary.note, "one", type=str)
        await work.progress(60, "two")
        await work.step("two", diary.note, "two", type=str)

    async with quick_lab.opened(kind("far", run)) as site:
        job = await site.jobs.start("far", None, ANN)
        await came.wait()
    came.clear()
    async with quick_lab.opened(kind("far", run)) as site:
        await came.wait()
        again = await site.jobs.get(job.id)
        diary.held["two"].set()
        await site.ended(job.id)
    assert (again.percent, again.phase) == (60, "two")


async def test_a_slot_that_is_lost_is_followed_by_another(quick_lab: Lab) -> None:
    diary = Diary()
    came = diary.hold("two")
    pace = Pace(lease_s=5.0, keep_s=0.05, look_s=0.05, idle_look_s=0.05)
    async with quick_lab.opened(diary.steps("one", "two"), pace=pace) as site:
        job = await site.jobs.start("steps", None, ANN)
        await came.wait()
        came.clear()
        # What happens to a process that stood still for longer than its lease.
        async with site.database.writing() as connection:
            await connection.execute(
                text("update leases set holder = 'other', fence = fence + 1 where name = 'jobs/1'")
            )
        await came.wait()
        diary.held["two"].set()
        job = await site.ended(job.id)
    assert (job.slot, job.attempt) == ("jobs/2", 2)
    assert diary.seen == ["one", "two", "two"]


async def test_a_step_of_an_older_holder_is_refused(quick_lab: Lab) -> None:
    diary = Diary()
    came = diary.hold("one")
    async with quick_lab.opened(diary.steps("one", "two")) as site:
        job = await site.jobs.start("steps", None, ANN)
        await came.wait()
        async with site.database.writing() as connection:
            await connection.execute(update(table).values(fence=7, slot="jobs/9", slot_fence=1))
        await site.leases.take("jobs/9", "other", 60)
        diary.held["one"].set()
        await site.jobs.wait(job.id, 0.5)
        job = await site.jobs.get(job.id)
    assert diary.seen == ["one"]
    assert (job.state, job.slot) == (JobState.RUNNING, "jobs/9")


async def test_what_a_dead_process_left_is_claimed_once(lab: Lab) -> None:
    diary = Diary()
    async with lab.opened(diary.steps("one"), works=False) as site:
        job = await site.jobs.start("steps", None, ANN)
        assert await site.leases.take("jobs/5", "a", 60) == 1
        assert await site.store.claim(job.id, Hold("jobs/5", 1))
        assert not await site.store.claim(job.id, Hold("jobs/6", 1))
        assert await site.store.waiting(["steps"]) == ()
        assert await site.store.waiting([]) == ()
        await site.leases.release("jobs/5", "a", 1)
        assert await site.store.waiting(["steps"]) == (job.id,)
        assert await site.store.adopt(job.id, Hold("jobs/6", 1)) is None


async def test_jobs_of_kinds_that_are_not_known_are_left_to_others(quick_lab: Lab) -> None:
    diary = Diary()
    async with quick_lab.opened(diary.steps("one"), works=False) as site:
        job = await site.jobs.start("steps", None, ANN)

    async def run(work: Work, _wish: None) -> None:
        await work.log("done")

    async with quick_lab.opened(kind("other", run)) as site:
        await site.done("other")
        assert (await site.jobs.get(job.id)).state is JobState.QUEUED


def _files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


async def test_arguments_and_results_are_not_readable_in_files(
    quick_lab: Lab, tmp_path: Path
) -> None:
    async def run(work: Work, wish: str) -> None:
        diary = Diary()
        await work.step("one", diary.note, "one", type=str)
        assert wish == "a-secret-of-the-caller"

    async with quick_lab.opened(kind("secret", run, str)) as site:
        job = await site.done("secret", "a-secret-of-the-caller")
        files = _files(tmp_path)
        mode = (tmp_path / "nimbi.db.jobs").stat().st_mode
    assert job.state is JobState.DONE
    assert any(name.endswith(".jobs") for name in files)
    assert mode & 0o077 == 0
    assert not [name for name, body in files.items() if b"a-secret" in body]


async def test_a_job_may_start_another(lab: Lab) -> None:
    diary = Diary()
    async with lab.opened(diary.steps("one")) as site:

        async def begin(id: str) -> str:
            return (await site.jobs.start("steps", None, ANN, id=id)).id

        async def run(work: Work, _wish: None) -> str:
            return await work.step("begin", begin, work.token("child"), type=str)

        site.jobs.add(kind("parent", run))
        parent = await site.done("parent")
        child = await site.ended(parent.result)
    assert child.state is JobState.DONE
    assert diary.seen == ["one"]
