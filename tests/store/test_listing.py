"""Lists: what fits, in order, page by page, whatever changes between two pages."""

from itertools import product
from typing import Any, get_args

import msgspec
import pytest
from tests.store.samples import at, thing

from nimbi.model.errors import Invalid
from nimbi.model.inventory import Thing
from nimbi.store.accounts import AccountStore
from nimbi.store.database import Database
from nimbi.store.inventory import InventoryStore
from nimbi.store.listing import Query, Sort, page

STATES = ("RUNNING", "STOPPED", None)
# Names in the order of their bytes; two databases have other ideas of some of these by default.
NAMES = ("A", "B%", "B_", "Z", "a", "a b", "b", None, "é", "日", "😀")


def sample(account: str, n: int) -> Thing:
    return thing(
        f"i{(n * 7) % 40:02}",
        account=account,
        name=NAMES[n % len(NAMES)],
        state=STATES[n % 3],
        realm_id=f"r{n % 4}" if n % 5 else None,
        image_id=f"m{n % 2}",
        hardware_profile_id=f"p{n % 6}",
        created_at=at(n % 9) if n % 8 else None,
        tags={"env": ("prod", "dev")[n % 2], f"key{n % 3}": "x"} if n % 4 else {},
    )


THINGS = [sample(account, n) for account in ("a", "b") for n in range(40)]


@pytest.fixture
async def inventory(database: Database, accounts: AccountStore) -> InventoryStore:
    store = InventoryStore(database)
    for account in ("a", "b"):
        mine = [each for each in THINGS if each.account == account]
        await store.replace(account, "instances", mine, at(0))
        await store.replace(account, "images", mine[:3], at(0))
    return store


async def paged(inventory: InventoryStore, query: Query, limit: int) -> list[tuple[str, str]]:
    """Return account and id of all rows, read in pages."""
    seen: list[tuple[str, str]] = []
    query = msgspec.structs.replace(query, limit=limit)
    while rows := await inventory.query(query):
        seen += [(row.account, row.id) for row in rows]
        assert all(msgspec.json.decode(row.body)["id"] == row.id for row in rows)
        assert len(seen) <= len(THINGS), "the pages do not end"
        query = msgspec.structs.replace(query, after=rows[-1].key)
    return seen


def value(each: Thing, sort: str) -> Any:
    if sort == "created_at":
        return each.created_at or at(-(10**9))
    return (getattr(each, sort) or "").encode()


async def test_pages_give_all_in_the_order_that_is_wished_for(inventory: InventoryStore) -> None:
    for sort, descending in product(get_args(Sort), (False, True)):
        query = Query(collection="instances", sort=sort, descending=descending)
        order = sorted(THINGS, key=lambda t: (value(t, sort), t.account, t.id), reverse=descending)
        wanted = [(each.account, each.id) for each in order]
        for limit in (7, 1000):
            assert await paged(inventory, query, limit) == wanted, (sort, descending)


WISHES: dict[str, tuple[dict[str, Any], Any]] = {
    "one account": ({"accounts": ("b",)}, lambda t: t.account == "b"),
    "no account": ({"accounts": ()}, lambda t: False),
    "an account that is not there": ({"accounts": ("x",)}, lambda t: False),
    "a state": ({"equals": {"state": "STOPPED"}}, lambda t: t.state == "STOPPED"),
    "several": (
        {"equals": {"state": "RUNNING", "realm_id": "r3"}, "accounts": ("a", "b")},
        lambda t: t.state == "RUNNING" and t.realm_id == "r3",
    ),
    "an id": ({"equals": {"id": "i07"}}, lambda t: t.id == "i07"),
    "an image": ({"equals": {"image_id": "m1"}}, lambda t: t.image_id == "m1"),
    "a profile": (
        {"equals": {"hardware_profile_id": "p4"}},
        lambda t: t.hardware_profile_id == "p4",
    ),
    "a tag": ({"tags": {"env": "prod"}}, lambda t: tags(t).get("env") == "prod"),
    "two tags": (
        {"tags": {"env": "dev", "key1": "x"}},
        lambda t: tags(t).get("env") == "dev" and tags(t).get("key1") == "x",
    ),
    "a prefix": ({"name_prefix": "a"}, lambda t: (t.name or "").startswith("a")),
    "a prefix that looks like a pattern": (
        {"name_prefix": "B_"},
        lambda t: (t.name or "").startswith("B_"),
    ),
    "what nobody can have": ({"equals": {"name": "a\0b"}}, lambda t: False),
    "half a character": ({"name_prefix": "\ud800"}, lambda t: False),
}


def tags(each: Thing) -> dict[str, str]:
    found: dict[str, str] = msgspec.json.decode(each.body)["tags"]
    return found


async def test_only_what_fits_is_listed_and_counted(inventory: InventoryStore) -> None:
    for wish, (fields, fits) in WISHES.items():
        query = Query(collection="instances", sort="name", **fields)
        wanted = [each for each in THINGS if fits(each)]
        found = await paged(inventory, query, 3)
        assert sorted(found) == sorted((each.account, each.id) for each in wanted), wish
        counted = {
            account: number
            for account in ("a", "b")
            if (number := sum(each.account == account for each in wanted))
        }
        assert await inventory.count(query) == counted, wish


async def test_a_page_follows_the_one_before_whatever_came_or_went(
    inventory: InventoryStore,
) -> None:
    query = Query(collection="instances", accounts=("a",), limit=10)
    first = await inventory.query(query)
    await inventory.drop("a", "instances", first[-1].id, at(1))
    await inventory.put("a", "instances", thing("i000"), at(1))
    second = await inventory.query(msgspec.structs.replace(query, after=first[-1].key))
    assert [row.id for row in second] == [f"i{n}" for n in range(10, 20)]


async def test_tags_that_change_are_found_by_their_new_values(inventory: InventoryStore) -> None:
    await inventory.put("a", "instances", thing("i01", tags={"env": "test"}), at(1))
    for key, wanted in (("test", ["i01"]), ("none", [])):
        found = await inventory.query(Query(collection="instances", tags={"env": key}))
        assert [row.id for row in found] == wanted
    await inventory.drop("a", "instances", "i01", at(2))
    assert not await inventory.query(Query(collection="instances", tags={"env": "test"}))


async def test_what_a_list_cannot_be_sorted_or_filtered_by_is_refused(
    inventory: InventoryStore,
) -> None:
    refused: tuple[dict[str, Any], ...] = (
        {"sort": "body"},
        {"sort": "id; drop"},
        {"equals": {"body": "x"}},
    )
    for fields in refused:
        with pytest.raises(Invalid):
            await inventory.query(Query(collection="instances", **fields))


async def test_the_first_page_is_read_from_an_index_alone(
    inventory: InventoryStore, database: Database
) -> None:
    if database.dialect != "sqlite":
        return
    for fields in (
        {"sort": "id"},
        {"sort": "name"},
        {"sort": "created_at", "descending": True},
        {"sort": "name", "equals": {"state": "RUNNING"}},
        {"sort": "name", "equals": {"image_id": "m1"}},
        {"sort": "id", "accounts": ("a",)},
    ):
        sql, values = page(Query(collection="instances", **fields))
        plan = [row[-1] for row in await database.rows(f"explain query plan {sql}", values)]
        assert len(plan) == 1, (fields, plan)
        assert "USING INDEX" in plan[0], (fields, plan)
