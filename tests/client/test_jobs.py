"""Jobs and schedules by the client, against a server that does them."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from tests.client.desk import WAYS, Way, opened

from nimbi.cli.here import first_token
from nimbi.model.accounts import NewAccount
from nimbi.model.errors import Invalid, NotFound, Timeout
from nimbi.model.instances import NewInstance
from nimbi.model.jobs import JobState
from nimbi.model.schedules import NewSchedule, ScheduleChange
from nimbi.model.work import AnswerKind, Answers, Bulk, Choice, Launch, Launched
from nimbi.server import build_app
from nimbi.settings import Settings

LOGIN = {"user": "mockuser", "password": "mockpassword"}
MOCK = NewAccount(id="mock", driver="mock", credentials=LOGIN)
NEW = NewInstance(image_id="img1", name="web")
NEVER = Answers(kind=AnswerKind.AGENT, text="what nobody says")


@pytest.fixture(params=WAYS)
async def way(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Way]:
    settings = Settings(
        state_dir=str(tmp_path / "state"),
        driver="nimbi",
        frontends=("native",),
        log=str(tmp_path / "log"),
    )
    settings.state_path().mkdir(mode=0o700)
    token = await first_token(settings)
    async with opened(request.param, build_app(settings), token) as found:
        await found.do(lambda client: client.accounts.create(MOCK))
        yield found


async def test_a_job_is_begun_waited_for_and_read(way: Way) -> None:
    launch = Launch(account="mock", new=NEW, count=2)
    begun = await way.do(lambda client: client.jobs.start(launch, title="two"))
    job = await way.do(lambda client: client.jobs.wait(begun.id, 60))
    assert (job.state, job.title) == (JobState.DONE, "two")
    assert len(msgspec.convert(job.result, Launched).ids) == 2
    listed = await way.do(lambda client: client.jobs.all(kind="launch", mine=True))
    assert [one.id for one in listed] == [job.id]
    (line,) = await way.do(lambda client: client.jobs.log(job.id))
    assert line.text.startswith("made web-1 (inst")
    with pytest.raises(Invalid):
        await way.do(lambda client: client.jobs.start({}, kind="unknown"))
    with pytest.raises(NotFound):
        await way.do(lambda client: client.jobs.get("none"))


async def test_a_job_that_goes_on_is_cancelled(way: Way) -> None:
    launch = Launch(account="mock", new=NEW, answers=NEVER)
    begun = await way.do(lambda client: client.jobs.start(launch))
    with pytest.raises(Timeout):
        await way.do(lambda client: client.jobs.wait(begun.id, 1))
    await way.do(lambda client: client.jobs.cancel(begun.id))
    job = await way.do(lambda client: client.jobs.wait(begun.id, 60))
    assert job.state is JobState.CANCELLED


async def test_a_schedule_is_made_changed_run_and_removed(way: Way) -> None:
    bulk = Bulk(action="instances.stop", choice=Choice(accounts=("mock",)))
    arguments = msgspec.Raw(msgspec.json.encode(bulk))
    new = NewSchedule(kind="bulk", arguments=arguments, cron="0 20 * * *")
    made = await way.do(lambda client: client.schedules.create(new))
    assert await way.do(lambda client: client.schedules.get(made.id)) == made
    assert len((await way.do(lambda client: client.schedules.times(made.id, 3))).times) == 3
    change = ScheduleChange(is_enabled=False)
    paused = await way.do(lambda client: client.schedules.change(made.id, change))
    assert paused.next_at is None
    job = await way.do(lambda client: client.schedules.run(made.id))
    assert (await way.do(lambda client: client.jobs.wait(job.id, 60))).state is JobState.DONE
    await way.do(lambda client: client.schedules.destroy(made.id))
    assert await way.do(lambda client: client.schedules.all()) == ()


async def test_a_job_tells_why_it_failed(way: Way) -> None:
    launch = Launch(account="mock", new=NewInstance(image_id="none", name="web"))
    job = await way.do(lambda client: client.jobs.start(launch))
    ended = await way.do(lambda client: client.jobs.wait(job.id, 60))
    assert ended.state is JobState.FAILED
    assert ended.error is not None
    assert ended.error.code == Invalid.code


async def test_a_launch_in_no_account_is_never_begun(way: Way) -> None:
    launch = Launch(account="nowhere", new=NEW)
    with pytest.raises(NotFound):
        await way.do(lambda client: client.jobs.start(launch))
    assert await way.do(lambda client: client.jobs.all()) == ()
