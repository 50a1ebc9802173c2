"""Tenants, users, groups, roles and grants as they are kept, on both databases."""

import asyncio
from datetime import UTC, datetime

import pytest
from sqlalchemy import select
from tests.store.samples import account

from nimbi.model.errors import Conflict, NotFound, QuotaExceeded
from nimbi.model.holdings import Amounts
from nimbi.model.people import (
    Domain,
    Effect,
    Grant,
    Group,
    Project,
    Role,
    RoleRule,
    Tenant,
    User,
    UserKind,
)
from nimbi.store.accounts import AccountStore
from nimbi.store.database import Database
from nimbi.store.directory import GROUP, USER, DirectoryStore
from nimbi.store.holdings import Holder, HoldingStore, Want
from nimbi.store.lends import LendStore
from nimbi.store.quotas import Path
from nimbi.store.roles import GrantStore, RoleStore
from nimbi.store.schema import holdings
from nimbi.store.tenants import DOMAIN, PROJECT, TenantStore
from nimbi.store.users import GroupStore, UserStore

NOW = datetime(2026, 11, 21, tzinfo=UTC)
RULES = (RoleRule(Effect.DENY, "*.destroy"), RoleRule(Effect.ALLOW, "*"))


def user(id: str, **told: str) -> User:
    return User(
        id=id,
        name=told.get("name", id),
        kind=UserKind.PERSON,
        tenant=told.get("tenant", "root"),
        created_at=NOW,
        issuer=told.get("issuer"),
        subject=told.get("subject"),
    )


def grant(id: str, role: str, tenant: str, **holder: str) -> Grant:
    return Grant(
        id=id,
        role=role,
        tenant=tenant,
        created_at=NOW,
        given_by="admin",
        user=holder.get("user"),
        group=holder.get("group"),
    )


@pytest.fixture
async def tree(database: Database) -> TenantStore:
    """Give a/web, a/sub, a/sub/lab and b."""
    store = TenantStore(database)
    await store.add("t-a", DOMAIN, "a", "root", "")
    await store.add("t-web", PROJECT, "web", "t-a", "the shop")
    await store.add("t-sub", DOMAIN, "sub", "t-a", "")
    await store.add("t-lab", PROJECT, "lab", "t-sub", "")
    await store.add("t-b", DOMAIN, "b", "root", "")
    return store


async def test_tenants_are_found_by_id_and_place(tree: TenantStore) -> None:
    web = await tree.get("a/web")
    assert isinstance(web, Project)
    assert web == await tree.get("t-web")
    assert (web.path, web.text, web.parent) == (("root", "t-a", "t-web"), "the shop", "t-a")
    assert [one.place for one in await tree.page(DOMAIN)] == ["a", "a/sub", "b"]
    assert [one.place for one in await tree.page(PROJECT, {"t-lab", "t-b"})] == ["a/sub/lab"]
    assert isinstance(await tree.get("root"), Domain)
    for told in ("t-c", "a/w", ""):
        with pytest.raises(NotFound):
            await tree.get(told)


async def test_a_name_is_taken_once_in_a_domain_also_by_moves(tree: TenantStore) -> None:
    with pytest.raises(Conflict):
        await tree.add("t-2", DOMAIN, "web", "t-a", "")
    await tree.add("t-bweb", PROJECT, "web", "t-b", "")
    with pytest.raises(Conflict):
        await tree.move("t-web", "t-b", "web")
    assert (await tree.get("t-web")).place == "a/web"


async def test_of_two_moves_into_each_other_one_is_refused(tree: TenantStore) -> None:
    both = await asyncio.gather(
        tree.move("t-a", "t-b", "a"), tree.move("t-b", "t-a", "b"), return_exceptions=True
    )
    assert sorted(type(one) is Domain for one in both) == [False, True]
    assert [type(one) for one in both if not isinstance(one, Tenant)] == [Conflict]
    places = {one.id: one.place for one in await tree.page(DOMAIN)}
    assert places["t-sub"] in ("a/sub", "b/a/sub")


async def test_what_a_tenant_holds_counts_where_it_moves(
    tree: TenantStore, database: Database
) -> None:
    store = HoldingStore(database)
    holder = Holder("admin", Path(("root", "t-a", "t-sub", "t-lab")))
    want = Want(
        account="a", token="1", collection="instances", amounts=Amounts(instances=3, vcpus=6)
    )
    async with database.writing() as connection:
        await store.reserve(connection, holder, want)
    await store.quotas.limit("t-b", {"instances": 2})
    with pytest.raises(QuotaExceeded):
        await tree.move("t-sub", "t-b", "sub")
    assert (await tree.get("t-lab")).place == "a/sub/lab"
    await store.quotas.limit("t-b", {"instances": 3})
    await tree.move("t-sub", "t-b", "sub")
    used = {
        (one.tenant, one.resource): one.used
        for one in await store.quotas.of(("root", "t-a", "t-b", "t-sub", "t-lab"))
    }
    assert used["t-b", "instances"] == used["root", "instances"] == 3
    assert used["t-a", "instances"] == 0
    assert not await store.quotas.recount()
    async with database.reading() as connection:
        (path,) = (await connection.execute(select(holdings.c.path))).scalars()
    assert path == "root/t-b/t-sub/t-lab/"
    with pytest.raises(Conflict, match="things in clouds"):
        await tree.remove("t-lab")


async def test_what_decides_over_rights_is_read_together(
    tree: TenantStore, database: Database
) -> None:
    await AccountStore(database).add(account("aws"), None)
    await AccountStore(database).move("aws", "t-a")
    await LendStore(database).add("aws", "t-b")
    await RoleStore(database).add(Role(id="r-1", name="mine", rules=RULES, tenant="t-a"))
    await tree.change("t-b", is_enabled=False)
    store = DirectoryStore(database)
    directory = await store.directory()
    assert directory.paths["t-lab"] == ("root", "t-a", "t-sub", "t-lab")
    assert directory.disabled == {"t-b"}
    assert directory.roles == {"r-1": RULES}
    assert directory.owners == {"aws": "t-a"}
    assert directory.lent == {"aws": {"t-b"}}
    assert directory.found("a/sub/lab") == "t-lab"
    with pytest.raises(NotFound):
        await LendStore(database).remove("aws", "t-a")


async def test_a_user_stands_by_its_own_grants_and_those_of_its_groups(
    tree: TenantStore, database: Database
) -> None:
    users, groups, grants = UserStore(database), GroupStore(database), GrantStore(database)
    await users.add(user("u-1", tenant="t-a"), "hash")
    await groups.add(Group(id="g-1", name="crew", tenant="t-a", created_at=NOW))
    await groups.join("g-1", "u-1")
    await groups.join("g-1", "u-1")
    await grants.add(grant("k-1", "user", "t-web", user="u-1"), is_own=False)
    await grants.add(grant("k-2", "operator", "t-a", group="g-1"), is_own=False)
    await grants.add(grant("k-3", "admin", "t-b", user="u-1"), is_own=False)
    store = DirectoryStore(database)
    found = await store.roles_held("u-1", ("root", "t-a", "t-web"))
    assert found is not None
    assert (found.name, found.is_enabled, set(found.roles)) == ("u-1", True, {"user", "operator"})
    assert await store.homes("u-1") == ("t-a", ("t-a", "t-b", "t-web"))
    assert set(await store.holds(GROUP, "g-1")) == {("operator", "t-a")}
    assert len(await store.holds(USER, "u-1")) == 3
    assert await store.roles_held("u-2", ("root",)) is None
    assert (await groups.page({"t-a"}))[0].members == ("u-1",)
    await users.remove("u-1")
    assert (await groups.page())[0].members == ()
    assert [one.id for one in await grants.page()] == ["k-2"]
    await groups.remove("g-1")
    assert await grants.page() == ()


async def test_a_provider_says_who_is_in_its_groups_and_in_no_others(database: Database) -> None:
    users, groups = UserStore(database), GroupStore(database)
    await users.add(user("u-1", issuer="https://id.example", subject="1"))
    for id in ("g-1", "g-2", "g-3"):
        await groups.add(Group(id=id, name=id, tenant="root", created_at=NOW))
    await groups.join("g-3", "u-1")
    await groups.told("u-1", ["g-1", "g-2", "g-3"], "https://id.example")
    await groups.told("u-1", ["g-2"], "https://id.example")
    assert {one.id for one in await groups.page() if one.members} == {"g-2", "g-3"}
    found = await users.of_subject("https://id.example", "1")
    assert found is not None
    assert found.id == "u-1"
    assert await users.of_subject("https://other.example", "1") is None
    with pytest.raises(Conflict):
        await users.add(user("u-2", issuer="https://id.example", subject="1"))


async def test_a_role_does_not_go_while_it_is_being_given(database: Database) -> None:
    roles, grants = RoleStore(database), GrantStore(database)
    await roles.add(Role(id="r-1", name="mine", rules=RULES))
    both = await asyncio.gather(
        roles.remove("r-1"),
        grants.add(grant("k-1", "r-1", "root", user="u-1"), is_own=True),
        return_exceptions=True,
    )
    is_there = bool(await roles.get("r-1"))
    assert is_there is bool(await grants.page())
    assert sum(isinstance(one, Exception) for one in both) == 1
