"""Sessions: shared, bounded, closed."""

import asyncio

import pytest

from nimbi.driver.interface import UserAndPassword
from nimbi.model.errors import (
    CloudError,
    CloudUnavailable,
    Conflict,
    OutOfCapacity,
    Throttled,
    Timeout,
    Unauthorized,
)

pytestmark = pytest.mark.looptime

ANN = UserAndPassword("ann", "a")
BOB = UserAndPassword("bob", "b")


async def touch(clouds, *logins, provider=None):
    for login in logins:
        async with clouds.use("scripted", provider, login):
            pass


def users(script) -> list[str]:
    return [account.credentials.user for account in script.accounts]


async def test_one_login_has_one_session(make_clouds, script):
    clouds = make_clouds()
    same = UserAndPassword("ann", "a")
    async with (
        clouds.use("scripted", None, ANN) as first,
        clouds.use("scripted", None, same) as second,
    ):
        assert first is second
    await touch(clouds, ANN)
    assert users(script) == ["ann"]


async def test_drivers_providers_and_credentials_are_kept_apart(make_clouds, driver, script):
    clouds = make_clouds(drivers={"scripted": driver, "other": driver})
    found = []
    for name, provider, login in [
        ("scripted", None, ANN),
        ("scripted", "eu", ANN),
        ("scripted", None, BOB),
        ("scripted", None, UserAndPassword("ann", "b")),
        ("scripted", None, None),
        ("other", None, ANN),
    ]:
        async with clouds.use(name, provider, login) as cloud:
            found.append(cloud)
    assert len(set(found)) == 6
    assert [cloud.provider for cloud in found[:2]] == [None, "eu"]


async def test_a_driver_starts_once_for_all_sessions(make_clouds, script, tmp_path):
    await touch(make_clouds(settings={"scripted": {"size": 3}}), ANN, BOB)
    ((settings, place),) = script.starts
    assert (settings.size, place.state_dir) == (3, tmp_path / "scripted")


async def test_uses_at_the_same_time_open_one_session(make_clouds, script):
    async def slow(*_args):
        await asyncio.sleep(1)

    script["start"] = script["open"] = [slow]
    clouds = make_clouds()
    await asyncio.gather(*(touch(clouds, ANN) for _ in range(20)))
    assert (len(script.starts), len(script.accounts)) == (1, 1)


async def test_a_use_that_is_cancelled_does_not_stop_the_opening_for_others(make_clouds, script):
    async def slow(_account):
        await asyncio.sleep(2)

    script["open"] = [slow]
    clouds = make_clouds()
    first, second = (asyncio.create_task(touch(clouds, ANN)) for _ in range(2))
    await asyncio.sleep(1)
    first.cancel()
    await second
    assert first.cancelled()
    assert len(script.accounts) == 1


async def test_opening_that_fails_is_not_kept(make_clouds, script):
    script["open"] = [Unauthorized("no"), None]
    clouds = make_clouds()
    with pytest.raises(Unauthorized):
        await touch(clouds, ANN)
    await touch(clouds, ANN)
    assert users(script) == ["ann", "ann"]


async def test_opening_that_fails_fails_for_all_who_wait(make_clouds, script):
    async def slow(_account):
        await asyncio.sleep(1)
        raise Unauthorized("no")

    script["open"] = [slow]
    clouds = make_clouds()
    found = await asyncio.gather(*(touch(clouds, ANN) for _ in range(5)), return_exceptions=True)
    assert [type(error) for error in found] == [Unauthorized] * 5
    assert len(script.accounts) == 1


async def test_an_opening_that_fails_when_nobody_waits_any_more_is_not_kept(make_clouds, script):
    async def slow(_account):
        await asyncio.sleep(2)
        raise Unauthorized("no")

    script["open"] = [slow, None]
    clouds = make_clouds()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await touch(clouds, ANN)
    await asyncio.sleep(2)
    await touch(clouds, ANN)
    assert len(script.accounts) == 2


async def test_failing_logins_push_out_no_session(make_clouds, script):
    clouds = make_clouds(sessions=2)
    await touch(clouds, ANN)
    script["open"] = [Unauthorized("no")]
    for n in range(5):
        with pytest.raises(Unauthorized):
            await touch(clouds, UserAndPassword("eve", str(n)))
    await touch(clouds, ANN)
    assert users(script).count("ann") == 1


async def test_a_login_is_tried_again_after_a_passing_fault(make_clouds, script):
    script["open"] = [CloudUnavailable("c"), Throttled("t"), None]
    await touch(make_clouds(), ANN)
    assert len(script.accounts) == 3


async def test_a_driver_that_cannot_start_is_started_again_at_its_next_use(make_clouds, script):
    script["start"] = [OutOfCapacity("install qemu-system-x86"), None]
    clouds = make_clouds()
    with pytest.raises(OutOfCapacity, match="install"):
        await touch(clouds, ANN)
    await touch(clouds, ANN)
    assert len(script.starts) == 2


@pytest.mark.parametrize("step", ["start", "open"])
@pytest.mark.parametrize(("error", "mapped"), [(KeyError("x"), Conflict), (OSError(), CloudError)])
async def test_errors_of_opening_are_mapped(make_clouds, script, step, error, mapped):
    script[step] = [error]
    with pytest.raises(mapped) as raised:
        await touch(make_clouds(), ANN)
    assert type(raised.value) is mapped


async def test_opening_has_the_deadline_of_a_call(make_clouds, script, looptime):
    async def hang(_account):
        await asyncio.sleep(3600)

    script["open"] = [hang]
    with pytest.raises(Timeout, match="scripted did not open a session in time"):
        await touch(make_clouds(settings={"scripted": {"calls": {"deadline_s": 5}}}), ANN)
    assert looptime == 5


async def test_a_driver_that_starts_for_ever_is_a_timeout(make_clouds, script, looptime):
    async def hang():
        await asyncio.sleep(3600)

    script["start"] = [hang]
    with pytest.raises(Timeout, match="driver scripted did not start in time"):
        await touch(make_clouds(), ANN)
    assert looptime == 120


async def test_an_unused_session_is_closed_after_its_idle_time(make_clouds, script):
    clouds = make_clouds(idle_s=10)
    await touch(clouds, ANN)
    await asyncio.sleep(9)
    assert script.events == ["started", "opened"]
    await asyncio.sleep(2)
    assert script.events == ["started", "opened", "closed"]
    await touch(clouds, ANN)
    assert script.events == ["started", "opened", "closed", "opened"]


async def test_a_session_that_is_used_again_in_time_stays(make_clouds, script):
    clouds = make_clouds(idle_s=10)
    for _ in range(10):
        await touch(clouds, ANN)
        await asyncio.sleep(8)
    assert script.events == ["started", "opened"]


async def test_a_session_in_use_is_not_idle(make_clouds, script):
    clouds = make_clouds(idle_s=10)
    await touch(clouds, BOB)
    async with clouds.use("scripted", None, ANN):
        await asyncio.sleep(100)
        assert script.events.count("closed") == 1
    await asyncio.sleep(9)
    assert script.events.count("closed") == 1
    await asyncio.sleep(2)
    assert script.events.count("closed") == 2


async def test_an_old_session_is_replaced_and_closed_after_its_last_use(make_clouds, script):
    clouds = make_clouds(age_s=20, idle_s=1000)
    async with clouds.use("scripted", None, ANN) as old:
        await asyncio.sleep(20)
        async with clouds.use("scripted", None, ANN) as new:
            assert new is not old
        assert script.events.count("closed") == 0
    await asyncio.sleep(0)
    assert script.events.count("closed") == 1


async def test_an_old_unused_session_is_closed_at_its_next_use(make_clouds, script):
    clouds = make_clouds(age_s=20, idle_s=1000)
    await touch(clouds, ANN)
    await asyncio.sleep(21)
    await touch(clouds, ANN)
    assert sorted(script.events) == ["closed", "opened", "opened", "started"]


async def test_the_session_unused_for_longest_makes_room(make_clouds, script):
    clouds = make_clouds(sessions=2)
    eve = UserAndPassword("eve", "e")
    await touch(clouds, ANN, BOB, ANN, eve, ANN)
    assert users(script) == ["ann", "bob", "eve"]
    await touch(clouds, BOB)
    assert users(script) == ["ann", "bob", "eve", "bob"]


async def test_sessions_in_use_make_no_room(make_clouds, script):
    clouds = make_clouds(sessions=1)
    async with clouds.use("scripted", None, ANN):
        with pytest.raises(Throttled, match="all sessions are in use") as raised:
            await touch(clouds, BOB)
        assert raised.value.retry_after_s == 1
    await touch(clouds, BOB)
    assert users(script) == ["ann", "bob"]


async def test_a_session_that_is_unauthorized_is_not_used_again(make_clouds, script):
    clouds = make_clouds()
    script["instances.get"] = [Unauthorized("expired"), None]
    async with clouds.use("scripted", None, ANN) as cloud:
        with pytest.raises(Unauthorized):
            await cloud.instances.get("i-1")
        async with clouds.use("scripted", None, ANN) as other:
            assert other is not cloud
        with pytest.raises(Unauthorized):
            script["instances.get"] = [Unauthorized("expired")]
            await cloud.instances.get("i-1")
        async with clouds.use("scripted", None, ANN) as another:
            assert another is other
    await asyncio.sleep(0)
    assert script.events.count("closed") == 1


async def test_a_session_without_login_stays_when_something_needs_one(make_clouds, script):
    clouds = make_clouds()
    script["instances.get"] = [Unauthorized("log in first")]
    for _ in range(3):
        async with clouds.use("scripted", None, None) as cloud:
            with pytest.raises(Unauthorized):
                await cloud.instances.get("i-1")
    assert len(script.accounts) == 1


async def test_a_use_ends_when_its_block_raises(make_clouds, script):
    clouds = make_clouds(sessions=1)
    with pytest.raises(ZeroDivisionError):
        async with clouds.use("scripted", None, ANN):
            raise ZeroDivisionError
    await touch(clouds, BOB)
    assert users(script) == ["ann", "bob"]


async def test_closing_ends_sessions_then_drivers(make_clouds, script):
    clouds = make_clouds()
    await touch(clouds, ANN, BOB)
    await clouds.aclose()
    assert script.events == ["started", "opened", "opened", "closed", "closed", "ended"]
    with pytest.raises(CloudUnavailable):
        await touch(clouds, ANN)


async def test_closing_ends_sessions_in_use_too(make_clouds, script):
    clouds = make_clouds()
    async with clouds.use("scripted", None, ANN):
        await clouds.aclose()
        assert script.events[-2:] == ["closed", "ended"]


async def test_closing_while_a_session_opens_tells_who_waits(make_clouds, script):
    async def hang(_account):
        await asyncio.sleep(3600)

    script["open"] = [hang]
    clouds = make_clouds()
    waiting = asyncio.create_task(touch(clouds, ANN))
    await asyncio.sleep(1)
    await clouds.aclose()
    with pytest.raises(CloudUnavailable, match="closed before it was open"):
        await waiting


async def test_closing_waits_no_longer_than_told(make_clouds, script, looptime):
    async def hang(_account):
        await asyncio.sleep(3600)

    script["close"] = [hang]
    clouds = make_clouds(leave_s=5)
    await touch(clouds, ANN)
    await clouds.aclose()
    assert looptime == 5
    assert script.events == ["started", "opened", "ended"]


async def test_sessions_that_are_kept_open_are_counted(make_clouds):
    clouds = make_clouds(idle_s=10)
    assert clouds.open_sessions() == 0
    await touch(clouds, ANN, BOB, ANN)
    assert clouds.open_sessions() == 2
    await asyncio.sleep(20)
    assert clouds.open_sessions() == 0


async def test_closing_clouds_that_were_never_used_does_nothing(make_clouds, script):
    await make_clouds().aclose()
    assert script.events == []


async def test_a_session_that_does_not_close_cleanly_is_logged(make_clouds, script, caplog):
    script["close"] = [OSError("broken pipe")]
    clouds = make_clouds()
    await touch(clouds, ANN)
    await clouds.aclose()
    assert [record.message for record in caplog.records] == [
        "a session of scripted did not close cleanly"
    ]


async def test_a_session_is_entered_and_left_in_one_task(make_clouds, script):
    tasks = []

    async def note(*_args):
        tasks.append(asyncio.current_task())

    script["open"] = script["close"] = [note]
    clouds = make_clouds()
    await asyncio.create_task(touch(clouds, ANN))
    await clouds.aclose()
    assert len(tasks) == 2
    assert len(set(tasks)) == 1
    assert asyncio.current_task() not in tasks
