"""What is tried again, and when."""

import asyncio
import math

import pytest

from nimbi.gateway.limits import Limits
from nimbi.gateway.retry import pause_before_retry
from nimbi.model.buckets import NewBlob
from nimbi.model.errors import (
    CloudUnavailable,
    Conflict,
    NotFound,
    OutOfCapacity,
    Throttled,
    Timeout,
    UnknownOutcome,
)
from nimbi.model.instances import NewInstance

pytestmark = pytest.mark.looptime

PASSING = [Throttled("t"), CloudUnavailable("c"), Timeout("l"), UnknownOutcome("u")]


@pytest.mark.parametrize("error", PASSING, ids=lambda e: e.code)
async def test_a_safe_call_is_tried_again_after_a_passing_fault(cloud, script, instance, error):
    script["instances.get"] = [error, error, instance()]
    assert await cloud.instances.get("i-1") == instance()
    assert len(script.calls) == 3


@pytest.mark.parametrize("error", PASSING, ids=lambda e: e.code)
async def test_a_create_is_tried_again_with_the_same_token(cloud, script, instance, error):
    script["instances.create"] = [error, instance()]
    assert await cloud.instances.create(NewInstance(image_id="a")) == instance()
    first, second = (call[1].token for call in script.calls)
    assert first == second is not None


@pytest.mark.parametrize("lost", [Timeout("l"), UnknownOutcome("u")], ids=lambda e: e.code)
@pytest.mark.parametrize("refusal", [OutOfCapacity("o"), NotFound("n"), Conflict("c")])
async def test_a_refusal_after_a_lost_answer_does_not_say_that_nothing_was_made(
    cloud, script, lost, refusal
):
    script["instances.create"] = [lost, refusal]
    with pytest.raises(UnknownOutcome, match=refusal.message):
        await cloud.instances.create(NewInstance(image_id="a"))


async def test_a_refusal_after_one_that_did_nothing_stays_what_it_is(cloud, script):
    script["instances.create"] = [Throttled("t"), OutOfCapacity("o")]
    with pytest.raises(OutOfCapacity):
        await cloud.instances.create(NewInstance(image_id="a"))


@pytest.mark.parametrize("error", PASSING[1:], ids=lambda e: e.code)
async def test_what_must_not_happen_twice_is_not_tried_again(cloud, script, error):
    script["instances.reboot"] = [error, None]
    with pytest.raises(type(error)):
        await cloud.instances.reboot("i-1")
    assert len(script.calls) == 1


async def test_every_call_is_tried_again_when_throttled(cloud, script):
    script["instances.reboot"] = [Throttled("t"), None]
    await cloud.instances.reboot("i-1")
    assert len(script.calls) == 2


@pytest.mark.parametrize("error", PASSING, ids=lambda e: e.code)
async def test_a_stream_is_never_sent_again(cloud, script, error):
    async def chunks():
        yield b"x"

    script["blobs.write"] = [error, None]
    with pytest.raises(type(error)):
        await cloud.blobs.write(NewBlob(bucket_id="u", id="b"), chunks())
    assert len(script.calls) == 1


async def test_a_lasting_error_is_raised_at_once(cloud, script, looptime):
    script["instances.get"] = [Conflict("c"), None]
    with pytest.raises(Conflict):
        await cloud.instances.get("i-1")
    assert (len(script.calls), looptime) == (1, 0)


@pytest.mark.parametrize("error", [Timeout("l"), UnknownOutcome("u")], ids=lambda e: e.code)
async def test_a_destroy_that_may_have_worked_and_finds_nothing_is_done(cloud, script, error):
    script["instances.destroy"] = [error, CloudUnavailable("c"), NotFound("gone")]
    await cloud.instances.destroy("i-1")
    assert len(script.calls) == 3


@pytest.mark.parametrize("error", [Throttled("t"), CloudUnavailable("c")], ids=lambda e: e.code)
async def test_a_destroy_that_did_nothing_and_finds_nothing_is_not_found(cloud, script, error):
    script["instances.destroy"] = [error, NotFound("never there")]
    with pytest.raises(NotFound):
        await cloud.instances.destroy("i-1")


async def test_a_get_that_may_have_worked_and_finds_nothing_is_not_found(cloud, script):
    script["instances.get"] = [UnknownOutcome("u"), NotFound("n")]
    with pytest.raises(NotFound):
        await cloud.instances.get("i-1")


async def test_attempts_are_bounded_and_pauses_grow(make_cloud, script, looptime):
    cloud = make_cloud(Limits(attempts=4, backoff_s=1, backoff_max_s=3))
    script["instances.get"] = [CloudUnavailable("c")]
    with pytest.raises(CloudUnavailable):
        await cloud.instances.get("i-1")
    assert len(script.calls) == 4
    assert looptime == 1 + 2 + 3


async def test_one_attempt_is_no_repetition(make_cloud, script):
    script["instances.get"] = [CloudUnavailable("c")]
    with pytest.raises(CloudUnavailable):
        await make_cloud(Limits(attempts=1)).instances.get("i-1")
    assert len(script.calls) == 1


async def test_a_pause_that_the_cloud_asks_for_is_kept(make_cloud, script, looptime):
    cloud = make_cloud(Limits(backoff_s=1))
    script["instances.get"] = [Throttled("t", retry_after_s=20), None]
    await cloud.instances.get("i-1")
    assert looptime == 20 + 1


async def test_a_pause_that_does_not_fit_the_deadline_is_not_begun(make_cloud, script, looptime):
    cloud = make_cloud(Limits(deadline_s=30))
    script["instances.get"] = [Throttled("t", retry_after_s=30), None]
    with pytest.raises(Throttled) as raised:
        await cloud.instances.get("i-1")
    assert raised.value.retry_after_s == 30
    assert looptime == 0


async def test_the_deadline_is_over_all_attempts(make_cloud, script, looptime):
    async def dawdle(_id):
        await asyncio.sleep(4)
        raise CloudUnavailable("c")

    script["instances.get"] = [dawdle]
    with pytest.raises(Timeout):
        await make_cloud(Limits(deadline_s=10, backoff_s=0.5)).instances.get("i-1")
    assert (len(script.calls), looptime) == (3, 10)


async def test_a_call_that_is_cancelled_is_not_tried_again(cloud, script):
    async def hang(_id):
        await asyncio.sleep(10)

    script["instances.get"] = [hang]
    task = asyncio.create_task(cloud.instances.get("i-1"))
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(script.calls) == 1


@pytest.mark.parametrize("seconds", [math.inf, 1e300])
def test_a_pause_without_end_is_not_begun(seconds: float):
    error = Throttled("t", retry_after_s=seconds)
    assert pause_before_retry(error, 1, Limits(), 60, lambda: 1.0) is None


@pytest.mark.parametrize("seconds", [-5, -math.inf, math.nan])
def test_a_pause_that_makes_no_sense_is_none(seconds: float):
    error = Throttled("t", retry_after_s=seconds)
    assert pause_before_retry(error, 1, Limits(backoff_s=2), 60, lambda: 0.5) == 1


def test_jitter_is_over_the_whole_pause():
    pauses = [
        pause_before_retry(CloudUnavailable("c"), 3, Limits(backoff_s=1), 60, lambda r=r: r)
        for r in (0.0, 0.25, 1.0)
    ]
    assert pauses == [0, 1, 4]
