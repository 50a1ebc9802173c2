"""Polling in the background: by one process, at the right pace, behind those who wait."""

import asyncio
from datetime import UTC, datetime, timedelta

import msgspec
from tests.broker.sites import CREDENTIALS, Site, part_of, soon

from nimbi.broker.inventory.schedule import USUAL
from nimbi.driver.compute import Instances
from nimbi.drivers.mock.faults import Faults, Latency, Outage, Throttle
from nimbi.model.accounts import AccountChange, HealthState, PartState
from nimbi.model.errors import CloudError, CloudUnavailable
from nimbi.model.instances import NewInstance
from nimbi.model.inventory import EventKind


async def known(site: Site, account: str = "one") -> set[str]:
    """Return what is known of an account, asking nobody."""
    rows = await site.list(accounts=(account,))
    return {msgspec.json.decode(row)["id"] for row in rows.items}


async def polled(site: Site, account: str = "one", name: str = "instances") -> bool:
    state = await site.store.state(account, name)
    return state is not None and state.polled_at is not None


async def due_now(site: Site, account: str = "one", name: str = "instances") -> None:
    await site.store.polls.hurry(account, name, datetime.now(UTC))


async def test_all_collections_of_an_account_are_polled(site: Site) -> None:
    await site.add("one")
    async with site.inventory.polling():
        await soon(lambda: polled(site, name="images"))
        states = await site.store.polls.of_account("one")
    assert {"instances", "volumes", "buckets", "realms"} <= set(states)
    assert not {"quotas", "metrics", "blobs"} & set(states)
    account = await site.accounts.get("one")
    assert account.health.state is HealthState.OK


async def test_what_is_made_without_us_appears_and_is_an_event(site: Site) -> None:
    await site.add("one")
    async with site.inventory.polling():
        await soon(lambda: polled(site))
        before = await site.events.newest()
        async with site.cloud("one") as cloud:
            made = await cloud.call(Instances.create, NewInstance(image_id="img1"))
        await due_now(site)
        await soon(lambda: _has(site, made.id))
    events = await site.events.after(before, collections=("instances",))
    assert [(e.thing_id, e.kind) for e in events] == [(made.id, EventKind.APPEARED)]


async def _has(site: Site, id: str) -> bool:
    return id in await known(site)


async def test_a_cloud_that_fails_is_asked_once_a_round_and_its_health_says_why(site: Site) -> None:
    await site.add("one")
    site.clouds["one"].faults = Faults(outage=Outage())
    async with site.inventory.polling():
        await soon(lambda: polled(site, name="images"))
        states = await site.store.polls.of_account("one")
    assert len(site.calls) < len(states)
    assert {state.problem.code for state in states.values() if state.problem} == {
        CloudUnavailable.code
    }
    account = await site.accounts.get("one")
    assert account.health.state is HealthState.FAILED


async def test_what_was_known_of_a_cloud_that_fails_stays(site: Site) -> None:
    await site.add("one")
    async with site.inventory.polling():
        await soon(lambda: polled(site, name="images"))
        before = await known(site)
        site.clouds["one"].faults = Faults(throttle=Throttle(retry_after_s=700))
        await due_now(site)
        await soon(lambda: _failed(site))
        state = await site.store.state("one", "instances")
    assert await known(site) == before
    assert part_of((await site.list()).parts, "one").state is PartState.STALE
    # The cloud's own word on when to come again is kept.
    assert state is not None
    assert (state.next_at - datetime.now(UTC)).total_seconds() > 600


async def _failed(site: Site) -> bool:
    state = await site.store.state("one", "instances")
    return state is not None and state.problem is not None and state.interval_s > 600


async def test_a_poll_stands_back_while_somebody_waits_for_the_cloud(site: Site) -> None:
    await site.add("one")
    with site.inventory.calling("one"):
        async with site.inventory.polling():
            await soon(lambda: _is_held(site))
            for _ in range(20):
                await site.list(accounts=())
            assert not await polled(site)
    async with site.inventory.polling():
        await soon(lambda: polled(site))


async def _is_held(site: Site) -> bool:
    return bool(site.inventory._poller._watches)


async def test_one_that_hangs_keeps_nobody_else_waiting(site: Site) -> None:
    await site.add("one", "two")
    site.clouds["one"].faults = Faults(latency=Latency(seconds=600))
    async with site.inventory.polling():
        await soon(lambda: polled(site, "two"))
    assert not await polled(site, "one")


async def test_a_disabled_account_is_polled_no_more(site: Site) -> None:
    await site.add("one")
    async with site.inventory.polling():
        await soon(lambda: polled(site))
        await site.accounts.change("one", AccountChange(is_enabled=False))
        await soon(lambda: _is_free(site))


async def _is_free(site: Site) -> bool:
    return not await _is_held(site)


async def test_another_login_is_tried_at_once(site: Site) -> None:
    await site.add("one", user="nobody")
    async with site.inventory.polling():
        await soon(lambda: polled(site))
        assert not await known(site)
        change = AccountChange(credentials=CREDENTIALS)
        await site.accounts.change("one", change, test=False)
        await soon(lambda: known(site))


async def test_another_login_need_not_wait_for_what_the_old_one_was_told(site: Site) -> None:
    await site.add("one")
    site.clouds["one"].faults = Faults(throttle=Throttle(retry_after_s=3000))
    async with site.inventory.polling():
        await soon(lambda: polled(site))
        site.clouds["one"].faults = Faults()
        await site.accounts.change("one", AccountChange(credentials=CREDENTIALS), test=False)
        await soon(lambda: known(site))


async def test_an_account_that_is_enabled_again_is_asked_at_once(site: Site) -> None:
    await site.add("one")
    site.clouds["one"].faults = Faults(throttle=Throttle(retry_after_s=3000))
    async with site.inventory.polling():
        await soon(lambda: polled(site))
        await site.accounts.change("one", AccountChange(is_enabled=False))
        await soon(lambda: _is_free(site))
        site.clouds["one"].faults = Faults()
        await site.accounts.change("one", AccountChange(is_enabled=True))
        await soon(lambda: known(site))


async def test_what_changes_with_another_thing_is_asked_for_soon(site: Site) -> None:
    await site.add("one")
    async with site.inventory.polling():
        await soon(lambda: polled(site, name="images"))
    async with site.cloud("one") as cloud:
        await cloud.call(Instances.stop, "inst0")
    await site.list(fresh=True)
    await site.inventory.aclose()
    state = await site.store.state("one", "volumes")
    assert state is not None
    assert state.next_at - datetime.now(UTC) <= timedelta(seconds=USUAL.quickest_s)


async def test_who_asks_often_leaves_no_queue_behind(site: Site) -> None:
    await site.add("one")
    await site.list(fresh=True)
    refresher = site.inventory._refresher
    async with refresher._turn:
        for _ in range(5):
            refresher.keep_later(await refresher.ask("one", "instances"))
            refresher.outdated("one", "instances")
        async with site.cloud("one") as cloud:
            made = await cloud.call(Instances.create, NewInstance(image_id="img1"))
        refresher.keep_later(await refresher.ask("one", "instances"))
        assert len(refresher._latest) == 1
    await site.inventory.aclose()
    assert made.id in await known(site)


async def test_a_process_that_ends_gives_its_accounts_to_others_at_once(site: Site) -> None:
    await site.add("one")
    leases = site.inventory._poller._leases
    async with site.inventory.polling():
        await soon(lambda: _is_held(site))
        assert await leases.held("poll/") == {"poll/one": "this"}
    assert await leases.held("poll/") == {}


async def test_a_call_through_us_is_in_lists_at_once(site: Site) -> None:
    await site.add("one")
    await site.list()
    async with site.cloud("one") as cloud:
        made = await cloud.call(Instances.create, NewInstance(image_id="img1"))
        await site.inventory.changed("one", "instances.create", (), made)
        assert made.id in await known(site)
        await cloud.call(Instances.stop, made.id)
        await site.inventory.changed("one", "instances.stop", (made.id,))
        rows = await site.list(filters={"id": made.id})
        assert msgspec.json.decode(rows.items[0])["state"] == "stopped"
        await cloud.call(Instances.destroy, made.id)
        await site.inventory.changed("one", "instances.destroy", (made.id,))
    assert made.id not in await known(site)
    events = await site.events.after(0, collections=("instances",))
    assert [e.kind for e in events if e.thing_id == made.id] == [
        EventKind.APPEARED,
        EventKind.CHANGED,
        EventKind.VANISHED,
    ]
    thing = await site.store.thing("one", "instances", "inst0")
    assert not thing.made_here


async def test_what_is_made_through_us_is_known_as_such(site: Site) -> None:
    await site.add("one")
    async with site.cloud("one") as cloud:
        made = await cloud.call(Instances.create, NewInstance(image_id="img1"))
    await site.inventory.changed("one", "instances.create", (), made)
    assert (await site.store.thing("one", "instances", made.id)).made_here


async def test_a_list_asked_for_before_a_call_does_not_undo_it(site: Site) -> None:
    await site.add("one")
    await site.list()
    refresher = site.inventory._refresher
    told = await refresher.ask("one", "instances")
    async with site.cloud("one") as cloud:
        made = await cloud.call(Instances.create, NewInstance(image_id="img1"))
        await site.inventory.changed("one", "instances.create", (), made)
        await cloud.call(Instances.stop, "inst1")
        await cloud.call(Instances.destroy, "inst1")
        await site.inventory.changed("one", "instances.destroy", ("inst1",))
    assert "inst1" not in await known(site)
    await refresher.keep(told)
    assert made.id in await known(site)
    assert "inst1" not in await known(site)


async def test_what_is_told_of_an_account_that_is_no_more_is_left_out(site: Site) -> None:
    await site.add("one")
    told = await site.inventory._refresher.ask("one", "instances")
    await site.accounts.destroy("one")
    assert await site.inventory._refresher.keep(told) is None
    await site.inventory._refresher.note_failure("one", "instances", CloudError("late"))
    assert (await site.list()).parts == ()


async def test_who_asks_just_after_another_gave_up_gets_an_answer(site: Site) -> None:
    await site.add("one")
    refresher = site.inventory._refresher
    first = asyncio.ensure_future(refresher.ask("one", "instances"))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    assert (await refresher.ask("one", "instances")).count
