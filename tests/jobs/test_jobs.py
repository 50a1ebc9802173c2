"""Jobs from their start to their end, in one process."""

import asyncio
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy.ext.asyncio import AsyncConnection
from tests.jobs.lab import ANN, Diary, Lab, kind

from nimbi.jobs import JobCancelled, Work
from nimbi.model.errors import Conflict, Invalid, NotFound, Throttled
from nimbi.model.jobs import Job, JobFilter, JobState
from nimbi.store.events import EventStore


class Wish(msgspec.Struct):
    number: int
    secret: str = ""


async def _twice(number: int) -> int:
    return number * 2


async def _double(work: Work, wish: Wish) -> int:
    first = await work.step("first", _twice, wish.number, type=int)
    await work.progress(50, "doubling", "once more")
    await work.log(f"the first is {first}")
    await work.log("again")
    await work.log("again")
    return await work.step("second", _twice, first, type=int)


async def test_a_job_is_done_and_tells_how_far_it_is(lab: Lab) -> None:
    async with lab.opened(kind("double", _double, Wish)) as site:
        job = await site.done("double", Wish(3), title="Double three")
        events = await EventStore(site.database).after(0, collections=["jobs"])
        lines = [line.text for line in await site.jobs.log(job.id)]
    assert (job.state, job.result, job.percent, job.attempt) == (JobState.DONE, 12, 100, 1)
    assert (job.title, job.owner, job.error) == ("Double three", ANN, None)
    assert job.created_at <= job.started_at <= job.ended_at  # type: ignore[operator]
    assert lines == ["the first is 6", "again", "again"]
    assert {event.thing_id for event in events} == {job.id}
    told = [msgspec.json.decode(event.body, type=Job) for event in events if event.body]
    assert [(one.state.value, one.percent) for one in told] == [
        ("queued", 0),
        ("running", 0),
        ("running", 50),
        ("done", 100),
    ]
    assert told[2].phase == "doubling"
    assert told[2].estimate_at is not None


async def test_the_same_id_is_the_same_job(lab: Lab) -> None:
    written = []

    async def along(_connection: AsyncConnection, id: str) -> None:
        written.append(id)

    async with lab.opened(kind("double", _double, Wish)) as site:
        first = await site.done("double", Wish(3), id="mine", along=along)
        second = await site.done("double", Wish(4), id="mine", along=along)
    assert first == second
    assert written == ["mine"]


async def test_what_goes_along_decides_with_the_job(lab: Lab) -> None:
    async def along(_connection: AsyncConnection, _id: str) -> None:
        raise Conflict("too late")

    async with lab.opened(kind("double", _double, Wish)) as site:
        with pytest.raises(Conflict):
            await site.jobs.start("double", Wish(3), ANN, id="mine", along=along)
        with pytest.raises(NotFound):
            await site.jobs.get("mine")


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("none", {"number": 1}),
        ("double", {"number": "one"}),
        ("double", object()),
        ("double", {"number": 1, "secret": "x" * 2_000_000}),
    ],
)
async def test_a_job_of_no_kind_and_with_wrong_arguments_is_refused(
    quick_lab: Lab, name: str, arguments: Any
) -> None:
    async with quick_lab.opened(kind("double", _double, Wish), works=False) as site:
        with pytest.raises(Invalid):
            await site.jobs.start(name, arguments, ANN)


@pytest.mark.parametrize("id", ["", "x" * 101, "a\nb"])
async def test_an_id_that_cannot_be_one_is_refused(quick_lab: Lab, id: str) -> None:
    async with quick_lab.opened(kind("double", _double, Wish), works=False) as site:
        with pytest.raises(Invalid):
            await site.jobs.start("double", Wish(1), ANN, id=id)


async def test_two_kinds_of_one_name_are_refused(quick_lab: Lab) -> None:
    with pytest.raises(ValueError, match="double"):
        async with quick_lab.opened(kind("double", _double), kind("double", _double)):
            pass


async def test_an_error_of_a_step_is_that_of_the_job(lab: Lab) -> None:
    async def full() -> None:
        raise Throttled("too many", 3.5)

    async def run(work: Work, _wish: None) -> None:
        await work.step("full", full, type=type(None))

    async with lab.opened(kind("full", run)) as site:
        job = await site.done("full")
    assert job.state is JobState.FAILED
    assert job.error is not None
    assert (job.error.code, job.error.retry_after_s) == ("throttled", 3.5)


async def test_a_job_that_fails_of_itself_tells_nobody_why(
    quick_lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    async def run(_work: Work, _wish: None) -> None:
        raise RuntimeError("the password is xyzzy")

    async with quick_lab.opened(kind("broken", run)) as site:
        job = await site.done("broken")
    assert job.state is JobState.FAILED
    assert job.error is not None
    assert job.error.code == "internal"
    assert "xyzzy" not in job.error.message
    assert "failed of itself" in caplog.text


async def test_a_step_that_fails_of_itself_fails_the_job(quick_lab: Lab) -> None:
    async def broken() -> str:
        return "x" * 100_000

    async def run(work: Work, _wish: None) -> None:
        await work.step("broken", broken, type=str)

    async with quick_lab.opened(kind("broken", run)) as site:
        job = await site.done("broken")
    assert job.error is not None
    assert job.error.code == "internal"


async def test_a_cancelled_job_cleans_up_and_ends(lab: Lab) -> None:
    diary = Diary()
    asleep = asyncio.Event()

    async def run(work: Work, _wish: None) -> None:
        try:
            await work.step("make", diary.note, "make", type=str)
            asleep.set()
            await work.sleep(3600)
        except JobCancelled:
            undoing = work.undoing()
            await undoing.step("undo", diary.note, "undo", type=str)
            await undoing.sleep(0.01)
            await undoing.pause(0.01)
            raise

    async with lab.opened(kind("long", run)) as site:
        job = await site.jobs.start("long", None, ANN)
        await asleep.wait()
        cancelling = await site.jobs.cancel(job.id, ANN)
        job = await site.ended(job.id)
        again = await site.jobs.cancel(job.id, ANN)
    assert cancelling.state is JobState.CANCELLING
    assert (job.state, again) == (JobState.CANCELLED, job)
    assert diary.seen == ["make", "undo"]


async def test_a_job_cancelled_before_it_begins_makes_nothing(lab: Lab) -> None:
    diary = Diary()
    async with lab.opened(diary.steps("one"), works=False) as site:
        job = await site.jobs.start("steps", None, ANN)
        await site.jobs.cancel(job.id, ANN)
    async with lab.opened(diary.steps("one")) as site:
        job = await site.ended(job.id)
    assert job.state is JobState.CANCELLED
    assert diary.seen == []


async def test_a_step_that_waits_ends_when_the_job_is_cancelled(quick_lab: Lab) -> None:
    waiting = asyncio.Event()

    async def run(work: Work, _wish: None) -> None:
        async def look() -> None:
            while True:
                waiting.set()
                await work.pause(0.02)

        await work.step("look", look, type=type(None))

    async with quick_lab.opened(kind("look", run)) as site:
        job = await site.jobs.start("look", None, ANN)
        await waiting.wait()
        await site.store.cancel(job.id)  # as another process does it
        job = await site.ended(job.id)
    assert job.state is JobState.CANCELLED


async def test_steps_together_all_come_to_an_end(lab: Lab) -> None:
    diary = Diary()

    async def refused() -> str:
        raise Conflict("no")

    async def run(work: Work, _wish: None) -> list[str]:
        names = ("a", "b", "c")
        done = await work.together(*(work.step(name, diary.note, name, type=str) for name in names))
        with pytest.raises(Conflict):
            await work.together(
                work.step("refused", refused, type=str),
                work.step("d", diary.note, "d", type=str),
            )
        return done

    async with lab.opened(kind("many", run)) as site:
        job = await site.done("many")
    assert job.result == ["a", "b", "c"]
    assert sorted(diary.seen) == ["a", "b", "c", "d"]


async def test_tokens_are_of_the_job_and_its_parts(quick_lab: Lab) -> None:
    async def run(work: Work, _wish: None) -> list[str]:
        return [work.token("a", 1), work.token("a", 1), work.token("a", 2)]

    async with quick_lab.opened(kind("tokens", run)) as site:
        first = (await site.done("tokens")).result
        second = (await site.done("tokens")).result
    assert first[0] == first[1]
    assert len({*first, *second}) == 4


async def test_what_was_reserved_is_given_back_in_the_transaction_of_the_end(lab: Lab) -> None:
    settled: list[tuple[str, JobState]] = []

    async def settle(_connection: AsyncConnection, job: Job) -> None:
        settled.append((job.id, job.state))

    async def run(_work: Work, wish: str) -> None:
        if wish == "fail":
            raise Conflict("no")

    async with lab.opened(kind("reserved", run, str, settle=settle)) as site:
        done = await site.done("reserved", "go")
        failed = await site.done("reserved", "fail")
    assert settled == [(done.id, JobState.DONE), (failed.id, JobState.FAILED)]


async def test_lists_show_the_newest_first_by_pages(lab: Lab) -> None:
    other = msgspec.structs.replace(ANN, user="u2", tenant="zoo")
    async with lab.opened(kind("double", _double, Wish), works=False) as site:
        for number in range(5):
            await site.jobs.start("double", Wish(number), ANN, id=f"j{number}")
        await site.jobs.start("double", Wish(9), other, id="z")
        first, marker = await site.jobs.page(JobFilter(tenants=("acme",)), None, 2)
        second, marker = await site.jobs.page(JobFilter(tenants=("acme",)), marker, 2)
        third, last = await site.jobs.page(JobFilter(tenants=("acme",)), marker, 2)
        others, _ = await site.jobs.page(JobFilter(users=("u2",)))
        none, _ = await site.jobs.page(JobFilter(kinds=("x",), states=(JobState.DONE,)))
        for wrong in ("x", "12", "-j1", "9" * 30 + "-a", "٣-a"):
            with pytest.raises(Invalid):
                await site.jobs.page(JobFilter(), wrong)
        counts = await site.store.counts()
    assert [job.id for job in (*first, *second, *third)] == ["j4", "j3", "j2", "j1", "j0"]
    assert (last, [job.id for job in others], none) == (None, ["z"], ())
    assert counts == {JobState.QUEUED: 6}


async def test_ended_jobs_are_forgotten_with_their_logs(lab: Lab) -> None:
    async with lab.opened(kind("double", _double, Wish)) as site:
        job = await site.done("double", Wish(1))
        now = datetime.now(UTC)
        kept = await site.jobs.prune(now - timedelta(days=1))
        gone = await site.jobs.prune(now + timedelta(days=1))
        lines = await site.store.lines(job.id)
        with pytest.raises(NotFound):
            await site.jobs.log(job.id)
    assert (kept, gone, lines) == (0, 1, ())


async def test_who_waits_gets_the_job_as_it_is_when_the_time_is_over(quick_lab: Lab) -> None:
    async with quick_lab.opened(kind("double", _double, Wish), works=False) as site:
        job = await site.jobs.start("double", Wish(1), ANN)
        assert (await site.jobs.wait(job.id, 0.01)).state is JobState.QUEUED
        with pytest.raises(NotFound):
            await site.jobs.wait("none", 1)


PROGRAM = """
import asyncio, sys
from pathlib import Path
from nimbi.store.keys import new_key
from nimbi.store.sealing import Keyring
from tests.jobs.lab import Diary, Lab

async def main():
    diary = Diary()
    async with Lab(sys.argv[1], Keyring.of(new_key())).opened(diary.steps("one")) as site:
        assert "dbos" not in sys.modules
        await site.done("steps")
        assert "dbos" in sys.modules

asyncio.run(main())
"""


def test_the_engine_is_loaded_by_the_first_job_and_prints_nothing(quick_lab: Lab) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, quick_lab.url], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
