"""The inventory as front ends use it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from datetime import datetime
from typing import Any

from nimbi.broker.accounts import Accounts
from nimbi.broker.inventory.changes import ChangedThings
from nimbi.broker.inventory.gate import Gates
from nimbi.broker.inventory.listing import Lists
from nimbi.broker.inventory.markers import Markers
from nimbi.broker.inventory.poller import USUAL, Beat, Poller
from nimbi.broker.inventory.refresh import Refresher
from nimbi.broker.inventory.wishes import Listing, Row, Wish
from nimbi.gateway.registry import Registry
from nimbi.model.accounts import Part
from nimbi.store.intents import IntentStore
from nimbi.store.inventory import InventoryStore
from nimbi.store.leases import LeaseStore


async def _unread(_account: str, _collection: str, _asked_at: datetime) -> None:
    """Take no note of a list."""


class Inventory:
    """What all accounts hold; one object for each process.

    `key` signs markers: all processes of one system have the same. `holder` names this process and
    no other. `on_news` is called when this process has changed what is known, `on_list` with
    account, collection and when it was asked for, when a whole list of a cloud was kept.
    """

    def __init__(
        self,
        accounts: Accounts,
        store: InventoryStore,
        leases: LeaseStore,
        intents: IntentStore,
        registry: Registry,
        *,
        key: bytes,
        holder: str,
        on_news: Callable[[], None] = lambda: None,
        on_list: Callable[[str, str, datetime], Awaitable[None]] = _unread,
        beat: Beat = USUAL,
    ) -> None:
        self._on_news = on_news
        self._gates = Gates()
        self._refresher = Refresher(accounts, store, self._gates, self._known, on_list)
        self._lists = Lists(accounts, store, self._refresher, registry, Markers(key))
        self._poller = Poller(
            accounts, store, leases, intents, self._refresher, registry, holder=holder, beat=beat
        )
        self._changes = ChangedThings(
            accounts, store, self._refresher, poke=self._poller.poke, on_change=self._known
        )

    async def list(self, wish: Wish) -> Listing:
        """Return one page over all accounts of the wish; never raises for a cloud that fails.

        Raises Invalid for a wish that cannot be met and for a marker of another wish, NotFound for
        an account that is named and unknown. An account that was never asked is asked now.
        """
        return await self._lists.page(wish)

    def stream(self, wish: Wish) -> AsyncIterator[Row | Part]:
        """Yield things as clouds answer, sorted within an account; its Part comes after them.

        Raises as `list` does; a stream takes no marker.
        """
        return self._lists.stream(wish)

    def calling(self, account: str) -> AbstractContextManager[None]:
        """Mark that somebody waits for a call to an account: background polls stand back."""
        return self._gates.calling(account)

    async def changed(
        self, account: str, operation: str, arguments: tuple[Any, ...] = (), answer: Any = None
    ) -> None:
        """Take over what a call told: to be called after each one that went well and changes.

        `operation` is its id (`instances.start`), `arguments` are those it was called with. What
        it made or changed is in the lists of this process at once, and the account is polled
        quicker for a while. The answer of a `get` may be told too. Raises CloudUnavailable when the
        database cannot be reached.
        """
        await self._changes.take(account, operation, arguments, answer)

    async def doubted(self, account: str, operation: str) -> None:
        """Ask an account's cloud soon: to be called when nobody knows what came of a call to it.

        Raises CloudUnavailable when the database cannot be reached.
        """
        await self._changes.doubt(account, operation)

    def forget(self, account: str) -> None:
        """Drop what this process holds of an account that is no more."""
        self._gates.forget(account)

    def polling(self) -> AbstractAsyncContextManager[None]:
        """Poll all accounts in the background for as long as the block runs."""
        return self._poller.running()

    async def aclose(self) -> None:
        """Keep what is still to be kept; to be called before the database is closed."""
        await self._refresher.aclose()

    def _known(self, collection: str) -> None:
        self._lists.changed(collection)
        self._on_news()
