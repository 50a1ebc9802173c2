"""What depends on an account, and is named before one is removed."""

from collections.abc import Sequence
from contextlib import suppress

from nimbi.broker.accounts import Dependants
from nimbi.model.errors import NotFound
from nimbi.store.checks import CheckStore
from nimbi.store.database import Database
from nimbi.store.intents import IntentStore
from nimbi.store.inventory import InventoryStore
from nimbi.store.webhooks import WebhookStore

# So many things of a kind are named.
SHOWN = 5


def dependants(database: Database) -> tuple[Dependants, ...]:
    """Return what tells of an account what depends on it, in words."""
    checks, hooks = CheckStore(database), WebhookStore(database)
    intents, things = IntentStore(database), InventoryStore(database)

    async def work(account: str) -> Sequence[str]:
        count = await intents.count_open(account)
        return [f"{count} things being made"] if count else []

    async def listeners(account: str) -> Sequence[str]:
        return [f"the webhook {hook.id}" for hook in await hooks.list() if account in hook.accounts]

    async def checked(account: str) -> Sequence[str]:
        return [f"the check {each.id}" for each in await checks.list(account)]

    async def made(account: str) -> Sequence[str]:
        named = []
        for intent in await intents.made(account):
            with suppress(NotFound):
                thing = await things.thing(account, intent.collection, intent.thing_id or "")
                named.append(f"{thing.collection} {thing.id}")
        return [*named[:SHOWN], f"{len(named) - SHOWN} more"] if len(named) > SHOWN else named

    return work, listeners, checked, made
