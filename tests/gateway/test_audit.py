"""What hooks are told about calls."""

import asyncio
from datetime import UTC, datetime

import pytest

from nimbi.gateway.audit import REQUEST_ID, CallEvent, Hooks
from nimbi.model.errors import CloudError, NotFound, Throttled, Unsupported
from nimbi.model.instances import NewInstance

pytestmark = pytest.mark.looptime


@pytest.fixture
def told() -> list[CallEvent]:
    return []


@pytest.fixture
def cloud(make_cloud, told):
    return make_cloud(hooks=Hooks(told.append))


async def test_a_call_is_told_after_its_end(cloud, script, told):
    async def slow(_id):
        await asyncio.sleep(3)

    script["instances.get"] = [slow]
    before = datetime.now(UTC)
    await cloud.instances.get("i-1")
    (event,) = told
    assert before <= event.started_at <= datetime.now(UTC)
    assert (event.driver, event.provider, event.operation, event.session, event.seconds) == (
        "scripted", None, "instances.get", "5e55", 3,
    )  # fmt: skip
    assert (event.error_code, event.attempts, event.request_id) == (None, 1, None)


async def test_an_event_carries_the_request_id(cloud, told):
    token = REQUEST_ID.set("r-1")
    await cloud.instances.get("i-1")
    REQUEST_ID.reset(token)
    assert told[0].request_id == "r-1"


async def test_attempts_and_the_code_of_the_last_error_are_told(cloud, script, told):
    script["instances.get"] = [Throttled("t"), NotFound("n")]
    with pytest.raises(NotFound):
        await cloud.instances.get("i-1")
    assert [(event.attempts, event.error_code) for event in told] == [(2, "not_found")]


async def test_an_unknown_error_is_told_as_such(cloud, script, told):
    script["instances.get"] = [ValueError("hunter2")]
    with pytest.raises(CloudError):
        await cloud.instances.get("i-1")
    assert told[0].error_code == "cloud_error"


async def test_a_cancelled_call_is_told(cloud, script, told):
    async def hang(_id):
        await asyncio.sleep(100)

    script["instances.get"] = [hang]
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await cloud.instances.get("i-1")
    assert told[0].error_code == "cancelled"


async def test_what_is_refused_is_no_call(cloud, told):
    with pytest.raises(Unsupported):
        await cloud.instances.start("i-1")
    assert told == []


async def test_an_event_holds_nothing_of_arguments(cloud, told):
    await cloud.instances.create(NewInstance(image_id="a", user_data=b"hunter2"))
    assert "hunter2" not in repr(told[0])


async def test_a_hook_that_raises_breaks_no_call_and_is_logged_once(make_cloud, script, caplog):
    def broken(_event: CallEvent) -> None:
        raise ZeroDivisionError

    cloud = make_cloud(hooks=Hooks(broken))
    script["instances.get"] = ["answer"]
    assert [await cloud.instances.get("i-1") for _ in range(3)] == ["answer"] * 3
    assert [record.message for record in caplog.records] == ["the on_call hook raised; logged once"]
