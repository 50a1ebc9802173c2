"""Polling in the background: each account by one process, each collection at its own pace."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from nimbi.broker.accounts import Accounts
from nimbi.broker.background import background
from nimbi.broker.inventory.collections import REMEMBERED
from nimbi.broker.inventory.lost import LostAnswers
from nimbi.broker.inventory.refresh import OF_ALL, Refresher
from nimbi.broker.inventory.schedule import PACES, SELDOM
from nimbi.gateway.registry import Registry
from nimbi.model.accounts import Account
from nimbi.model.errors import CloudError, CloudUnavailable, Throttled
from nimbi.store.intents import IntentStore
from nimbi.store.inventory import InventoryStore
from nimbi.store.leases import LeaseStore
from nimbi.store.polls import PollState

log = logging.getLogger(__name__)

# Accounts polled at the same moment by one process.
AT_ONCE = 32
# So that several processes do not look at the same moment for ever.
JITTER = 0.1
# However much is due, others have their turn between two rounds.
LEAST_S = 0.05
# Each process that polls has a lease of this kind, and takes it away when it ends in good order.
PROCESS = "process/"
# What no call of ours changes.
OF_OWNERS = tuple(name for name, pace in PACES.items() if pace is SELDOM)
# A cloud that wants to be left alone for longer is asked all the same.
LONGEST_PAUSE_S = 3600.0


@dataclass(frozen=True)
class Beat:
    """How often a poller looks around, and how long an account stays its own without a look.

    What another process makes due is seen after `look_s` at the latest, and the accounts of one
    that died are taken over `lease_s` after its last sign of life.
    """

    look_s: float = 5.0
    lease_s: float = 20.0


USUAL = Beat()


@dataclass(eq=False)
class _Watch:
    """An account that this process polls."""

    account: Account
    fence: int
    task: asyncio.Task[None]
    poke: asyncio.Event


class Poller:
    """Polls the accounts whose leases it holds. `holder` names this process and no other."""

    def __init__(
        self,
        accounts: Accounts,
        store: InventoryStore,
        leases: LeaseStore,
        intents: IntentStore,
        refresher: Refresher,
        registry: Registry,
        *,
        holder: str,
        beat: Beat = USUAL,
        random: Callable[[], float] = random.random,
    ) -> None:
        self._accounts = accounts
        self._store = store
        self._leases = leases
        self._refresher = refresher
        self._registry = registry
        self._holder = holder
        self._lost = LostAnswers(intents, holder)
        self._beat = beat
        self._random = random
        self._watches: dict[str, _Watch] = {}
        # Of this process' own lease.
        self._fence: int | None = None
        self._room = asyncio.Semaphore(AT_ONCE)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Poll until the block ends; leases are given back then, so that others go on at once."""
        try:
            async with background(self._run()):
                yield
        finally:
            await self._leave()
            with suppress(CloudUnavailable):
                await self._leases.drop(PROCESS + self._holder, self._holder)

    def poke(self, account: str) -> None:
        """Look at an account's schedule now: something of it was made due."""
        if watch := self._watches.get(account):
            watch.poke.set()

    async def _run(self) -> None:
        while True:
            try:
                await self._look()
            except CloudUnavailable:
                # The database; who polls what is sorted out when it is there again.
                log.warning("the poller cannot reach the database")
            except Exception:
                log.exception("the poller failed, and goes on")
            await asyncio.sleep(self._beat.look_s * (1 + JITTER * self._random()))

    async def _look(self) -> None:
        """Keep what is held, let go of what is no more, take what is free."""
        await self._look_for_dead()
        wanted = {account.id: account for account in await self._accounts.all()}
        wanted = {id: account for id, account in wanted.items() if account.is_enabled}
        for id, watch in list(self._watches.items()):
            if not _is_same(watch, wanted.get(id)) or not await self._kept(id, watch):
                await self._drop(id)
            elif watch.account.version != wanted[id].version:
                # Another login, perhaps: what waits for the old one's cloud need not wait any more.
                await _ended(watch.task)
                self._begin(wanted[id], watch.fence)
        held = await self._leases.held("poll/")
        free = [id for id in wanted if f"poll/{id}" not in held]
        # Several processes that start together share what there is.
        for id in sorted(free, key=lambda _: self._random())[: (len(free) + 1) // 2]:
            await self._take(wanted[id])

    async def _look_for_dead(self) -> None:
        """Ask all clouds again when a process has died: nobody was told what it did last."""
        mine = (PROCESS + self._holder, self._holder)
        fence, seconds = self._fence, self._beat.lease_s
        if fence is None or not await self._leases.keep(*mine, fence, seconds):
            self._fence = await self._leases.take(*mine, seconds)
        if dead := await self._leases.drop_lost(PROCESS):
            names = ", ".join(name.removeprefix(PROCESS) for name in dead)
            log.warning("a server ended without a word: %s", names)
            await self._store.polls.hurry_all(datetime.now(UTC), without=OF_OWNERS)
            for watch in self._watches.values():
                watch.poke.set()

    async def _kept(self, id: str, watch: _Watch) -> bool:
        name, seconds = f"poll/{id}", self._beat.lease_s
        return await self._leases.keep(name, self._holder, watch.fence, seconds)

    async def _take(self, account: Account) -> None:
        fence = await self._leases.take(f"poll/{account.id}", self._holder, self._beat.lease_s)
        if fence is not None:
            self._begin(account, fence)

    def _begin(self, account: Account, fence: int) -> None:
        poke = asyncio.Event()
        task = asyncio.ensure_future(self._watch(account, poke))
        self._watches[account.id] = _Watch(account, fence, task, poke)

    async def _drop(self, id: str) -> None:
        watch = self._watches.pop(id)
        await _ended(watch.task)
        with suppress(CloudUnavailable):
            await self._leases.release(f"poll/{id}", self._holder, watch.fence)

    async def _leave(self) -> None:
        for id in list(self._watches):
            await self._drop(id)

    async def _watch(self, account: Account, poke: asyncio.Event) -> None:
        """Poll one account, for ever."""
        while True:
            poke.clear()
            wait_s = self._beat.look_s
            try:
                async with self._room:
                    failed = await self._round(account)
                if isinstance(failed, Throttled) and failed.retry_after_s:
                    # It counts what is asked for, whatever it is.
                    await asyncio.sleep(min(failed.retry_after_s, LONGEST_PAUSE_S))
                wait_s = await self._until_due(account)
            except CloudUnavailable:
                log.warning("the inventory of %s cannot be kept now", account.id)
            except Exception:
                log.exception("polling %s failed; it goes on", account.id)
            with suppress(TimeoutError):
                await asyncio.wait_for(poke.wait(), wait_s)

    def _collections(self, account: Account) -> list[str]:
        """Return what to poll of an account; what changes seldom comes last."""
        can = self._registry.supported(account.driver)
        known = [name for name in REMEMBERED if f"{name}.page" in can]
        return sorted(known, key=lambda name: name in PACES)

    async def _round(self, account: Account) -> CloudError | None:
        """Ask for all that is due; return the error, when the cloud as a whole failed."""
        states = await self._store.polls.of_account(account.id)
        now = datetime.now(UTC)
        due = [name for name in self._collections(account) if _is_due(states.get(name), now)]
        failed: CloudError | None = None
        for name in due:
            if failed is None:
                failed = await self._poll(account.id, name)
            else:
                await self._refresher.note_failure(account.id, name, failed)
        return failed

    async def _until_due(self, account: Account) -> float:
        """Return the seconds until something is due, or until it is time to look around."""
        states = await self._store.polls.of_account(account.id)
        known = [states[name].next_at for name in self._collections(account) if name in states]
        if not known:
            return self._beat.look_s
        left_s = (min(known) - datetime.now(UTC)).total_seconds()
        return min(self._beat.look_s, max(LEAST_S, left_s))

    async def _poll(self, account: str, name: str) -> CloudError | None:
        """Ask for one collection. Return the error, when the cloud as a whole failed."""
        lost = await self._lost.of(account, name)
        try:
            told = await self._refresher.ask(
                account, name, background=True, marks=tuple(lost) if lost else ()
            )
        except CloudError as error:
            await self._refresher.note_failure(account, name, error)
            return error if isinstance(error, OF_ALL) else None
        await self._refresher.keep(told)
        if lost:
            await self._lost.looked(lost, told)
        return None


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


def _is_same(watch: _Watch, account: Account | None) -> bool:
    """Return whether an account is still the one that is watched; its name may be another's."""
    is_there = account is not None and account.created_at == watch.account.created_at
    return is_there and not watch.task.done()


def _is_due(state: PollState | None, now: datetime) -> bool:
    return state is None or state.next_at <= now
