"""Lost answers: what became of requests whose answers nobody got."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from nimbi.broker.inventory.marks import mark_of
from nimbi.broker.inventory.told import Told
from nimbi.store.intents import Intent, IntentStore

# Clouds that copy their data between places may show a thing late; and whoever lost an answer may
# come again with the same request.
SETTLED = timedelta(minutes=10)
HELD_S = 30.0


class LostAnswers:
    """Looks for what abandoned intents have made, whenever a cloud is polled."""

    def __init__(self, intents: IntentStore, holder: str) -> None:
        self._intents = intents
        self._holder = holder

    async def of(self, account: str, collection: str) -> Mapping[bytes, list[Intent]]:
        """Return the abandoned intents to make things of a collection, by their marks."""
        found: dict[bytes, list[Intent]] = {}
        for intent in await self._intents.abandoned((account,)):
            if intent.collection == collection:
                found.setdefault(mark_of(intent.request), []).append(intent)
        return found

    async def looked(self, lost: Mapping[bytes, list[Intent]], told: Told) -> None:
        """Take note of what a whole list showed of them, and of what it did not.

        One that made something is an orphan until somebody takes it; one that made nothing is
        forgotten after a while, and so is one whose thing is gone.
        """
        if told.problem is not None:
            return
        for mark, group in lost.items():
            ids = told.marked.get(mark, [])
            known = {intent.thing_id for intent in group}
            for intent in group:
                is_request = intent.token == intent.request
                if is_request and not known.issuperset(ids):
                    await self._intents.found(intent.account, intent.token, *ids)
                elif (intent.thing_id and intent.thing_id not in ids) or (
                    not ids and _is_settled(intent, told.began_at)
                ):
                    await self._forget(intent)

    async def _forget(self, intent: Intent) -> None:
        # Whoever sent the request may have come again meanwhile: then it is theirs.
        if await self._intents.take_over(intent.account, intent.token, self._holder, HELD_S):
            await self._intents.failed(intent.account, intent.token)


def _is_settled(intent: Intent, asked_at: datetime) -> bool:
    return asked_at - max(intent.begun_at, intent.until) > SETTLED
