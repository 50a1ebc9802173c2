"""What a project's caller sees of lists and orphans, who may be given a thing, and who signs in."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from sqlalchemy import insert
from tests.broker.rights.towns import Town

from nimbi.broker.access import ADMIN, Caller
from nimbi.broker.inventory import listing
from nimbi.broker.inventory.wishes import Wish
from nimbi.driver.compute import Instances
from nimbi.model.errors import Conflict, Forbidden, Invalid, NotFound
from nimbi.model.instances import Instance, NewInstance
from nimbi.model.people import NewUser, UserChange, UserKind
from nimbi.store.quotas import Path
from nimbi.store.schema import intents
from nimbi.store.users import UserStore

SMALL = NewInstance(image_id="img1", hardware_profile_id="m1-small")
ISSUER = "https://id.example.com"


async def made(town: Town, who: Caller, account: str) -> Instance:
    async with town.whole.broker.use(who, account) as cloud:
        found: Instance = await cloud.call(Instances.create, SMALL)
    return found


async def listed(town: Town, who: Caller, **more: Any) -> list[str]:
    wish = Wish(collection="instances", caller=who, **more)
    found = await town.whole.broker.inventory.list(wish)
    return [msgspec.json.decode(item)["id"] for item in found.items]


@pytest.mark.parametrize(("few", "some"), [(9, 9), (0, 9), (0, 0)])
async def test_a_project_lists_its_own_in_every_order_page_by_page(
    town: Town, monkeypatch: pytest.MonkeyPatch, few: int, some: int
) -> None:
    monkeypatch.setattr(listing, "FEW", few)
    monkeypatch.setattr(listing, "SOME", some)
    await town.settle_account("of-acme")
    web = await town.arrived("ann", "operator", "acme/web")
    ops = await town.arrived("otto", "operator", "acme/ops")
    mine = sorted([(await made(town, web, "of-acme")).id for _ in range(3)])
    await made(town, ops, "of-acme")
    await town.whole.broker.inventory.list(Wish(collection="instances", fresh=True))
    assert await listed(town, web) == mine
    assert await listed(town, web, sort="-id") == mine[::-1]
    assert sorted(await listed(town, web, sort="name")) == mine
    wish = Wish(collection="instances", caller=web, limit=2)
    first = await town.whole.broker.inventory.list(wish)
    assert first.next is not None
    assert await listed(town, web, limit=2, marker=first.next) == mine[2:]
    boss = await town.arrived("boss", "operator", "acme")
    assert set(mine) < set(await listed(town, boss))


async def test_a_thing_is_given_only_to_who_may_use_its_account(town: Town) -> None:
    await town.settle_account("of-web")
    web = await town.arrived("ann", "operator", "acme/web")
    mine = await made(town, web, "of-web")
    quotas, land = town.whole.broker.quotas, await town.rights.authorization.directory()
    ops = Path(land.paths[town.ids["acme/ops"]])
    with pytest.raises(Forbidden, match="lend it first"):
        await quotas.adopt(ADMIN, "of-web", "instances", mine.id, ops)
    await town.rights.lends.lend(ADMIN, "of-web", "acme/ops")
    await quotas.adopt(ADMIN, "of-web", "instances", mine.id, ops)
    holdings = town.whole.broker.ground.holdings
    assert await holdings.owner_of("of-web", "instances", mine.id) == town.ids["acme/ops"]


async def test_orphans_of_other_tenants_are_not_there(town: Town) -> None:
    await town.settle_account("of-web")
    await town.rights.lends.lend(ADMIN, "of-web", "acme/ops")
    web = await town.arrived("ann", "admin", "acme/web")
    ops = await town.arrived("otto", "operator", "acme/ops")
    ids = [(await made(town, who, "of-web")).id for who in (web, ops)]
    orphans = town.whole.broker.orphans
    row = {
        "account": "of-web",
        "operation": "instances.create",
        "collection": "instances",
        "begun_us": int(datetime.now(UTC).timestamp() * 1e6),
        "until_us": 0,
        "is_done": False,
    }
    async with town.whole.broker.database.writing() as connection:
        rows = [{**row, "token": f"lost {id}", "thing_id": id} for id in ids]
        await connection.execute(insert(intents), rows)
    assert {one.id for one in await orphans.list()} == set(ids)
    assert [one.id for one in await orphans.list(None, web)] == ids[:1]
    assert await orphans.list(None, ops) == ()
    with pytest.raises(NotFound):
        await orphans.remove("of-web", "instances", ids[1], web)
    await orphans.adopt("of-web", "instances", ids[0], web)


async def test_a_user_is_linked_to_whom_a_provider_knows_by_who_may_change_users(
    town: Town,
) -> None:
    users = town.rights.users
    ann = await town.arrived("ann", "operator", "acme/web")
    boss = await town.arrived("boss", "domain-admin", "acme")
    link = UserChange(issuer=ISSUER, subject="4711")
    with pytest.raises(Forbidden):
        await users.change(ann, "ann", link)
    linked = await users.change(boss, "ann", link)
    assert (linked.issuer, linked.subject) == (ISSUER, "4711")
    found = await UserStore(town.whole.broker.database).of_subject(ISSUER, "4711")
    assert found is not None
    assert found.id == ann.user
    await town.user("bob", "operator", "acme/ops")
    with pytest.raises(Conflict):
        await users.change(boss, "bob", link)
    with pytest.raises(NotFound):
        await users.change(await town.arrived("far", "domain-admin", "other"), "ann", link)
    # Whose rights go beyond one's own is nobody to become.
    await town.grant((await users.get(ADMIN, "bob")).id, "admin", "root")
    with pytest.raises(Forbidden):
        await users.change(boss, "bob", UserChange(issuer=ISSUER, subject="4712"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"issuer": ISSUER},
        {"subject": "4711"},
        {"issuer": "nowhere", "subject": "4711"},
        {"issuer": ISSUER, "subject": ""},
    ],
)
async def test_half_an_identity_is_none(town: Town, wrong: dict[str, Any]) -> None:
    await town.user("ann")
    with pytest.raises(Invalid):
        await town.rights.users.change(ADMIN, "ann", UserChange(**wrong))


async def test_a_service_account_signs_in_nowhere(town: Town) -> None:
    await town.rights.users.create(ADMIN, NewUser(name="ci", kind=UserKind.SERVICE))
    with pytest.raises(Invalid):
        link = UserChange(issuer=ISSUER, subject="4711")
        await town.rights.users.change(ADMIN, "ci", link)
