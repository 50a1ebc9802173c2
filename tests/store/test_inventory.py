"""The inventory: brought together with what clouds tell, in whatever order that comes."""

import asyncio
import tracemalloc
from collections.abc import Iterator

import msgspec
import pytest
from tests.store.samples import BROKEN, at, thing

from nimbi.model.errors import NotFound
from nimbi.model.inventory import Thing
from nimbi.store.accounts import AccountStore
from nimbi.store.database import Database
from nimbi.store.events import EventStore
from nimbi.store.intents import IntentStore
from nimbi.store.inventory import Changes, InventoryStore
from nimbi.store.listing import Query

ALL = Query(collection="instances")


@pytest.fixture
def inventory(database: Database, accounts: AccountStore) -> InventoryStore:
    return InventoryStore(database)


async def ids(inventory: InventoryStore) -> list[str]:
    return [found.id for found in await inventory.query(ALL)]


async def told(database: Database) -> list[tuple[str, str]]:
    events = await EventStore(database).after(0, collections=["instances"])
    return [(event.thing_id, event.kind.value) for event in events]


async def replaced(inventory: InventoryStore, *things: Thing, seconds: float) -> Changes:
    return await inventory.replace("a", "instances", things, at(seconds))


async def test_a_thing_is_read_as_it_was_told(inventory: InventoryStore) -> None:
    one = thing(
        "i",
        name="n\u00e9",
        realm_id="r",
        image_id="m",
        hardware_profile_id="p",
        created_at=at(-5),
        made_here=True,
    )
    bare = thing("j", name=None, state=None)
    await replaced(inventory, one, bare, seconds=0)
    assert await inventory.thing("a", "instances", "i") == one
    assert await inventory.thing("a", "instances", "j") == bare
    with pytest.raises(NotFound):
        await inventory.thing("b", "instances", "i")


async def test_a_list_brings_changes_and_removes_and_each_is_told(
    inventory: InventoryStore, database: Database
) -> None:
    await replaced(inventory, thing("1"), thing("2"), thing("3"), seconds=0)
    changes = await replaced(
        inventory, thing("4"), thing("2", state="STOPPED"), thing("1"), seconds=1
    )
    assert changes == Changes(appeared=1, changed=1, vanished=1)
    assert await ids(inventory) == ["1", "2", "4"]
    assert await told(database) == [("4", "appeared"), ("2", "changed"), ("3", "vanished")]
    events = await EventStore(database).after(0, collections=["instances"])
    assert [event.state for event in events] == ["RUNNING", "STOPPED", "RUNNING"]
    assert [event.body and msgspec.json.decode(event.body)["id"] for event in events] == [
        "4",
        "2",
        None,
    ]


async def test_the_first_list_of_a_collection_is_no_news(
    inventory: InventoryStore, database: Database
) -> None:
    assert await replaced(inventory, thing("1"), seconds=0) == Changes(appeared=1)
    assert await told(database) == []


async def test_the_same_list_again_changes_nothing(
    inventory: InventoryStore, database: Database
) -> None:
    for seconds in (0, 1):
        changes = await replaced(inventory, thing("1"), thing("2"), seconds=seconds)
    assert not changes
    state = await inventory.state("a", "instances")
    assert state is not None
    assert (state.ok_at, state.polled_at, state.complete, state.count) == (at(1), at(1), True, 2)


async def test_a_thing_that_is_listed_twice_is_there_once(inventory: InventoryStore) -> None:
    changes = await replaced(inventory, thing("1"), thing("1", state="STOPPED"), seconds=0)
    assert (changes.appeared, await ids(inventory)) == (1, ["1"])


async def test_other_accounts_and_collections_are_left_alone(inventory: InventoryStore) -> None:
    await inventory.replace("b", "instances", [thing("x", account="b")], at(0))
    await inventory.replace("a", "images", [thing("y", collection="images")], at(0))
    await replaced(inventory, seconds=1)
    assert await ids(inventory) == ["x"]
    assert await inventory.thing("a", "images", "y")


async def test_a_list_that_was_asked_for_earlier_changes_nothing(
    inventory: InventoryStore,
) -> None:
    await replaced(inventory, thing("new"), seconds=5)
    assert await replaced(inventory, thing("old"), seconds=4) == Changes(superseded=True)
    assert await ids(inventory) == ["new"]


async def test_what_a_call_made_meanwhile_survives_a_list_that_does_not_know_it(
    inventory: InventoryStore, database: Database
) -> None:
    await replaced(inventory, thing("1"), seconds=0)
    await inventory.put("a", "instances", thing("2"), at(2))
    await inventory.put("a", "instances", thing("1", state="STOPPED"), at(2))
    assert not await replaced(inventory, thing("1"), seconds=1)
    assert await ids(inventory) == ["1", "2"]
    assert (await inventory.thing("a", "instances", "1")).state == "STOPPED"
    assert await replaced(inventory, thing("1"), seconds=3) == Changes(changed=1, vanished=1)
    assert await told(database) == [
        ("2", "appeared"),
        ("1", "changed"),
        ("1", "changed"),
        ("2", "vanished"),
    ]


async def test_what_a_call_saw_unchanged_survives_an_older_list_too(
    inventory: InventoryStore,
) -> None:
    await replaced(inventory, thing("1"), seconds=0)
    assert not await inventory.put("a", "instances", thing("1"), at(2))
    assert not await replaced(inventory, seconds=1)


async def test_what_a_call_removed_does_not_come_back_with_an_older_list(
    inventory: InventoryStore, database: Database
) -> None:
    await replaced(inventory, thing("1"), thing("2"), seconds=0)
    assert await inventory.drop("a", "instances", "1", at(2)) == Changes(vanished=1)
    assert not await replaced(inventory, thing("1"), thing("2"), seconds=1)
    assert await ids(inventory) == ["2"]
    assert await replaced(inventory, thing("1"), thing("2"), seconds=3) == Changes(appeared=1)
    assert await told(database) == [("1", "vanished"), ("1", "appeared")]


async def test_removing_what_is_not_there_is_no_news(
    inventory: InventoryStore, database: Database
) -> None:
    assert not await inventory.drop("a", "instances", "x", at(0))
    assert await told(database) == []


async def test_a_list_without_its_end_removes_nothing_and_says_why(
    inventory: InventoryStore,
) -> None:
    await replaced(inventory, thing("1"), thing("2"), seconds=0)
    changes = await inventory.replace(
        "a",
        "instances",
        [thing("1", state="STOPPED"), thing("3")],
        at(1),
        complete=False,
        problem=BROKEN,
    )
    assert (changes, await ids(inventory)) == (Changes(1, 1, 0), ["1", "2", "3"])
    state = await inventory.state("a", "instances")
    assert state is not None
    assert (state.complete, state.problem, state.ok_at, state.polled_at, state.count) == (
        False,
        BROKEN,
        at(0),
        at(1),
        3,
    )


async def test_a_cloud_that_fails_leaves_what_is_known(inventory: InventoryStore) -> None:
    await inventory.mark_failed("a", "instances", BROKEN, at(0))
    state = await inventory.state("a", "instances")
    assert state is not None
    assert (state.ok_at, state.problem, state.count) == (None, BROKEN, 0)
    await replaced(inventory, thing("1"), seconds=1)
    await inventory.mark_failed("a", "instances", BROKEN, at(0.5))
    state = await inventory.state("a", "instances")
    assert state is not None
    assert (state.complete, state.problem) == (True, None)
    await inventory.mark_failed("a", "instances", BROKEN, at(2))
    state = await inventory.state("a", "instances")
    assert state is not None
    assert (state.ok_at, state.polled_at, state.problem) == (at(1), at(2), BROKEN)
    assert await ids(inventory) == ["1"]


async def test_nothing_is_kept_of_an_account_that_is_gone(
    inventory: InventoryStore, accounts: AccountStore
) -> None:
    await accounts.remove("a")
    with pytest.raises(NotFound):
        await replaced(inventory, thing("1"), seconds=0)
    with pytest.raises(NotFound):
        await inventory.put("a", "instances", thing("1"), at(0))
    await inventory.mark_failed("a", "instances", BROKEN, at(0))
    assert await ids(inventory) == []
    assert await inventory.state("a", "instances") is None


async def test_a_list_that_breaks_off_changes_nothing(inventory: InventoryStore) -> None:
    def broken() -> Iterator[Thing]:
        for n in range(700):
            yield thing(f"{n:04}")
        raise ZeroDivisionError

    await replaced(inventory, thing("1"), seconds=0)
    with pytest.raises(ZeroDivisionError):
        await inventory.replace("a", "instances", broken(), at(1))
    assert await ids(inventory) == ["1"]


async def test_what_we_made_is_known_whichever_comes_first(
    inventory: InventoryStore, database: Database
) -> None:
    intents = IntentStore(database)
    for token, listed_first in (("t1", True), ("t2", False)):
        id = f"i-{token}"
        await intents.write("a", token, "instances.create", at(0), holder="h", seconds=9)
        if listed_first:
            await inventory.put("a", "instances", thing(id), at(1))
        await intents.done("a", token, id)
        if not listed_first:
            await inventory.put("a", "instances", thing(id), at(1))
    await inventory.put("a", "instances", thing("i-t1", state="STOPPED"), at(2))
    await inventory.put("a", "instances", thing("foreign"), at(2))
    ours = await inventory.query(Query(collection="instances", made_here=True))
    assert [found.id for found in ours] == ["i-t1", "i-t2"]


async def test_lists_and_calls_that_come_at_once_do_not_disturb_each_other(
    inventory: InventoryStore, database: Database
) -> None:
    await replaced(inventory, seconds=0)
    many = [thing(f"{n:03}") for n in range(50)]
    await asyncio.gather(
        inventory.replace("a", "instances", many, at(1)),
        *(inventory.put("a", "instances", thing(f"9{n:02}"), at(2)) for n in range(10)),
        *(inventory.drop("a", "instances", f"{n:03}", at(2)) for n in range(10)),
    )
    await inventory.replace("a", "instances", many, at(1.5))
    assert await ids(inventory) == [f"{n:03}" for n in range(10, 50)] + [
        f"9{n:02}" for n in range(10)
    ]
    state = await inventory.state("a", "instances")
    assert state is not None
    assert state.count == 50
    events = await EventStore(database).after(0, 1000)
    assert [event.id for event in events] == list(range(1, len(events) + 1))


async def test_a_collection_can_be_forgotten(inventory: InventoryStore) -> None:
    await replaced(inventory, thing("1", tags={"k": "v"}), seconds=0)
    await inventory.forget("a", "instances")
    assert await ids(inventory) == []
    assert await inventory.state("a", "instances") is None


async def test_a_long_list_is_never_in_memory_as_a_whole(inventory: InventoryStore) -> None:
    def things() -> Iterator[Thing]:
        for n in range(3000):
            yield thing(f"{n:05}", note="x" * 5000)

    await inventory.replace("a", "instances", things(), at(0))
    tracemalloc.start()
    try:
        assert not await inventory.replace("a", "instances", things(), at(1))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # The bodies together are 15 MB, a batch of them 2.5 MB.
    assert most < 9_000_000
