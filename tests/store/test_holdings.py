"""Holdings and quotas: what is counted, by whom, and that it always comes to the same."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from nimbi.model.errors import Conflict, QuotaExceeded
from nimbi.model.holdings import Amounts, HoldingState
from nimbi.store.accounts import AccountStore
from nimbi.store.database import Database
from nimbi.store.holdings import Holder, HoldingStore, Want, holding_of
from nimbi.store.intents import IntentStore
from nimbi.store.quotas import Path
from nimbi.store.reconciliation import Reconciler
from nimbi.store.schema import holdings as table

SMALL = Amounts(instances=1, vcpus=2, memory_mib=512)
WEB = Holder("ann", Path(("root", "acme", "web")))
SHOP = Holder("bob", Path(("root", "acme", "shop")))
OTHER = Holder("eve", Path(("root", "other")))


def want(token: str, amounts: Amounts = SMALL, **values: Any) -> Want:
    return Want(account="a", token=token, collection="instances", amounts=amounts, **values)


async def reserve(store: HoldingStore, holder: Holder, *wants: Want, **told: Any) -> None:
    async with store._database.writing() as connection:
        await store.reserve(connection, holder, *wants, **told)


async def used(store: HoldingStore, *tenants: str) -> dict[str, int]:
    """Return how many instances each tenant has."""
    found = await store.quotas.of(tenants)
    return {quota.tenant: quota.used for quota in found if quota.resource == "instances"}


async def states(database: Database) -> Sequence[str]:
    async with database.reading() as connection:
        rows = await connection.execute(table.select().order_by(table.c.token, table.c.number))
        return [holding_of(row).state for row in rows]


async def test_what_is_reserved_counts_for_all_above(database: Database) -> None:
    store = HoldingStore(database)
    await reserve(store, WEB, want("t"))
    assert await used(store, "root", "acme", "web") == {"root": 1, "acme": 1, "web": 1}
    assert await used(store, "shop") == {}
    assert await store.quotas.recount() == ()


@pytest.mark.parametrize("tenant", ["root", "acme", "web"])
async def test_nobody_gets_more_than_any_tenant_above_may_have(
    database: Database, tenant: str
) -> None:
    store = HoldingStore(database)
    await store.quotas.limit(tenant, {"vcpus": 5})
    await reserve(store, WEB, want("one"))
    await reserve(store, WEB, want("two"))
    with pytest.raises(QuotaExceeded) as caught:
        await reserve(store, WEB, want("three"))
    error = caught.value
    assert (error.tenant, error.resource, error.limit) == (tenant, "vcpus", 5)
    assert (error.used, error.wanted) == (4, 2)
    assert await used(store, "web") == {"web": 2}
    await reserve(store, OTHER, want("four", Amounts(instances=1)))


async def test_the_same_token_is_counted_once(database: Database) -> None:
    store = HoldingStore(database)
    await store.quotas.limit("web", {"instances": 1})
    for _ in range(3):
        await reserve(store, WEB, want("t"))
    assert await used(store, "web") == {"web": 1}


async def test_a_token_of_another_tenant_is_refused(database: Database) -> None:
    store = HoldingStore(database)
    await reserve(store, WEB, want("t"))
    with pytest.raises(Conflict):
        await reserve(store, SHOP, want("t"))


async def test_what_was_made_is_held_by_its_tenant(database: Database) -> None:
    store = HoldingStore(database)
    await reserve(store, WEB, want("t", count=3))
    await store.held("a", "t", "i-1", "i-2")
    assert await store.owner_of("a", "instances", "i-2") == "web"
    assert await store.owner_of("a", "instances", "i-3") is None
    # The cloud made two of three.
    assert await used(store, "acme") == {"acme": 2}
    await store.gone("a", "instances", "i-1", "i-2", "i-9")
    assert await used(store, "acme") == {"acme": 0}
    assert await store.quotas.recount() == ()


async def test_what_failed_is_given_back_and_can_come_again(database: Database) -> None:
    store = HoldingStore(database)
    await store.quotas.limit("web", {"instances": 1})
    await reserve(store, WEB, want("t"))
    await store.released("a", "t")
    assert await used(store, "web") == {"web": 0}
    await reserve(store, WEB, want("t"))
    assert await used(store, "web") == {"web": 1}


async def test_a_job_gives_back_only_what_it_made_nothing_of(database: Database) -> None:
    store = HoldingStore(database)
    await reserve(store, WEB, want("one"), want("two"), job="job1")
    await reserve(store, WEB, want("three"))
    await store.held("a", "one", "i-1")
    await store.ended("job1")
    assert await used(store, "web") == {"web": 2}
    assert await states(database) == [HoldingState.HELD, HoldingState.RESERVED,
                                      HoldingState.RELEASED]  # fmt: skip


async def test_a_thing_that_goes_to_another_tenant_counts_there(database: Database) -> None:
    store = HoldingStore(database)
    await store.quotas.limit("acme", {"instances": 1})
    await reserve(store, WEB, want("t"))
    await store.held("a", "t", "i-1")
    async with database.writing() as connection:
        await store.claim(connection, SHOP, want("new"), "i-1")
    assert await store.owner_of("a", "instances", "i-1") == "shop"
    assert await used(store, "acme", "web", "shop") == {"acme": 1, "web": 0, "shop": 1}
    await store.quotas.limit("other", {"instances": 0})
    with pytest.raises(QuotaExceeded):
        async with database.writing() as connection:
            await store.claim(connection, OTHER, want("new"), "i-1")
    assert await store.owner_of("a", "instances", "i-1") == "shop"
    assert await store.quotas.recount() == ()


async def test_a_recount_tells_what_is_wrong_and_mends_it(database: Database) -> None:
    store = HoldingStore(database)
    await reserve(store, WEB, want("t"))
    async with database.writing() as connection:
        await connection.execute(table.update().values(instances=3))
    found = await store.quotas.recount(mend=True)
    assert {(one.tenant, one.used, one.counted) for one in found} == {
        ("root", 1, 3),
        ("acme", 1, 3),
        ("web", 1, 3),
    }
    assert await store.quotas.recount() == ()
    assert await used(store, "web") == {"web": 3}


async def test_fifty_at_once_get_ten(database: Database) -> None:
    store = HoldingStore(database)
    await store.quotas.limit("acme", {"instances": 10})

    async def one(number: int) -> bool:
        try:
            await reserve(store, WEB if number % 2 else SHOP, want(f"t{number}"))
        except QuotaExceeded:
            return False
        return True

    assert sum(await asyncio.gather(*(one(number) for number in range(50)))) == 10
    assert await used(store, "acme") == {"acme": 10}
    assert await store.quotas.recount() == ()


async def test_an_intent_and_its_holding_end_together(
    database: Database, accounts: AccountStore
) -> None:
    store, intents = HoldingStore(database), IntentStore(database)
    await store.quotas.limit("web", {"instances": 2})

    async def write(token: str) -> bool:
        return await intents.write(
            "a", token, "instances.create", datetime.now(UTC), holder=token, seconds=0,
            along=lambda connection: store.reserve(connection, WEB, want(token)),
        )  # fmt: skip

    assert await write("made")
    assert await write("failed")
    with pytest.raises(QuotaExceeded):
        await write("too much")
    assert {intent.token for intent in await intents.abandoned()} == {"made", "failed"}
    await intents.done("a", "made", "i-1")
    await intents.failed("a", "failed")
    assert await used(store, "web") == {"web": 1}
    assert await write("lost")
    await intents.found("a", "lost", "i-2")
    assert await store.owner_of("a", "instances", "i-2") == "web"
    # Somebody destroys the orphan.
    await intents.forget("a", "lost")
    assert await used(store, "web") == {"web": 1}
    assert await store.quotas.recount() == ()


async def test_what_several_lists_do_not_show_is_given_back(
    database: Database, accounts: AccountStore
) -> None:
    store = HoldingStore(database)
    looks = Reconciler(database, store)
    await reserve(store, WEB, want("t"))
    await store.held("a", "t", "i-1")
    soon = datetime.now(UTC) + timedelta(minutes=1)
    for minute in range(2):
        asked_at = soon + timedelta(minutes=minute)
        assert await looks.looked("a", "instances", asked_at) == 1
        # The same list again is no other list.
        await looks.looked("a", "instances", asked_at)
        assert await used(store, "web") == {"web": 1}
    await looks.looked("a", "instances", soon + timedelta(minutes=2))
    assert await used(store, "web") == {"web": 0}


async def test_a_list_that_was_asked_for_before_it_was_made_proves_nothing(
    database: Database, accounts: AccountStore
) -> None:
    store = HoldingStore(database)
    looks = Reconciler(database, store)
    await reserve(store, WEB, want("t"))
    await store.held("a", "t", "i-1")
    for _ in range(5):
        assert await looks.looked("a", "instances", datetime.now(UTC)) == 0
    assert await used(store, "web") == {"web": 1}


async def test_what_is_reserved_and_nobody_works_on_is_given_back(
    database: Database, accounts: AccountStore
) -> None:
    store = HoldingStore(database)
    looks = Reconciler(database, store)
    await reserve(store, WEB, want("t"))
    await looks.looked("a", "instances", datetime.now(UTC) + timedelta(minutes=19))
    assert await used(store, "web") == {"web": 1}
    later = datetime.now(UTC) + timedelta(minutes=21)
    left = await looks.left(later, mend=False)
    assert [row.token for row in left.stale] == ["t"]
    await looks.looked("a", "instances", later)
    assert await used(store, "web") == {"web": 0}


async def test_a_name_that_is_used_again_is_held_once(database: Database) -> None:
    store = HoldingStore(database)
    await reserve(store, WEB, want("old"))
    await store.held("a", "old", "photos")
    # It was removed by other means, and made anew.
    await reserve(store, SHOP, want("new"))
    await store.held("a", "new", "photos")
    assert await store.owner_of("a", "instances", "photos") == "shop"
    assert await used(store, "acme", "web", "shop") == {"acme": 1, "web": 0, "shop": 1}
    assert await store.quotas.recount() == ()


async def test_what_is_in_an_account_that_is_forgotten_counts_no_more(
    database: Database, accounts: AccountStore
) -> None:
    store = HoldingStore(database)
    await reserve(store, WEB, want("t"))
    await accounts.remove("a")
    assert await used(store, "web") == {"web": 0}
    assert await store.quotas.recount() == ()
