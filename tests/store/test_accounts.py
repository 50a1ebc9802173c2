"""Accounts: kept, changed one after the other, and forgotten with what they hold."""

import asyncio

import pytest
from tests.store.samples import BROKEN, START, account, at, thing

from nimbi.model.accounts import Health, HealthState
from nimbi.model.errors import Conflict, NotFound
from nimbi.store.accounts import AccountStore, bound_to
from nimbi.store.database import Database
from nimbi.store.events import EventStore
from nimbi.store.intents import IntentStore
from nimbi.store.inventory import InventoryStore
from nimbi.store.listing import Query
from nimbi.store.sealing import Keyring


async def told(database: Database) -> list[tuple[str, str]]:
    events = await EventStore(database).after(0)
    return [(event.account, event.kind.value) for event in events]


async def test_an_account_is_read_as_it_was_written(database: Database, keyring: Keyring) -> None:
    store = AccountStore(database)
    health = Health(state=HealthState.FAILED, since=START, checked_at=at(5), problem=BROKEN)
    new = account("aws", provider="eu", own_login=False, tags={"team": "ä"}, health=health)
    sealed = keyring.seal(b"login", bound_to("aws"))
    await store.add(new, sealed)
    assert await store.get("aws") == new
    assert await store.with_credentials("aws") == (new, sealed)
    assert await store.all() == (new,)


async def test_a_name_in_use_is_refused(accounts: AccountStore, database: Database) -> None:
    with pytest.raises(Conflict, match="'a'"):
        await accounts.add(account("a", driver="other"), None)
    assert (await accounts.get("a")).driver == "mock"
    assert await told(database) == [("a", "appeared"), ("b", "appeared")]


async def test_an_account_that_is_not_there_is_not_found(accounts: AccountStore) -> None:
    for work in (
        accounts.get("x"),
        accounts.credentials("x"),
        accounts.change("x", None, is_enabled=False),
        accounts.remove("x"),
    ):
        with pytest.raises(NotFound, match="'x'"):
            await work
    assert not await accounts.set_health("x", Health())


async def test_a_change_is_a_new_version_and_keeps_the_rest(accounts: AccountStore) -> None:
    before = await accounts.get("a")
    after = await accounts.change("a", 1, is_enabled=False, tags={"k": "v"})
    assert (after.is_enabled, after.tags, after.version) == (False, {"k": "v"}, 2)
    assert (after.driver, after.created_at) == (before.driver, before.created_at)
    assert after.changed_at != before.changed_at
    assert await accounts.get("a") == after
    assert await accounts.versions() == {"a": 2, "b": 1}


async def test_a_provider_can_be_taken_away(accounts: AccountStore) -> None:
    await accounts.change("a", None, provider="eu")
    assert (await accounts.change("a", None, is_enabled=True)).provider == "eu"
    assert (await accounts.change("a", None, provider=None)).provider is None


async def test_of_two_changes_to_one_version_one_is_refused(accounts: AccountStore) -> None:
    done = await asyncio.gather(
        *(accounts.change("a", 1, tags={"n": str(n)}) for n in range(5)), return_exceptions=True
    )
    refused = [each for each in done if isinstance(each, Conflict)]
    assert (len(refused), (await accounts.get("a")).version) == (4, 2)


async def test_new_credentials_end_a_login_of_its_own(
    accounts: AccountStore, keyring: Keyring
) -> None:
    sealed = keyring.seal(b"login", bound_to("a"))
    assert not (await accounts.change("a", None, credentials=sealed)).own_login
    assert await accounts.credentials("a") == sealed


async def test_health_is_no_new_version_and_told_only_when_it_is_another(
    accounts: AccountStore, database: Database
) -> None:
    ok = Health(state=HealthState.OK, since=START, checked_at=START)
    await accounts.set_health("a", ok)
    await accounts.set_health("a", Health(state=HealthState.OK, since=START, checked_at=at(9)))
    await accounts.set_health("a", Health(state=HealthState.FAILED, problem=BROKEN))
    assert (await accounts.get("a")).version == 1
    assert (await accounts.get("a")).health.problem == BROKEN
    assert (await told(database))[2:] == [("a", "changed"), ("a", "changed")]


async def test_an_account_that_is_removed_takes_along_what_it_held(
    accounts: AccountStore, database: Database
) -> None:
    inventory, intents = InventoryStore(database), IntentStore(database)
    for id in ("a", "b"):
        await inventory.replace(id, "instances", [thing("i", account=id)], START)
        await intents.write(id, "t", "instances.create", START, holder="h", seconds=9)
    await accounts.remove("a")
    assert [found.account for found in await inventory.query(Query(collection="instances"))] == [
        "b"
    ]
    assert await inventory.state("a", "instances") is None
    assert [intent.account for intent in await intents.open_before(at(1))] == ["b"]
    assert (await told(database))[-1] == ("a", "vanished")
