"""Launches: one machine or many, and what becomes of those that fail."""

import msgspec
import pytest
from tests.broker.work.shop import Shop, launch

from nimbi.drivers.mock.faults import LostReply, NoCapacity, Outage, Quota
from nimbi.model.errors import Forbidden, NotFound
from nimbi.model.jobs import JobFilter, JobState
from nimbi.model.work import AnswerKind, Answers, Launched, OnFailure

LOST = LostReply(operations=("instances.create",))


async def test_a_launch_makes_one_machine_and_waits_until_it_runs(shop: Shop) -> None:
    launched = await shop.did("launch", launch(), Launched)
    assert [instance.id for instance in shop.instances()] == list(launched.ids)
    assert shop.names() == ["web"]
    assert launched.failures == ()


async def test_machines_of_one_launch_are_numbered(shop: Shop) -> None:
    launched = await shop.did("launch", launch(count=12), Launched)
    assert len(launched.ids) == 12
    assert shop.names() == sorted(f"web-{n}" for n in range(1, 13))


@pytest.mark.parametrize("on_failure", OnFailure)
async def test_lost_replies_double_nothing(shop: Shop, on_failure: OnFailure) -> None:
    shop.spoil(lost_reply=LostReply(operations=("instances.create",), calls=7))
    launched = await shop.did("launch", launch(count=3, on_failure=on_failure), Launched)
    assert len(launched.ids) == 3
    assert shop.names() == ["web-1", "web-2", "web-3"]


async def test_keep_leaves_those_that_run_and_tells_the_others(shop: Shop) -> None:
    shop.spoil(quota=Quota(instances=2))
    launched = await shop.did("launch", launch(count=3), Launched)
    assert len(launched.ids) == len(shop.instances()) == 2
    assert [failure.problem.code for failure in launched.failures] == ["quota_exceeded"]


async def test_roll_back_leaves_nothing(shop: Shop) -> None:
    shop.spoil(quota=Quota(instances=2))
    job = await shop.ended(
        await shop.started("launch", launch(count=3, on_failure=OnFailure.ROLL_BACK))
    )
    assert (job.state, job.error.code if job.error else "") == (JobState.FAILED, "quota_exceeded")
    assert shop.instances() == ()


async def test_retry_missing_makes_again_what_had_no_room(shop: Shop) -> None:
    shop.spoil(out_of_capacity=NoCapacity(calls=2))
    wish = launch(count=3, on_failure=OnFailure.RETRY_MISSING)
    launched = await shop.did("launch", wish, Launched)
    assert len(launched.ids) == 3
    assert shop.names() == ["web-1", "web-2", "web-3"]
    job = (await shop.whole.broker.jobs.page(JobFilter()))[0][0]
    assert (job.title, job.activity) == ("launch web x 3", "")
    texts = [line.text for line in await shop.whole.broker.jobs.log(job.id)]
    assert sum(text.startswith("made ") for text in texts) >= 1
    assert len(texts) == len(set(texts))


async def test_what_passes_is_waited_out(shop: Shop) -> None:
    # More often than the gateway itself tries again.
    shop.spoil(outage=Outage(operations=("instances.create",), calls=6))
    launched = await shop.did("launch", launch(), Launched)
    assert len(launched.ids) == len(shop.instances()) == 1


async def test_a_launch_of_nothing_fails_with_the_clouds_reason(shop: Shop) -> None:
    new = launch().new
    wish = launch(new=msgspec.structs.replace(new, image_id="nothing"))
    job = await shop.ended(await shop.started("launch", wish))
    assert job.state is JobState.FAILED
    assert job.error is not None
    assert job.error.code in {"not_found", "invalid"}
    assert shop.instances() == ()


async def test_the_same_id_is_the_same_launch(shop: Shop) -> None:
    await shop.did("launch", launch(), Launched, id="one")
    await shop.did("launch", launch(), Launched, id="one")
    assert shop.names() == ["web"]


async def test_a_cancelled_launch_takes_away_what_it_made(shop: Shop) -> None:
    # Its agent never says that.
    answers = Answers(kind=AnswerKind.AGENT, text="what nobody says")
    job = await shop.started("launch", launch(count=3, answers=answers))
    await shop.until(lambda: len(shop.instances()) == 3)
    await shop.whole.broker.jobs.cancel(job.id, job.owner)
    assert (await shop.ended(job)).state is JobState.CANCELLED
    assert shop.instances() == ()


async def test_a_cancelled_launch_keeps_what_it_made_when_told_so(shop: Shop) -> None:
    answers = Answers(kind=AnswerKind.AGENT, text="what nobody says")
    job = await shop.started("launch", launch(answers=answers, keep=True))
    await shop.until(lambda: len(shop.instances()) == 1)
    await shop.whole.broker.jobs.cancel(job.id, job.owner)
    assert (await shop.ended(job)).state is JobState.CANCELLED
    assert shop.names() == ["web"]


async def test_lost_replies_leave_nothing_behind_a_cancel(shop: Shop) -> None:
    shop.spoil(lost_reply=LOST)
    job = await shop.started("launch", launch(count=2))
    await shop.until(lambda: len(shop.instances()) == 2)
    await shop.whole.broker.jobs.cancel(job.id, job.owner)
    shop.spoil()
    assert (await shop.ended(job)).state is JobState.CANCELLED
    assert shop.instances() == ()


async def test_a_launch_waits_until_the_agent_says_so(shop: Shop) -> None:
    # The mock's console has the prompt of a login at its end.
    wish = launch(answers=Answers(kind=AnswerKind.AGENT, text="login:"))
    assert len((await shop.did("launch", wish, Launched)).ids) == 1


async def test_a_machine_that_does_not_answer_in_time_is_told(shop: Shop) -> None:
    answers = Answers(kind=AnswerKind.AGENT, text="what nobody says")
    job = await shop.ended(await shop.started("launch", launch(answers=answers, patience_s=1)))
    assert job.error is not None
    assert job.error.code == "timeout"
    # There is something to look at.
    assert shop.names() == ["web"]


async def test_nobody_launches_beyond_their_rights(shop: Shop) -> None:
    wish = launch()
    stranger = msgspec.structs.replace(shop.owner, user="nobody", name="nobody")
    with pytest.raises(Forbidden):
        await shop.whole.broker.jobs.start("launch", wish, stranger, id="beyond")
    with pytest.raises(NotFound):
        await shop.whole.broker.jobs.get("beyond")
    assert shop.instances() == ()
