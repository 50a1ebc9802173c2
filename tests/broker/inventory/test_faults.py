"""Of twenty clouds five misbehave, each in its way: the list is in time, and says so for each."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from tests.broker.sites import Site, part_of

from nimbi.broker.inventory.wishes import Row, Wish
from nimbi.driver.compute import Instances
from nimbi.drivers.mock import DRIVER, MockInstances, driver_over
from nimbi.drivers.mock.cloud import MockCloud
from nimbi.drivers.mock.faults import Faults, Latency, StaleList, Throttle
from nimbi.model.accounts import Part, PartState
from nimbi.model.instances import NewInstance
from nimbi.model.page import Page

SOUND = tuple(f"cloud{number:02}" for number in range(15))
HANGS, THROTTLES, EXPIRED, GARBAGE, STALE = "hangs", "throttles", "expired", "garbage", "lags"
BROKEN = {HANGS: "timeout", THROTTLES: "throttled", EXPIRED: "unauthorized", GARBAGE: "cloud_error"}
SEEDED = {"inst0", "inst1", "inst2", "inst3"}


class Garbage(MockInstances):
    """Lists of what is no instance."""

    async def page(self, marker: str | None, limit: int, where: Any = None) -> Page[Any]:
        return Page((None, 42, "<html>"))


@pytest.fixture
async def twenty(site: Site) -> Site:
    await site.add(*SOUND, HANGS, THROTTLES, STALE)
    await site.add(EXPIRED, password="of last year")
    cloud = MockCloud()
    site.stack.callback(cloud.close)
    others = tuple(c for c in DRIVER.collections if c is not MockInstances)
    broken = replace(driver_over(cloud), name="garbage", collections=(Garbage, *others))
    await site.add_driver(GARBAGE, broken)
    return site


def fail(site: Site) -> None:
    site.clouds[HANGS].faults = Faults(latency=Latency(seconds=600))
    site.clouds[THROTTLES].faults = Faults(throttle=Throttle(retry_after_s=600))
    site.clouds[STALE].faults = Faults(stale_list=StaleList(changes=1))


def by_account(items: tuple[msgspec.Raw, ...]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for item in items:
        thing = msgspec.json.decode(item)
        found.setdefault(thing["account"], set()).add(thing["id"])
    return found


async def test_the_list_is_whole_for_the_rest_and_says_what_ails_each(twenty: Site) -> None:
    fail(twenty)
    listing = await twenty.list(fresh=True, deadline_s=2.0, limit=1000)
    assert len(listing.parts) == 20
    assert by_account(listing.items) == dict.fromkeys((*SOUND, STALE), SEEDED)
    for account, code in BROKEN.items():
        part = part_of(listing.parts, account)
        assert part.state is PartState.FAILED
        assert part.problem is not None
        assert part.problem.code == code
    for account in (*SOUND, STALE):
        assert part_of(listing.parts, account).state is PartState.OK


async def test_what_was_known_of_them_stays_and_is_stale(twenty: Site) -> None:
    await twenty.list()
    fail(twenty)
    listing = await twenty.list(fresh=True, deadline_s=2.0, limit=1000)
    found = by_account(listing.items)
    assert found[HANGS] == found[THROTTLES] == SEEDED
    for account in (HANGS, THROTTLES):
        part = part_of(listing.parts, account)
        assert part.state is PartState.STALE
        assert part.age_s is not None
    throttled = part_of(listing.parts, THROTTLES).problem
    assert throttled is not None
    assert throttled.retry_after_s == 600


async def test_a_stream_gives_the_sound_ones_before_the_late_one(twenty: Site) -> None:
    fail(twenty)
    wish = Wish(collection="instances", fresh=True, deadline_s=2.0)
    seen = [each async for each in twenty.inventory.stream(wish)]
    rows = [each.account for each in seen if isinstance(each, Row)]
    assert set(rows) == {*SOUND, STALE}
    parts = [each for each in seen if isinstance(each, Part)]
    assert len(parts) == 20
    assert parts[-1].account == HANGS


async def test_a_list_that_lags_does_not_take_away_what_was_made_through_us(twenty: Site) -> None:
    await twenty.list()
    fail(twenty)
    async with twenty.cloud(STALE) as cloud:
        made = await cloud.call(Instances.create, NewInstance(image_id="img1"))
        await twenty.inventory.changed(STALE, "instances.create", (), made)
    listing = await twenty.list(accounts=(STALE,), fresh=True)
    assert made.id not in by_account(listing.items)[STALE]
    kept = await twenty.list(accounts=(STALE,))
    assert made.id in by_account(kept.items)[STALE]
