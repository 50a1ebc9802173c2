"""Webhooks: told in order, signed, told again, and given up on in the end."""

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest
from aiohttp import web
from tests.broker.sites import PACE, Site, soon

from nimbi.broker.deliveries import Deliverer
from nimbi.broker.destinations import Destinations
from nimbi.model.errors import Forbidden, Invalid, NotFound
from nimbi.model.inventory import EventKind
from nimbi.model.webhooks import CreatedWebhook, NewWebhook
from nimbi.store.events import Change, EventStore
from nimbi.wire.destinations import Reach


@dataclass
class Listener:
    """A URL that is told; answers with `answers` in turn, then with 200."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    taken: list[tuple[Mapping[str, str], bytes]] = field(default_factory=list)

    @property
    def things(self) -> list[str]:
        return [json.loads(body)["data"]["thing_id"] for _, body in self.taken]

    async def take(self, request: web.Request) -> web.Response:
        self.taken.append((request.headers, await request.read()))
        status = self.answers.pop(0) if self.answers else 200
        return web.Response(status=status, headers={"Location": "/elsewhere"})


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    async with listening() as found:
        yield found


@asynccontextmanager
async def listening() -> AsyncIterator[Listener]:
    found = Listener()
    app = web.Application()
    app.router.add_route("*", "/{any:.*}", found.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    found.url = f"http://{host}:{port}/hook"
    try:
        yield found
    finally:
        await runner.cleanup()


async def happen(site: Site, *ids: str, collection: str = "keys", account: str = "one") -> None:
    changes = [Change(account, collection, id, EventKind.APPEARED, None, b"{}") for id in ids]
    await EventStore(site.database).append(datetime.now(UTC), changes)


async def taken(listener: Listener, count: int) -> None:
    async def enough() -> bool:
        return len(listener.taken) >= count

    await soon(enough)


async def settled(site: Site, id: str) -> None:
    async def at_the_end() -> bool:
        return (await site.webhooks.get(id)).delivered_id == await site.events.newest()

    await soon(at_the_end)


def signature(made: CreatedWebhook, headers: Mapping[str, str], body: bytes) -> str:
    secret = base64.b64decode(made.secret.removeprefix("whsec_"))
    signed = b".".join(
        (headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body)
    )
    return base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()


async def test_events_are_told_in_order_and_signed(site: Site, listener: Listener) -> None:
    await happen(site, "before")
    made = await site.webhooks.create(NewWebhook(url=listener.url))
    async with site.webhooks.delivering():
        await happen(site, "k1", "k2", "k3")
        await taken(listener, 3)
    assert listener.things == ["k1", "k2", "k3"]
    for headers, body in listener.taken:
        assert headers["webhook-signature"] == f"v1,{signature(made, headers, body)}"
    told = json.loads(listener.taken[0][1])
    assert told["type"] == "keys.appeared"
    assert len({headers["webhook-id"] for headers, _ in listener.taken}) == 3


@pytest.mark.parametrize("status", [500, 404, 302])
async def test_what_was_not_taken_is_told_again_before_the_rest(
    site: Site, listener: Listener, status: int
) -> None:
    listener.answers = [200, status, status]
    made = await site.webhooks.create(NewWebhook(url=listener.url))
    async with site.webhooks.delivering():
        await happen(site, "k1", "k2", "k3")
        await settled(site, made.webhook.id)
    assert listener.things == ["k1", "k2", "k2", "k2", "k3"]
    again = [headers["webhook-id"] for headers, _ in listener.taken[1:4]]
    assert len(set(again)) == 1
    webhook = await site.webhooks.get(made.webhook.id)
    assert (webhook.problem, webhook.failing_since) == (None, None)


async def test_only_what_was_asked_for_is_told(site: Site, listener: Listener) -> None:
    await site.add("one", "two")
    new = NewWebhook(url=listener.url, accounts=("two",), collections=("volumes",))
    made = await site.webhooks.create(new)
    async with site.webhooks.delivering():
        await happen(site, "k1", account="two")
        await happen(site, "v1", collection="volumes", account="one")
        await happen(site, "v2", collection="volumes", account="two")
        await settled(site, made.webhook.id)
    assert listener.things == ["v2"]


async def test_one_that_says_gone_is_told_no_more_until_it_is_enabled(
    site: Site, listener: Listener
) -> None:
    listener.answers = [410]
    made = await site.webhooks.create(NewWebhook(url=listener.url))

    async def is_disabled() -> bool:
        return not (await site.webhooks.get(made.webhook.id)).is_enabled

    async with site.webhooks.delivering():
        await happen(site, "k1")
        await soon(is_disabled)
        await site.webhooks.enable(made.webhook.id)
        await taken(listener, 2)
    assert listener.things == ["k1", "k1"]


async def test_one_that_fails_for_long_is_disabled_and_says_why(
    site: Site, listener: Listener
) -> None:
    listener.answers = [500] * 1000
    made = await site.webhooks.create(NewWebhook(url=listener.url))
    hurried = Deliverer(
        site.webhooks._store,
        EventStore(site.database),
        site.keyring,
        Reach.PRIVATE,
        holder="hurried",
        pace=replace(PACE, disable_s=0.0),
    )

    async def is_disabled() -> bool:
        return not (await site.webhooks.get(made.webhook.id)).is_enabled

    await happen(site, "k1")
    async with hurried.running():
        await soon(is_disabled)
    problem = (await site.webhooks.get(made.webhook.id)).problem
    assert problem is not None
    assert "500" in problem.message


async def test_two_processes_tell_it_once(site: Site, listener: Listener) -> None:
    made = await site.webhooks.create(NewWebhook(url=listener.url))
    other = Deliverer(
        site.webhooks._store,
        EventStore(site.database),
        site.keyring,
        Reach.PRIVATE,
        holder="other",
        pace=PACE,
    )
    async with site.webhooks.delivering(), other.running():
        for number in range(20):
            await happen(site, f"k{number}")
        await settled(site, made.webhook.id)
    assert listener.things == [f"k{number}" for number in range(20)]


async def test_an_address_out_of_reach_is_refused_and_never_called(
    site: Site, listener: Listener
) -> None:
    site.webhooks._destinations = Destinations(private=False)
    with pytest.raises(Forbidden):
        await site.webhooks.create(NewWebhook(url=listener.url))
    site.webhooks._destinations = Destinations(private=True)
    made = await site.webhooks.create(NewWebhook(url=listener.url))
    # A name may stand for another address later: each connection is looked at.
    public = Deliverer(
        site.webhooks._store,
        EventStore(site.database),
        site.keyring,
        Reach.PUBLIC,
        holder="public",
        pace=PACE,
    )

    async def has_failed() -> bool:
        return (await site.webhooks.get(made.webhook.id)).problem is not None

    await happen(site, "k1")
    async with public.running():
        await soon(has_failed)
    assert listener.taken == []


async def test_wishes_that_cannot_be_met_are_refused(site: Site) -> None:
    url = "http://127.0.0.1:9/hook"
    with pytest.raises(NotFound):
        await site.webhooks.create(NewWebhook(url=url, accounts=("nobody",)))
    with pytest.raises(Invalid):
        await site.webhooks.create(NewWebhook(url=url, collections=("nonsense",)))
    for wrong in ("", "ftp://127.0.0.1/", "http://user:password@127.0.0.1/", "http://", "x" * 3000):
        with pytest.raises(Invalid):
            await site.webhooks.create(NewWebhook(url=wrong))
    assert await site.webhooks.all() == ()


async def test_a_secret_is_kept_nowhere_in_the_clear(site: Site, listener: Listener) -> None:
    made = await site.webhooks.create(NewWebhook(url=listener.url))
    secret = base64.b64decode(made.secret.removeprefix("whsec_"))
    sealed = await site.webhooks._store.secret(made.webhook.id)
    assert secret not in sealed.body
    assert made.secret not in repr(made)
