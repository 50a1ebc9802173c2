"""Accounts, events and webhooks: each is shown and told what is its own."""

from datetime import UTC, datetime

import httpx
import msgspec
import pytest
from sqlalchemy import insert
from tests.broker.rights.towns import Town

from nimbi.broker.access import ADMIN, Caller, may, may_see
from nimbi.frontends.native.app import NativeApp
from nimbi.model.errors import Forbidden, NotFound
from nimbi.model.inventory import EventKind
from nimbi.model.people import Effect, Owner, RoleRule, UserChange
from nimbi.model.tokens import NewToken
from nimbi.model.webhooks import NewWebhook
from nimbi.store.events import Change, EventStore
from nimbi.store.schema import holdings

HOOK = "https://8.8.8.8/hook"


async def hold(town: Town, account: str, place: str, id: str, *, state: str = "held") -> None:
    path = (await town.rights.authorization.directory()).paths[town.ids[place]]
    row = {
        "account": account,
        "token": f"{place}-{id}",
        "number": 0,
        "tenant": town.ids[place],
        "path": "".join(f"{one}/" for one in path),
        "user": "admin",
        "collection": "instances",
        "thing_id": id,
        "state": state,
        "created_us": 1,
    }
    async with town.whole.broker.database.writing() as connection:
        await connection.execute(insert(holdings), [row])


def _change(account: str, collection: str, id: str, body: object = None) -> Change:
    kind = EventKind.VANISHED if body is None else EventKind.CHANGED
    raw = None if body is None else msgspec.json.encode(body)
    return Change(account, collection, id, kind, None, raw)


@pytest.fixture
async def busy(town: Town) -> Town:
    """Give a town where things of several tenants changed in one account."""
    for account in ("of-acme", "of-web", "of-other"):
        await town.settle_account(account)
    for place, id in (("acme/web", "i-web"), ("acme/ops", "i-ops")):
        await hold(town, "of-acme", place, id)
    await hold(town, "of-acme", "acme/web", "i-gone", state="released")
    owner = Owner(user="u", name="u", tenant=town.ids["acme/ops"])
    await EventStore(town.whole.broker.database).append(
        datetime.now(UTC),
        [
            _change("of-acme", "instances", "i-web", {"tenant": town.ids["acme/ops"]}),
            _change("of-acme", "instances", "i-ops", {"tenant": town.ids["acme/web"]}),
            _change("of-acme", "instances", "i-gone"),
            _change("of-acme", "instances", "i-nobody", {}),
            _change("of-acme", "hardware_profiles", "small", {}),
            _change("of-acme", "images", "debian", {}),
            _change("of-web", "instances", "i-mine", {}),
            _change("of-other", "instances", "i-far", {}),
            _change("", "jobs", "j-ops", {"owner": owner}),
            _change("", "jobs", "j-web", {"owner": {"tenant": town.ids["acme/web"]}}),
            _change("", "jobs", "j-whose", None),
            _change("", "budgets", "b-web", {"tenant": town.ids["acme/web"], "owner": "acme"}),
        ],
    )
    return town


async def _seen(town: Town, caller: Caller) -> set[str]:
    events = await town.whole.broker.events.after(0, 1000)
    shown = await town.rights.visibility.shown(caller, events)
    return {event.thing_id for event in shown if event.collection != "accounts"}


async def test_each_is_told_of_its_own_things_and_of_what_is_everybodys(busy: Town) -> None:
    web = await busy.arrived("ann", "user", "acme/web")
    common = {"small", "debian"}
    mine = {"i-web", "i-gone", "i-mine", "j-web", "b-web"}
    assert await _seen(busy, web) == mine | common
    acme = await busy.arrived("boss", "domain-admin", "acme")
    assert await _seen(busy, acme) == mine | common | {"i-ops", "i-nobody", "j-ops"}
    assert await _seen(busy, ADMIN) >= {"i-far", "j-whose", *mine}
    await busy.role("starter", RoleRule(Effect.ALLOW, "jobs.*"))
    assert await _seen(busy, await busy.arrived("bob", "starter", "acme/web")) == {"j-web"}


async def test_the_events_of_the_api_are_those(busy: Town) -> None:
    people = busy.rights.people
    caller = await busy.arrived("ann", "user", "acme/web")
    made = await people.create_token(caller, NewToken(name="ci"))
    transport = httpx.ASGITransport(app=NativeApp(busy.whole.broker))
    headers = {"authorization": f"Bearer {made.secret}"}
    async with httpx.AsyncClient(transport=transport, headers=headers) as client:
        answer = await client.get("http://nimbi/v1/events?limit=1000")
        told = {e["thing_id"] for e in answer.json()["items"] if e["collection"] != "accounts"}
        assert told == await _seen(busy, caller)
        accounts = (await client.get("http://nimbi/v1/accounts")).json()["items"]
        assert {one["id"] for one in accounts} == {"of-acme", "of-web"}
        me = (await client.get("http://nimbi/v1/login")).json()
        assert (me["user"], me["tenant"]) == (caller.user, caller.tenant)
        assert (await client.delete("http://nimbi/v1/login")).status_code == 204
        assert (await client.get("http://nimbi/v1/login")).status_code == 401


async def test_a_webhook_is_told_what_its_owner_may_see_now(busy: Town) -> None:
    hooks = busy.whole.broker.webhooks
    ann = await busy.arrived("ann", "user", "acme/web")
    with pytest.raises(NotFound):
        await hooks.create(NewWebhook(url=HOOK, accounts=("of-other",)), ann)
    made = (await hooks.create(NewWebhook(url=HOOK), ann)).webhook
    assert made.tenant == busy.ids["acme/web"]
    events = await busy.whole.broker.events.after(0, 1000)
    told = await busy.rights.told(made, events)
    assert {one.thing_id for one in told} >= {"i-web", "j-web"}
    assert not {one.thing_id for one in told} & {"i-ops", "j-ops", "i-far"}
    await busy.rights.users.change(ADMIN, "ann", UserChange(is_enabled=False))
    with pytest.raises(Forbidden):
        await busy.rights.told(made, events)
    of_operator = (await hooks.create(NewWebhook(url=HOOK))).webhook
    assert await busy.rights.told(of_operator, events) == events


async def test_webhooks_of_others_are_not_there(busy: Town) -> None:
    hooks = busy.whole.broker.webhooks
    ann = await busy.arrived("ann", "user", "acme/web")
    boss = await busy.arrived("boss", "domain-admin", "acme")
    mine = (await hooks.create(NewWebhook(url=HOOK), ann)).webhook
    theirs = (await hooks.create(NewWebhook(url=HOOK), boss)).webhook
    assert [one.id for one in await hooks.all(ann)] == [mine.id]
    assert {one.id for one in await hooks.all(boss)} == {mine.id, theirs.id}
    for attempt in (
        hooks.get(theirs.id, ann),
        hooks.enable(theirs.id, ann),
        hooks.destroy(theirs.id, ann),
    ):
        with pytest.raises(NotFound):
            await attempt
    await hooks.destroy(mine.id, boss)


async def test_an_account_is_used_where_it_belongs_below_and_where_it_is_lent(busy: Town) -> None:
    ann = await busy.user("ann", "domain-admin", "acme/web")

    async def caller() -> Caller:
        return await busy.caller(ann, "acme/web")

    assert not may_see(await caller(), "of-other")
    await busy.rights.lends.lend(ADMIN, "of-other", "acme/web")
    lent = await caller()
    assert may(lent, "instances.create", "of-other")
    assert not may(lent, "accounts.change", "of-other")
    with pytest.raises(Forbidden):
        await busy.rights.lends.lend(lent, "of-other", "acme/web")
    with pytest.raises(Forbidden):
        await busy.rights.lends.page(lent, "of-other")
    await busy.rights.lends.unlend(ADMIN, "of-other", "acme/web")
    assert not may(await caller(), "instances.create", "of-other")
    await busy.rights.lends.move(ADMIN, "of-other", "acme/web")
    assert may(await caller(), "accounts.change", "of-other")
