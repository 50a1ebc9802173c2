"""Orphans: what Nimbi made, and nobody owns."""

from contextlib import suppress

from nimbi.broker.access import ADMIN, Caller, may, may_touch
from nimbi.broker.accounts import Accounts
from nimbi.broker.inventory.inventory import Inventory
from nimbi.driver.capabilities import BY_ID
from nimbi.model.errors import NotFound, Unsupported
from nimbi.model.inventory import Orphan, Thing
from nimbi.model.people import ROOT
from nimbi.store.holdings import HoldingStore
from nimbi.store.intents import Intent, IntentStore
from nimbi.store.inventory import InventoryStore

# Whoever removes or adopts an orphan holds it meanwhile.
HELD_S = 120.0

REASON = "the answer to the request that made it never arrived, and nobody asked for it again"


class Orphans:
    """Tells what requests have made whose answers nobody got, and removes it when told to.

    The inventory's polls find them: drivers put the request's token to what they make.
    """

    def __init__(
        self,
        accounts: Accounts,
        intents: IntentStore,
        store: InventoryStore,
        inventory: Inventory,
        holdings: HoldingStore,
        *,
        holder: str,
    ) -> None:
        self._accounts = accounts
        self._intents = intents
        self._store = store
        self._inventory = inventory
        self._holdings = holdings
        self._holder = holder

    async def list(
        self, accounts: tuple[str, ...] | None = None, caller: Caller = ADMIN
    ) -> tuple[Orphan, ...]:
        """Return what is known to be an orphan now, the oldest first; asks no cloud.

        Without those of tenants that are not the caller's to see.
        """
        found = []
        for intent in await self._intents.abandoned(accounts):
            if intent.thing_id is None or not may(caller, "orphans.page", intent.account):
                continue
            if not await self._is_seen(caller, intent):
                continue
            with suppress(NotFound):
                thing = await self._store.thing(intent.account, intent.collection, intent.thing_id)
                found.append(_orphan(intent, thing))
        return tuple(found)

    async def remove(self, account: str, collection: str, id: str, caller: Caller = ADMIN) -> None:
        """Destroy one. Raises NotFound unless it is an orphan now, and what the cloud raises."""
        intent = await self._taken(account, collection, id, caller)
        destroy = BY_ID.get(f"{collection}.destroy")
        if destroy is None:
            raise Unsupported(f"{collection} cannot be destroyed", f"{collection}.destroy")
        try:
            with suppress(NotFound), self._inventory.calling(account):
                async with self._accounts.use(account) as cloud:
                    await cloud.call(destroy.function, id)
        except BaseException:
            # It is an orphan still.
            await self._intents.unknown(account, intent.token)
            raise
        await self._intents.forget(account, intent.token)
        await self._inventory.changed(account, destroy.id, (id,))

    async def adopt(self, account: str, collection: str, id: str, caller: Caller = ADMIN) -> None:
        """Keep one: it is no orphan any more. Raises NotFound unless it is one now."""
        intent = await self._taken(account, collection, id, caller)
        await self._intents.done(account, intent.token, id)

    async def _is_seen(self, caller: Caller, intent: Intent) -> bool:
        if caller.tenant == ROOT:
            return True
        place = (intent.account, intent.collection, intent.thing_id or "")
        path = await self._holdings.path_of(*place)
        return path is None or may_touch(caller, path.tenants)

    async def _taken(self, account: str, collection: str, id: str, caller: Caller) -> Intent:
        """Return the intent behind an orphan, and hold it: others may want it too."""
        for intent in await self._intents.abandoned((account,)):
            is_it = intent.collection == collection and intent.thing_id == id
            is_it = is_it and await self._is_seen(caller, intent)
            if is_it and await self._intents.take_over(account, intent.token, self._holder, HELD_S):
                return intent
        raise NotFound(f"{id!r} is no orphan of {collection} in account {account!r}")


def _orphan(intent: Intent, thing: Thing) -> Orphan:
    return Orphan(
        account=intent.account,
        collection=intent.collection,
        id=thing.id,
        name=thing.name,
        reason=REASON,
        seen_at=intent.begun_at,
    )
