"""What calls through Nimbi have changed: in lists at once, without waiting for a poll."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, get_args, get_type_hints

from nimbi.broker.accounts import Accounts
from nimbi.broker.inventory.bodies import thing_of
from nimbi.broker.inventory.collections import LISTED, REMEMBERED
from nimbi.broker.inventory.refresh import Refresher
from nimbi.broker.inventory.schedule import NEIGHBOURS, pace_of
from nimbi.driver.capabilities import BY_ID
from nimbi.model.errors import CloudError, NotFound
from nimbi.model.resource import Resource
from nimbi.store.inventory import InventoryStore

MADE_BY = frozenset({"create", "create_many", "upload"})
# Looking after a thing that was told to change may not take longer.
LOOK_S = 10.0


class ChangedThings:
    """Takes over what calls have told. `poke` makes the poller look at an account."""

    def __init__(
        self,
        accounts: Accounts,
        store: InventoryStore,
        refresher: Refresher,
        *,
        poke: Callable[[str], None],
        on_change: Callable[[str], None],
    ) -> None:
        self._accounts = accounts
        self._store = store
        self._refresher = refresher
        self._poke = poke
        self._on_change = on_change

    async def take(
        self, account: str, operation: str, arguments: tuple[Any, ...], answer: Any
    ) -> None:
        """Keep what an operation showed; look at what it only said it would do."""
        collection, _, verb = operation.partition(".")
        if collection not in REMEMBERED or _is_list(operation):
            return
        told = _things(collection, answer)
        now = datetime.now(UTC)
        self._refresher.outdated(account, collection)
        try:
            for resource in told:
                thing = thing_of(account, collection, resource, made_here=verb in MADE_BY)
                await self._store.put(account, collection, thing, now)
        except NotFound:
            # The account was removed meanwhile.
            return
        is_safe = BY_ID[operation].is_safe
        if not told and not is_safe and arguments and isinstance(arguments[0], str):
            look = self._look(account, collection, arguments[0])
            self._refresher.look_later(collection, look)
        if not is_safe:
            await self._hurry(account, collection)
        self._on_change(collection)

    async def doubt(self, account: str, operation: str) -> None:
        """Have it looked at soon what a call has changed, if it has."""
        collection = operation.partition(".")[0]
        if collection in REMEMBERED:
            self._refresher.outdated(account, collection)
            await self._hurry(account, collection)

    async def _look(self, account: str, collection: str, id: str) -> None:
        """Ask for one thing, and keep it, or that it is gone."""
        get = BY_ID.get(f"{collection}.get")
        if get is None:
            return
        at = datetime.now(UTC)
        try:
            async with self._accounts.use(account) as cloud:
                found: Resource = await cloud.within(LOOK_S).call(get.function, id)
        except NotFound:
            await self._dropped(account, collection, id)
        except CloudError:
            # The next poll sees it.
            return
        else:
            thing = thing_of(account, collection, found)
            await self._store.put(account, collection, thing, at)
        self._on_change(collection)

    async def _dropped(self, account: str, collection: str, id: str) -> None:
        try:
            await self._store.drop(account, collection, id, datetime.now(UTC))
        except NotFound:
            return

    async def _hurry(self, account: str, collection: str) -> None:
        """Have the account asked again soon."""
        for name in (collection, *NEIGHBOURS.get(collection, ())):
            soon = datetime.now(UTC) + timedelta(seconds=pace_of(name).quickest_s)
            await self._store.polls.hurry(account, name, soon)
        self._poke(account)


def _things(collection: str, answer: Any) -> tuple[Resource, ...]:
    """Return the things of a collection in an answer: one, several, or none."""
    several = answer if isinstance(answer, tuple) else (answer,)
    kind = _kind(collection)
    return several if several and all(isinstance(each, kind) for each in several) else ()


@cache
def _kind(collection: str) -> type[Resource]:
    """Return what a list of a collection has in it."""
    kind: type[Resource] = get_args(get_type_hints(LISTED[collection])["return"])[0]
    return kind


def _is_list(operation: str) -> bool:
    return operation.endswith(".page")
