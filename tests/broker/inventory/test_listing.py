"""Lists over all accounts: filtered, sorted, paged, with a part for each account."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from tests.broker.sites import Site, part_of

from nimbi.broker.inventory.wishes import Listing, Row, Wish
from nimbi.driver.compute import Instances, Keys
from nimbi.drivers.mock import MockBuckets, driver_over
from nimbi.drivers.mock.cloud import MockCloud
from nimbi.drivers.mock.faults import Faults, Latency, Outage, ShortPage, Throttle
from nimbi.model.accounts import AccountChange, Part, PartState
from nimbi.model.errors import Conflict, Invalid, NotFound
from nimbi.model.instances import NewInstance
from nimbi.model.keys import NewKey

SEEDED = ["inst0", "inst1", "inst2", "inst3"]


def told(listing: Listing) -> list[dict[str, Any]]:
    return [msgspec.json.decode(item) for item in listing.items]


def ids(listing: Listing) -> list[tuple[str, str]]:
    return [(each["account"], each["id"]) for each in told(listing)]


async def everything(site: Site, **wish: Any) -> list[tuple[str, str]]:
    """Return the things of all pages."""
    found, marker = [], None
    while True:
        page = await site.list(marker=marker, **wish)
        found += ids(page)
        if page.next is None:
            return found
        marker = page.next


async def test_an_account_that_was_never_asked_is_asked(site: Site) -> None:
    await site.add("one", "two")
    listing = await site.list()
    assert ids(listing) == [(account, id) for id in SEEDED for account in ("one", "two")]
    assert [(part.account, part.state, part.count) for part in listing.parts] == [
        ("one", PartState.OK, len(SEEDED)),
        ("two", PartState.OK, len(SEEDED)),
    ]


async def test_the_next_list_asks_no_cloud_and_tells_its_age(site: Site) -> None:
    await site.add("one")
    first = await site.list()
    site.clouds["one"].faults = Faults(outage=Outage())
    again = await site.list()
    assert ids(again) == ids(first)
    part = part_of(again.parts, "one")
    assert part.state is PartState.OK
    assert part.age_s is not None


async def test_what_is_kept_is_told_as_it_was_told_by_the_cloud(site: Site) -> None:
    await site.add("one")
    asked, kept = await site.list(), await site.list()
    assert asked.items == kept.items
    assert "extra" not in told(kept)[0]


async def test_a_fresh_list_shows_what_was_made_without_us(site: Site) -> None:
    await site.add("one")
    await site.list()
    async with site.cloud("one") as cloud:
        made = await cloud.call(Instances.create, NewInstance(image_id="img1"))
    assert ("one", made.id) not in ids(await site.list())
    assert ("one", made.id) in ids(await site.list(fresh=True))
    assert ("one", made.id) in ids(await site.list())


async def test_a_cloud_that_fails_makes_its_part_stale_and_nothing_vanishes(site: Site) -> None:
    await site.add("one", "two")
    before = ids(await site.list())
    site.clouds["two"].faults = Faults(outage=Outage())
    listing = await site.list(fresh=True, deadline_s=5.0)
    assert ids(listing) == before
    stale = part_of(listing.parts, "two")
    assert (stale.state, stale.problem and stale.problem.code) == (
        PartState.STALE,
        "cloud_unavailable",
    )
    assert part_of(listing.parts, "one").state is PartState.OK
    # It is kept: the next list says so without asking.
    later = part_of((await site.list()).parts, "two")
    assert later.state is PartState.STALE


async def test_a_cloud_that_never_answered_has_failed(site: Site) -> None:
    await site.add("one", "two", user="nobody")
    listing = await site.list()
    assert listing.items == ()
    problem = part_of(listing.parts, "one").problem
    assert part_of(listing.parts, "one").state is PartState.FAILED
    assert problem is not None
    assert problem.code == "unauthorized"


async def test_a_cloud_that_hangs_costs_the_deadline_and_no_more(site: Site) -> None:
    await site.add("one", "two")
    site.clouds["two"].faults = Faults(latency=Latency(seconds=600))
    listing = await site.list(deadline_s=1.5)
    assert ids(listing) == [("one", id) for id in SEEDED]
    problem = part_of(listing.parts, "two").problem
    assert problem is not None
    assert problem.code == "timeout"


async def test_a_list_that_breaks_off_is_partial(site: Site) -> None:
    await site.add("one")
    # The first two pages come, and none after them.
    site.clouds["one"].faults = Faults(
        short_page=ShortPage(size=1), throttle=Throttle(every=3, retry_after_s=900)
    )
    listing = await site.list()
    assert ids(listing) == [("one", "inst0"), ("one", "inst1")]
    part = part_of(listing.parts, "one")
    assert part.state is PartState.PARTIAL
    assert part.problem is not None
    assert part.problem.code == "throttled"


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize(
    "sort", [None, "-id", "name", "-name", "state", "created_at", "-created_at", "realm_id"]
)
async def test_pages_in_any_order_make_the_whole_list(
    site: Site, sort: str | None, fresh: bool
) -> None:
    await site.add("one", "two", "three")
    whole = ids(await site.list(sort=sort))
    assert len(whole) == 3 * len(SEEDED)
    assert await everything(site, sort=sort, limit=5, fresh=fresh) == whole


async def test_memory_and_store_sort_alike(site: Site) -> None:
    await site.add("one", "two")
    for fresh in (True, False):
        listing = await site.list(sort="-name", fresh=fresh)
        names = [each["name"] or "" for each in told(listing)]
        assert names == sorted(names, reverse=True)


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"id": "inst1"}, ["inst1"]),
        ({"state": "running"}, [*SEEDED, "inst4"]),
        ({"state": "stopped"}, []),
        ({"name_prefix": "made"}, ["inst4"]),
        ({"tag:role": "web"}, ["inst4"]),
        ({"tag:role": "db"}, []),
        ({"tag:role": "web", "id": "inst1"}, []),
    ],
)
async def test_all_filters_must_fit(
    site: Site, filters: dict[str, str], found: list[str], fresh: bool
) -> None:
    await site.add("one")
    async with site.cloud("one") as cloud:
        new = NewInstance(image_id="img1", name="made-here", tags={"role": "web"})
        await cloud.call(Instances.create, new)
    await site.list()
    got = [id for _, id in ids(await site.list(filters=filters, fresh=fresh))]
    assert got == found


async def test_a_marker_is_of_one_list_only(site: Site) -> None:
    await site.add("one")
    marker = (await site.list(limit=1)).next
    assert marker is not None
    for wish in ({"sort": "name"}, {"filters": {"state": "running"}}, {"accounts": ("one",)}):
        with pytest.raises(Invalid):
            await site.list(limit=1, marker=marker, **wish)
    with pytest.raises(Invalid):
        await site.list(limit=1, marker=marker[:-2])
    assert ids(await site.list(limit=2, marker=marker)) == [("one", "inst1"), ("one", "inst2")]


@pytest.mark.parametrize(
    "wish",
    [
        {"collection": "blobs"},
        {"collection": "nonsense"},
        {"filters": {"colour": "red"}},
        {"filters": {"tag:": "red"}},
        {"sort": "colour"},
        {"sort": "--id"},
        {"limit": 0},
        {"limit": 1001},
        {"deadline_s": 0},
        {"marker": "nonsense"},
        {"marker": "\udc80"},
    ],
)
async def test_a_wish_that_cannot_be_met_is_invalid(site: Site, wish: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        await site.list(**{"collection": "instances", **wish})


async def test_an_unknown_account_is_not_found_when_it_is_named(site: Site) -> None:
    await site.add("one")
    with pytest.raises(NotFound):
        await site.list(accounts=("one", "two"))


async def test_an_account_without_such_things_is_left_out_unless_it_is_named(site: Site) -> None:
    await site.add("one")
    cloud = MockCloud()
    site.stack.callback(cloud.close)
    buckets = replace(driver_over(cloud), name="buckets", collections=(MockBuckets,))
    await site.add_driver("store", buckets)
    assert {part.account for part in (await site.list()).parts} == {"one"}
    named = part_of((await site.list(accounts=("store",))).parts, "store")
    assert named.problem is not None
    assert named.problem.code == "unsupported"


async def test_a_disabled_account_is_not_asked_and_shown_when_it_is_named(site: Site) -> None:
    await site.add("one", "two")
    await site.list()
    await site.accounts.change("two", AccountChange(is_enabled=False))
    assert {account for account, _ in ids(await site.list())} == {"one"}
    named = await site.list(accounts=("two",), fresh=True)
    assert ids(named) == [("two", id) for id in SEEDED]
    part = part_of(named.parts, "two")
    assert (part.state, part.problem and part.problem.code) == (PartState.STALE, Conflict.code)


async def test_numbers_of_the_moment_are_asked_for_each_time(site: Site) -> None:
    await site.add("one")
    assert (await site.list("quotas")).items
    site.clouds["one"].faults = Faults(outage=Outage())
    listing = await site.list("quotas")
    assert listing.items == ()
    assert part_of(listing.parts, "one").state is PartState.FAILED


async def test_a_long_list_goes_through_a_file_and_comes_out_whole(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nimbi.broker.inventory.told.MOST_IN_MEMORY", 2)
    await site.add("one", "two")
    assert await everything(site, limit=3, fresh=True) == [
        (account, id) for id in SEEDED for account in ("one", "two")
    ]


async def test_secrets_of_things_are_not_kept(site: Site) -> None:
    await site.add("one")
    async with site.cloud("one") as cloud:
        key = await cloud.call(Keys.create, NewKey(name="k1"))
        assert key.private_key
        await site.inventory.changed("one", "keys.create", (), key)
        new = NewInstance(image_id="img1", password="not-to-be-kept")
        instance = await cloud.call(Instances.create, new)
    for fresh in (True, False):
        found = await site.list("keys", fresh=fresh)
        assert all(each["private_key"] is None for each in told(found))
        page = await site.list(fresh=fresh, filters={"id": instance.id})
        assert b"not-to-be-kept" not in b"".join(map(bytes, page.items))
        assert told(page)[0]["login"]["user"] is not None


async def test_a_stream_gives_each_account_then_its_part(site: Site) -> None:
    await site.add("one", "two")
    site.clouds["two"].faults = Faults(outage=Outage())
    seen = [each async for each in site.inventory.stream(Wish(collection="instances"))]
    assert [each.account for each in seen if isinstance(each, Row)] == ["one"] * len(SEEDED)
    for before, after in pairwise(seen):
        if isinstance(before, Part):
            assert before.account != after.account
    states = {each.account: each.state for each in seen if isinstance(each, Part)}
    assert states == {"one": PartState.OK, "two": PartState.FAILED}


async def test_a_stream_of_so_many_rows_says_that_more_were_there(site: Site) -> None:
    await site.add("one")
    await site.list()
    stream = site.inventory.stream(Wish(collection="instances", limit=3))
    seen = [each async for each in stream]
    assert [each.id for each in seen if isinstance(each, Row)] == SEEDED[:3]
    assert [each.state for each in seen if isinstance(each, Part)] == [PartState.PARTIAL]
