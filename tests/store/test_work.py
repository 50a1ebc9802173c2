"""Leases, intents, polls and events: what several processes share, and what one leaves behind."""

import asyncio

import pytest
from sqlalchemy import text
from tests.store.samples import BROKEN, at, thing

from nimbi.model.inventory import EventKind
from nimbi.store.accounts import AccountStore
from nimbi.store.database import Database
from nimbi.store.events import Change, EventStore, append
from nimbi.store.intents import IntentStore
from nimbi.store.inventory import InventoryStore
from nimbi.store.leases import LeaseStore


def change(id: str, account: str = "a", collection: str = "instances") -> Change:
    return Change(account, collection, id, EventKind.APPEARED, "RUNNING", b'{"n": 1}')


async def test_of_many_one_takes_a_lease(database: Database) -> None:
    leases = LeaseStore(database)
    fences = await asyncio.gather(*(leases.take("poll/a", f"p{n}", 60) for n in range(8)))
    assert sorted(fences, key=str) == [1, *[None] * 7]
    assert list((await leases.held("poll/")).values()) == [f"p{fences.index(1)}"]
    assert await leases.take("poll/b", "q", 60) == 1
    assert await leases.held("x") == {}


async def test_a_lease_that_ran_out_goes_to_the_next_with_a_greater_fence(
    database: Database,
) -> None:
    leases = LeaseStore(database)
    assert [await leases.take("l", holder, 0) for holder in ("p", "q", "p")] == [1, 2, 3]
    assert not await leases.keep("l", "q", 2, 60)
    assert not await leases.keep("l", "p", 1, 60)
    assert await leases.keep("l", "p", 3, 60)
    assert await leases.take("l", "q", 60) is None


async def test_a_lease_that_is_given_back_is_free_at_once(database: Database) -> None:
    leases = LeaseStore(database)
    fence = await leases.take("l", "p", 60)
    assert fence == 1
    assert await leases.release("l", "p", fence)
    assert await leases.take("l", "q", 60) == 2
    assert not await leases.release("l", "p", fence)


async def test_an_intent_of_a_dead_process_is_found_and_taken_over_once(
    database: Database,
) -> None:
    intents = IntentStore(database)
    for token, seconds in (("dead", 0), ("busy", 60)):
        await intents.write(
            "a", token, "instances.create", at(0), holder="p", seconds=seconds, name="web"
        )
    (found,) = await intents.abandoned()
    assert (found.token, found.operation, found.collection, found.name, found.begun_at) == (
        "dead",
        "instances.create",
        "instances",
        "web",
        at(0),
    )
    taken = await asyncio.gather(
        *(intents.take_over("a", "dead", holder, 60) for holder in ("q", "r", "s"))
    )
    assert sorted(taken) == [False, False, True]
    assert await intents.abandoned() == ()
    assert not await intents.take_over("a", "busy", "q", 60)


async def test_an_intent_is_written_again_by_its_holder_or_when_it_is_abandoned(
    database: Database,
) -> None:
    intents = IntentStore(database)

    async def write(holder: str, seconds: float) -> bool:
        return await intents.write(
            "a", "t", "instances.create", at(0), holder=holder, seconds=seconds
        )

    assert [await write("p", 60), await write("q", 60), await write("p", 0)] == [True, False, True]
    assert await write("q", 60)
    assert [intent.holder for intent in await intents.open_before(at(1))] == ["q"]


async def test_what_became_of_an_intent_is_kept(database: Database) -> None:
    intents = IntentStore(database)
    for token in ("made", "failed", "lost"):
        await intents.write("a", token, "volumes.create", at(0), holder="p", seconds=60)
    assert await intents.count_open("a") == 3
    await intents.done("a", "made", "v1")
    await intents.failed("a", "made")
    await intents.failed("a", "failed")
    await intents.unknown("a", "lost")
    assert [(i.token, i.thing_id) for i in await intents.made("a", "volumes")] == [("made", "v1")]
    assert [i.token for i in await intents.abandoned(["a"])] == ["lost"]
    assert await intents.abandoned(["b"]) == ()
    await intents.forget("a", "lost")
    assert await intents.count_open("a") == 0


async def test_a_refusal_says_nothing_of_the_attempt_before_it(database: Database) -> None:
    intents = IntentStore(database)

    async def write(token: str, begun: float) -> None:
        operation, when = "instances.create", at(begun)
        assert await intents.write("a", token, operation, when, holder=token, seconds=60)

    # The answer to the first is lost with its process; the second is refused.
    await write("again", 0)
    await write("again", 5)
    assert not await intents.failed("a", "again", at(5))
    assert [intent.token for intent in await intents.abandoned()] == ["again"]
    assert not await intents.failed("a", "again", at(5))
    # The only one is refused: nothing was made.
    await write("once", 5)
    assert await intents.failed("a", "once", at(5))
    assert await intents.find("a", "once") is None
    # What an attempt before has made is made, whatever comes after.
    await write("made", 0)
    await intents.done("a", "made", "i-1")
    assert await intents.failed("a", "made", at(5))
    assert [intent.thing_id for intent in await intents.made("a")] == ["i-1"]


async def test_what_was_made_is_forgotten_once_it_is_gone(
    database: Database, accounts: AccountStore
) -> None:
    intents = IntentStore(database)
    for token in ("there", "gone"):
        await intents.write("a", token, "instances.create", at(0), holder="p", seconds=60)
        await intents.done("a", token, token)
    await InventoryStore(database).put("a", "instances", thing("there"), at(1))
    assert await intents.prune(at(1)) == 1
    assert [intent.token for intent in await intents.made("a")] == ["there"]


async def test_each_of_several_things_that_one_request_made_is_known(
    database: Database, accounts: AccountStore
) -> None:
    intents, inventory = IntentStore(database), InventoryStore(database)
    await inventory.put("a", "instances", thing("two"), at(0))
    await intents.write("a", "t", "instances.create_many", at(0), holder="p", seconds=60)
    await intents.done("a", "t", "one", "two", "three")
    made = await intents.made("a")
    assert {(intent.request, intent.thing_id) for intent in made} == {
        ("t", "one"),
        ("t", "two"),
        ("t", "three"),
    }
    assert (await inventory.thing("a", "instances", "two")).made_here
    assert await intents.prune(at(1)) == 2


async def test_who_sends_a_request_again_holds_all_that_it_made(database: Database) -> None:
    intents = IntentStore(database)
    await intents.write("a", "t", "instances.create_many", at(0), holder="p", seconds=0)
    await intents.found("a", "t", "one", "two")
    assert [intent.thing_id for intent in await intents.abandoned()] == ["one", "two"]
    assert await intents.write("a", "t", "instances.create_many", at(1), holder="q", seconds=60)
    assert await intents.abandoned() == ()


async def test_polls_are_due_by_time_for_accounts_that_are_enabled(
    database: Database, accounts: AccountStore
) -> None:
    polls = InventoryStore(database).polls
    assert await polls.next_due() is None
    for account, collection, seconds in (("a", "images", 5), ("a", "keys", 3), ("b", "keys", 4)):
        await polls.schedule(account, collection, at(seconds), 2.5)
    await polls.schedule("nobody", "keys", at(0), 1)
    due = await polls.due(at(4))
    assert [(state.account, state.collection) for state in due] == [("a", "keys"), ("b", "keys")]
    assert (due[0].interval_s, due[0].ok_at, due[0].complete) == (2.5, None, False)
    assert await polls.next_due() == at(3)
    await accounts.change("a", None, is_enabled=False)
    assert [state.account for state in await polls.due(at(9))] == ["b"]
    await accounts.change("a", None, is_enabled=True)
    await polls.hurry("a", "images", at(1))
    await polls.hurry("a", "keys", at(9))
    assert [s.collection for s in await polls.due(at(3))] == ["images", "keys"]
    await polls.forget("a", "images")
    assert set(await polls.of_account("a")) == {"keys"}


async def test_a_plan_outlives_lists_and_failures(
    database: Database, accounts: AccountStore
) -> None:
    inventory = InventoryStore(database)
    await inventory.polls.schedule("a", "keys", at(99), 30)
    await inventory.replace("a", "keys", [thing("k", collection="keys")], at(0))
    await inventory.mark_failed("a", "keys", BROKEN, at(1))
    state = await inventory.state("a", "keys")
    assert state is not None
    assert (state.next_at, state.interval_s, state.count, state.problem) == (at(99), 30, 1, BROKEN)


async def test_events_are_read_in_their_order_after_any(database: Database) -> None:
    events = EventStore(database)
    assert (await events.newest(), await events.oldest()) == (0, 1)
    await events.append(at(0), [change("1"), change("2", account="b"), change("3", "a", "keys")])
    await events.append(at(1), [])
    await events.append(at(2), [change("4")])
    assert [event.thing_id for event in await events.after(0)] == ["1", "2", "3", "4"]
    assert [event.id for event in await events.after(2, 1)] == [3]
    assert [event.thing_id for event in await events.after(0, accounts=["b"])] == ["2"]
    assert [event.thing_id for event in await events.after(0, collections=["keys"])] == ["3"]
    assert (await events.newest(), await events.oldest()) == (4, 1)
    for strange in (10**30, -(10**30)):
        assert len(await events.after(strange)) == (0 if strange > 0 else 4)


async def test_who_reads_an_event_misses_none_that_came_before_it(database: Database) -> None:
    # The first writer has its ids, and commits later than the second would like to.
    events, began, may_end = EventStore(database), asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        async with database.writing() as connection:
            await append(connection, at(0), [change("slow")])
            began.set()
            await may_end.wait()

    first = asyncio.create_task(slow())
    await began.wait()
    second = asyncio.create_task(events.append(at(0), [change("quick")]))
    for _ in range(20):
        await asyncio.sleep(0.005)
        assert await events.after(0) == ()
    may_end.set()
    await asyncio.gather(first, second)
    assert [(event.id, event.thing_id) for event in await events.after(0)] == [
        (1, "slow"),
        (2, "quick"),
    ]


async def test_a_transaction_that_fails_leaves_no_gap(database: Database) -> None:
    events = EventStore(database)
    with pytest.raises(ZeroDivisionError):
        async with database.writing() as connection:
            await append(connection, at(0), [change("never")])
            raise ZeroDivisionError
    await events.append(at(0), [change("first")])
    assert [event.id for event in await events.after(0)] == [1]


async def test_old_events_are_forgotten_and_ids_go_on(database: Database) -> None:
    events = EventStore(database)
    for seconds in range(4):
        await events.append(at(seconds), [change(str(seconds))])
    assert await events.prune(at(3), most=2) == 2
    assert await events.oldest() == 3
    assert await events.prune(at(99)) == 2
    assert (await events.newest(), await events.oldest()) == (4, 5)
    await events.append(at(9), [change("new")])
    assert [event.id for event in await events.after(0)] == [5]


async def test_the_clock_of_the_database_is_the_time(database: Database) -> None:
    import time

    from sqlalchemy import select

    async with database.reading() as connection:
        now_us = (await connection.execute(select(database.now_us()))).scalar_one()
        assert (await connection.execute(text("select 1"))).scalar() == 1
    assert abs(now_us / 1e6 - time.time()) < 60
