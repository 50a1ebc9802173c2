"""Lists in memory are filtered and sorted as the store does it."""

from datetime import UTC, datetime, timedelta

import pytest
from tests.broker.sites import Site

from nimbi.broker.inventory.bodies import thing_of
from nimbi.broker.inventory.ordering import first, fitting, keyed
from nimbi.broker.inventory.query import query_of
from nimbi.broker.inventory.wishes import SORTS, Wish
from nimbi.model.instances import Instance, InstanceState

NAMES = (
    None,
    "",
    "a",
    "B",
    "a-b",
    "a_b",
    "ä",
    "z",
    "Ω",
    "😀",
    "\uffff",
    "nul\0inside",
    "half\ud800",
)
AT = datetime(2026, 1, 1, tzinfo=UTC)


def instances() -> list[Instance]:
    return [
        Instance(
            id=f"{name or 'none'}{number}",
            name=name,
            owner_id=None,
            image_id="img1" if number % 2 else None,
            realm_id=NAMES[-number],
            hardware_profile_id=None,
            state=(InstanceState.RUNNING, InstanceState.STOPPED)[number % 2],
            created_at=AT + timedelta(microseconds=7 * number % 5) if number % 3 else None,
            tags={"role": "web"} if number % 4 else {},
        )
        for number, name in enumerate(NAMES)
    ]


@pytest.fixture
async def kept(site: Site) -> Site:
    await site.add("one")
    things = [thing_of("one", "instances", instance) for instance in instances()]
    await site.store.replace("one", "instances", things, AT)
    return site


@pytest.mark.parametrize(
    "filters", [{}, {"state": "running"}, {"name_prefix": "a"}, {"tag:role": "web"}]
)
async def test_each_order_is_the_same_in_memory_and_in_the_store(
    kept: Site, filters: dict[str, str]
) -> None:
    for sort in (*SORTS, *(f"-{name}" for name in SORTS)):
        query = query_of(Wish(collection="instances", sort=sort, filters=filters))
        stored = await kept.store.query(query)
        in_memory = first(keyed("one", fitting(instances(), query), query), query)
        assert in_memory == stored
        assert stored


async def test_a_thing_that_comes_twice_is_no_error(kept: Site) -> None:
    query = query_of(Wish(collection="instances"))
    twice = instances() * 2
    assert len(first(keyed("one", twice, query), query)) == len(twice)
