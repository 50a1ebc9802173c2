"""Orphans: what was made for a request whose answer nobody got."""

from datetime import UTC, datetime

import pytest
from tests.broker.sites import Site, soon

from nimbi.broker.inventory.marks import mark_of, marks_in
from nimbi.driver.compute import Instances
from nimbi.drivers.mock.faults import Faults, Outage
from nimbi.model.errors import CloudUnavailable, NotFound
from nimbi.model.instances import NewInstance
from nimbi.model.resource import Resource

TOKEN = "the token of a request that died"


async def lose_an_answer(site: Site, token: str = TOKEN) -> str:
    """Make an instance, and forget the answer; return its id."""
    await site.intents.write(
        "one", token, "instances.create", datetime.now(UTC), holder="died", seconds=0
    )
    async with site.cloud("one") as cloud:
        new = NewInstance(image_id="img1", token=token, name="lost")
        made = await cloud.call(Instances.create, new)
    return made.id


async def found_by_polls(site: Site) -> None:
    async with site.inventory.polling():
        await site.store.polls.hurry("one", "instances", datetime.now(UTC))
        await soon(site.orphans.list)


async def test_what_a_lost_request_made_is_an_orphan(site: Site) -> None:
    await site.add("one")
    id = await lose_an_answer(site)
    assert await site.orphans.list() == ()
    await found_by_polls(site)
    (orphan,) = await site.orphans.list()
    assert (orphan.account, orphan.collection, orphan.id) == ("one", "instances", id)
    assert orphan.name == "lost"


async def test_an_orphan_is_removed_from_its_cloud_when_told_so(site: Site) -> None:
    await site.add("one")
    id = await lose_an_answer(site)
    await found_by_polls(site)
    async with site.cloud("one") as cloud:
        await cloud.call(Instances.stop, id)
        await site.orphans.remove("one", "instances", id)
        with pytest.raises(NotFound):
            await cloud.call(Instances.get, id)
    assert await site.orphans.list() == ()


async def test_one_that_could_not_be_removed_is_an_orphan_still(site: Site) -> None:
    await site.add("one")
    id = await lose_an_answer(site)
    await found_by_polls(site)
    site.clouds["one"].faults = Faults(outage=Outage())
    with pytest.raises(CloudUnavailable):
        await site.orphans.remove("one", "instances", id)
    assert [orphan.id for orphan in await site.orphans.list()] == [id]


async def test_one_that_is_adopted_is_none_any_more(site: Site) -> None:
    await site.add("one")
    id = await lose_an_answer(site)
    await found_by_polls(site)
    await site.orphans.adopt("one", "instances", id)
    assert await site.orphans.list() == ()
    with pytest.raises(NotFound):
        await site.orphans.remove("one", "instances", id)
    async with site.cloud("one") as cloud:
        assert (await cloud.call(Instances.get, id)).name == "lost"


async def test_nothing_else_is_ever_removed(site: Site) -> None:
    await site.add("one")
    await lose_an_answer(site)
    await found_by_polls(site)
    for id in ("inst0", "inst1", "nothing"):
        with pytest.raises(NotFound):
            await site.orphans.remove("one", "instances", id)


async def test_whoever_comes_again_with_the_request_owns_it(site: Site) -> None:
    await site.add("one")
    id = await lose_an_answer(site)
    await found_by_polls(site)
    await site.intents.write(
        "one", TOKEN, "instances.create", datetime.now(UTC), holder="again", seconds=60
    )
    assert await site.orphans.list() == ()
    await site.intents.done("one", TOKEN, id)
    assert await site.orphans.list() == ()


async def test_all_that_one_lost_request_made_are_orphans(site: Site) -> None:
    await site.add("one")
    now = datetime.now(UTC)
    await site.intents.write("one", TOKEN, "instances.create_many", now, holder="died", seconds=0)
    async with site.cloud("one") as cloud:
        new = NewInstance(image_id="img1", token=TOKEN)
        made = await cloud.call(Instances.create_many, new, 3)
        await found_by_polls(site)
        assert {orphan.id for orphan in await site.orphans.list()} == {one.id for one in made}
        await cloud.call(Instances.stop, made[0].id)
    await site.orphans.remove("one", "instances", made[0].id)
    await site.orphans.adopt("one", "instances", made[1].id)
    assert [orphan.id for orphan in await site.orphans.list()] == [made[2].id]


@pytest.mark.parametrize(
    "thing",
    [
        Resource(id="v", extra={"tags": [{"Key": "t", "Value": mark_of(TOKEN).decode()}]}),
        Resource(id=f"vol-{mark_of(TOKEN)[:16].decode()}"),
    ],
    ids=["tag", "id"],
)
def test_a_thing_shows_the_request_that_made_it(thing: Resource) -> None:
    others = mark_of("another token")
    assert marks_in(thing, (others, mark_of(TOKEN))) == (mark_of(TOKEN),)
