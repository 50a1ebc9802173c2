"""Changes as they happen: in order, none missed, none invented."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from tests.broker.sites import Site, soon

from nimbi.driver.compute import Instances
from nimbi.model.errors import Conflict
from nimbi.model.instances import NewInstance
from nimbi.model.inventory import Event, EventKind
from nimbi.store.events import Change, EventStore


async def happens(site: Site, id: str, account: str = "one", collection: str = "keys") -> None:
    change = Change(account, collection, id, EventKind.APPEARED, None, b"{}")
    await EventStore(site.database).append(datetime.now(UTC), [change])
    site.events.look()


async def test_who_follows_is_told_what_happens_from_then_on(site: Site) -> None:
    await happens(site, "before")
    stream = site.events.follow()
    first = asyncio.ensure_future(anext(stream))

    async def follows() -> bool:
        return site.events._watch is not None

    await soon(follows)
    await happens(site, "k1")
    told = await first
    assert told is not None
    assert told.thing_id == "k1"
    await stream.aclose()  # type: ignore[attr-defined]  it is a generator


async def test_who_comes_back_misses_nothing(site: Site) -> None:
    for start in range(0, 1200, 400):
        ids = [f"k{number}" for number in range(start, start + 400)]
        changes = [Change("one", "keys", id, EventKind.APPEARED, None, b"{}") for id in ids]
        await EventStore(site.database).append(datetime.now(UTC), changes)
    seen: list[Event] = []
    async for event in site.events.follow(after=100):
        assert event is not None
        seen.append(event)
        if len(seen) == 1100:
            break
    assert [event.id for event in seen] == list(range(101, 1201))


async def test_filters_leave_out_the_rest(site: Site) -> None:
    await happens(site, "k1")
    await happens(site, "k2", account="two")
    await happens(site, "k3", account="two", collection="volumes")
    found = await site.events.after(0, accounts=("two",), collections=("volumes",))
    assert [event.thing_id for event in found] == ["k3"]


async def test_silence_is_told_too(site: Site) -> None:
    async for event in site.events.follow(heartbeat_s=0.05):
        assert event is None
        break


async def test_who_was_away_for_too_long_is_told_so(site: Site) -> None:
    await happens(site, "k1")
    await happens(site, "k2")
    await EventStore(site.database).prune(datetime.now(UTC) + timedelta(days=1))
    with pytest.raises(Conflict):
        await site.events.after(1)
    with pytest.raises(Conflict):
        await anext(site.events.follow(after=1))
    assert await site.events.after(2) == ()


async def test_an_event_tells_the_thing_as_it_is_then(site: Site) -> None:
    await site.add("one")
    await site.list()
    async with site.cloud("one") as cloud:
        made = await cloud.call(Instances.create, NewInstance(image_id="img1", name="web"))
    await site.inventory.changed("one", "instances.create", (), made)
    (event,) = await site.events.after(0, collections=("instances",))
    assert event.state == "running"
    assert event.body is not None
    assert b'"name":"web"' in bytes(event.body)
