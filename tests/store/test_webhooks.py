"""Webhooks: kept with a sealed secret, and delivered by one process at a time."""

import asyncio

import pytest
from tests.store.samples import BROKEN, START, at

from nimbi.model.errors import Conflict, NotFound
from nimbi.model.inventory import EventKind
from nimbi.model.webhooks import Webhook
from nimbi.store.database import Database
from nimbi.store.events import Change, EventStore
from nimbi.store.sealing import Keyring
from nimbi.store.webhooks import WebhookStore, bound_to

HOOK = Webhook(
    id="w", url="https://x.example/h", accounts=("a",), collections=("instances",), created_at=START
)


@pytest.fixture
async def webhooks(database: Database, keyring: Keyring) -> WebhookStore:
    store = WebhookStore(database)
    await store.add(HOOK, keyring.seal(b"hush", bound_to("w")))
    return store


async def happens(database: Database) -> None:
    event = Change("a", "instances", "i", EventKind.APPEARED, None, b"{}")
    await EventStore(database).append(at(0), [event])


async def test_a_webhook_is_read_as_it_was_written(
    webhooks: WebhookStore, keyring: Keyring
) -> None:
    assert await webhooks.get("w") == HOOK
    assert await webhooks.list() == (HOOK,)
    assert keyring.open(await webhooks.secret("w"), bound_to("w")) == b"hush"
    with pytest.raises(Conflict):
        await webhooks.add(HOOK, keyring.seal(b"x", "x"))
    await webhooks.remove("w")
    for work in (webhooks.get("w"), webhooks.remove("w"), webhooks.set_enabled("w", True)):
        with pytest.raises(NotFound):
            await work


async def test_one_process_delivers_what_happened(
    webhooks: WebhookStore, database: Database
) -> None:
    assert await webhooks.due("p", 60) == ()
    await happens(database)
    taken = await asyncio.gather(*(webhooks.due(f"p{n}", 60) for n in range(5)))
    (holder,) = [f"p{n}" for n, each in enumerate(taken) if each]
    assert not await webhooks.delivered("w", "another", 1)
    assert await webhooks.delivered("w", holder, 1)
    assert (await webhooks.get("w")).delivered_id == 1
    assert await webhooks.due("p", 60) == ()


async def test_a_delivery_of_a_dead_process_is_made_by_another(
    webhooks: WebhookStore, database: Database
) -> None:
    await happens(database)
    assert await webhooks.due("dead", 0)
    assert await webhooks.due("p", 60)
    assert not await webhooks.delivered("w", "dead", 1)
    assert await webhooks.keep("w", "p", 60)


async def test_a_failure_waits_and_says_since_when_it_fails(
    webhooks: WebhookStore, database: Database
) -> None:
    await happens(database)
    for attempt in range(2):
        (delivery,) = await webhooks.due("p", 60)
        assert delivery.attempts == attempt
        assert await webhooks.failed("w", "p", BROKEN, at(-1e9 + attempt), at(-1e9))
    hook = await webhooks.get("w")
    assert (hook.failing_since, hook.problem, hook.is_enabled) == (at(-1e9), BROKEN, True)
    await webhooks.due("p", 60)
    await webhooks.failed("w", "p", BROKEN, at(0), at(1e9))
    assert await webhooks.due("p", 60) == ()


async def test_one_that_failed_for_long_is_disabled_until_it_is_enabled_anew(
    webhooks: WebhookStore, database: Database
) -> None:
    await happens(database)
    await webhooks.due("p", 60)
    await webhooks.failed("w", "p", BROKEN, at(-1e9), None)
    assert not (await webhooks.get("w")).is_enabled
    assert await webhooks.due("p", 60) == ()
    enabled = await webhooks.set_enabled("w", True)
    assert (enabled.is_enabled, enabled.problem, enabled.failing_since) == (True, None, None)
    assert [delivery.attempts for delivery in await webhooks.due("p", 60)] == [0]
