"""Asking clouds what they hold, and keeping what they say."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from nimbi.broker.accounts import Accounts
from nimbi.broker.inventory.collections import LISTED, REMEMBERED
from nimbi.broker.inventory.gate import Gates
from nimbi.broker.inventory.schedule import NEIGHBOURS, Seen, after_answer, after_failure, pace_of
from nimbi.broker.inventory.told import Told
from nimbi.gateway import pages
from nimbi.model.accounts import Problem
from nimbi.model.errors import (
    CloudError,
    CloudUnavailable,
    NotFound,
    Throttled,
    Timeout,
    Unauthorized,
)
from nimbi.model.page import Page
from nimbi.store.inventory import Changes, InventoryStore

log = logging.getLogger(__name__)

# After these the cloud would say the same to the next question.
OF_ALL = (Unauthorized, CloudUnavailable, Timeout, Throttled)
# So that accounts made at the same moment are not asked at the same moment for ever.
JITTER = 0.1

PAGE = 1000
# Two who ask at the same moment share one answer.
JOIN_S = 0.05
# A cloud that is silent for longer has failed; whoever waits has a deadline of their own.
POLL_S = 60.0
# Keeping answers stands back for those who wait for a list, but not for ever.
HOLD_S = 1.0
# A server that stops keeps what it was told, if that goes quickly; the next one asks again.
LEAVE_S = 5.0
# A list waits so long for what this very process is about to keep.
SETTLE_S = 2.0


@dataclass(eq=False)
class _Question:
    """One question under way, and how many wait for its answer."""

    task: "asyncio.Task[Told]"
    asked: float
    waiting: int = 0


class Refresher:
    """Asks the clouds of accounts. Those who ask the same at the same moment share the answer."""

    def __init__(
        self,
        accounts: Accounts,
        store: InventoryStore,
        gates: Gates,
        on_change: Callable[[str], None],
        on_list: Callable[[str, str, datetime], Awaitable[None]],
    ) -> None:
        self._accounts = accounts
        self._store = store
        self._gates = gates
        self._on_change = on_change
        self._on_list = on_list
        self._questions: dict[tuple[str, str, bool], _Question] = {}
        self._soon: dict[asyncio.Task[Any], str] = {}
        # The latest whole answer of those that wait to be kept; those before it need not be.
        self._latest: dict[tuple[str, str], Told] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._gathering = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._turn = asyncio.Lock()

    async def ask(
        self,
        account: str,
        collection: str,
        *,
        background: bool = False,
        marks: tuple[bytes, ...] = (),
    ) -> Told:
        """Return what an account's cloud holds now; neither that nor a failure is kept yet.

        A list that breaks off has a `problem`; one without a first page is a CloudError. In the
        background each page waits until nobody else is calling.
        """
        place = (account, collection, background)
        question = self._joinable(account, collection, background=background)
        if question is None:
            work = self._asked(account, collection, background, marks)
            question = _Question(self._started(work), asyncio.get_running_loop().time())
            self._questions[place] = question
        question.waiting += 1
        try:
            return await asyncio.shield(question.task)
        finally:
            question.waiting -= 1
            if not question.waiting:
                question.task.cancel()
                # It takes a moment to end; who joined it would be cancelled with it.
                if self._questions.get(place) is question:
                    del self._questions[place]

    def _joinable(self, account: str, collection: str, *, background: bool) -> _Question | None:
        """Return a question just asked; nobody for whom somebody waits joins one that stands back.

        One in the background joins none, since it may look for marks.
        """
        question = self._questions.get((account, collection, background))
        now = asyncio.get_running_loop().time()
        if background or question is None or question.task.done():
            return None
        return question if now - question.asked <= JOIN_S else None

    def outdated(self, account: str, collection: str) -> None:
        """Let nobody join a question that was asked before something changed."""
        self._questions.pop((account, collection, False), None)

    async def keep(self, told: Told) -> Changes | None:
        """Put an answer into the store, once, and return what it changed; None if nothing is kept.

        Nothing is kept of collections that are not remembered. Of several that wait the latest is
        kept for all. Raises what the store raises.
        """
        return await asyncio.shield(self._keeping(told))

    def keep_later(self, told: Told) -> None:
        """Put an answer into the store as soon as nobody waits for a list."""
        self._awaited(self._keeping(told), told.collection)

    def look_later(self, collection: str, work: Coroutine[Any, Any, Any]) -> None:
        """Do something that lists of a collection are to show, without waiting for it."""
        self._awaited(self._started(work), collection)

    def pending(self, collection: str) -> "frozenset[asyncio.Task[Any]]":
        """Return what this process was told of a collection, and has not kept yet."""
        return frozenset(task for task, name in self._soon.items() if name == collection)

    async def settled(self, pending: "frozenset[asyncio.Task[Any]]") -> None:
        """Return when that is kept, or soon after."""
        if left := {task for task in pending if not task.done()}:
            await asyncio.wait(left, timeout=SETTLE_S)

    def _awaited(self, task: "asyncio.Task[Any]", collection: str) -> None:
        self._soon[task] = collection
        task.add_done_callback(lambda done: self._soon.pop(done, None))

    @contextmanager
    def gathering(self) -> Iterator[None]:
        """Mark that somebody waits for a list."""
        self._gathering += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._gathering -= 1
            if not self._gathering:
                self._idle.set()

    async def aclose(self) -> None:
        """Keep what is to be kept, and leave the rest."""
        for question in self._questions.values():
            question.task.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_S):
                while self._tasks:
                    await asyncio.wait(self._tasks)
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks)

    async def _asked(
        self, account: str, collection: str, background: bool, marks: tuple[bytes, ...]
    ) -> Told:
        operation: Callable[..., Any] = LISTED[collection]
        told = Told(account, collection, datetime.now(UTC), marks=marks)
        called = nullcontext() if background else self._gates.calling(account)
        try:
            with called:
                async with self._accounts.use(account) as cloud:

                    async def page(marker: str | None) -> Page[Any]:
                        if background:
                            await self._gates.background(account)
                        answer: Page[Any] = await cloud.within(POLL_S).call(operation, marker, PAGE)
                        return answer

                    async for found in pages.each(page, f"{account}: {collection}"):
                        told.add(found.items)
        except CloudError as error:
            if not told.count or collection not in REMEMBERED:
                raise
            told.problem = error
        except BaseException:
            if told.spool is not None:
                told.spool.close()
            raise
        return told

    def _keeping(self, told: Told) -> "asyncio.Task[Changes | None]":
        if told.kept is None:
            told.kept = self._started(self._kept(told))
        return told.kept

    async def _kept(self, told: Told) -> Changes | None:
        if told.collection not in REMEMBERED:
            return None
        place = (told.account, told.collection)
        if told.problem is None:
            before = self._latest.get(place)
            if before is None or before.began_at < told.began_at:
                self._latest[place] = told
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), HOLD_S)
            # One after the other: the store has one writer, and each holds a page in memory.
            async with self._turn:
                if told.problem is not None:
                    return await self._replaced(told)
                # Who asks often may not pile answers up: each turn keeps the latest there is.
                latest = self._latest.pop(place, None)
                return None if latest is None else await self._replaced(latest)
        except NotFound:
            # The account is no more.
            return None
        finally:
            if self._latest.get(place) is told:
                del self._latest[place]
            if told.spool is not None:
                told.spool.close()

    async def _replaced(self, told: Told) -> Changes:
        account, name = told.account, told.collection
        before = await self._store.state(account, name)
        problem = None if told.problem is None else Problem.of(told.problem)
        changes = await self._store.replace(
            account, name, told.things(), told.began_at, complete=problem is None, problem=problem
        )
        self._on_change(name)
        last_s = before.interval_s if before and before.polled_at else None
        if told.problem is not None:
            await self._plan(account, name, after_failure(pace_of(name), last_s, told.problem))
        else:
            if not changes.superseded:
                await self._on_list(account, name, told.began_at)
            seen = Seen(changed=bool(changes), in_transit=told.in_transit)
            await self._plan(account, name, after_answer(pace_of(name), last_s, seen))
        if changes and last_s is not None:
            # What was freed or taken with it is seen as soon as the cloud is through.
            for other in NEIGHBOURS.get(name, ()):
                soon = datetime.now(UTC) + timedelta(seconds=pace_of(other).quickest_s)
                await self._store.polls.hurry(account, other, soon)
        await self._accounts.observe(account, None)
        return changes

    async def note_failure(self, account: str, collection: str, error: CloudError) -> None:
        """Keep that a cloud could not tell, for all who list. What was known of it stays."""
        if collection not in REMEMBERED or not await self._is_open(account):
            return
        before = await self._store.state(account, collection)
        now = datetime.now(UTC)
        await self._store.mark_failed(account, collection, Problem.of(error), now)
        self._on_change(collection)
        last_s = before.interval_s if before and before.problem else None
        await self._plan(account, collection, after_failure(pace_of(collection), last_s, error))
        if isinstance(error, OF_ALL):
            await self._accounts.observe(account, error)

    def later(self, work: Coroutine[Any, Any, Any]) -> None:
        """Do something beside; `aclose` waits for it."""
        self._tasks.add(self._started(work))

    async def _is_open(self, account: str) -> bool:
        return any(one.id == account and one.is_enabled for one in await self._accounts.all())

    async def _plan(self, account: str, collection: str, wait_s: float) -> None:
        next_at = datetime.now(UTC) + timedelta(seconds=wait_s * (1 + JITTER * random.random()))  # noqa: S311  no secret
        await self._store.polls.schedule(account, collection, next_at, wait_s)

    def _started(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        # Whoever waits sees how it ended; when nobody does, the next question shows it too.
        if error is not None and not isinstance(error, CloudError):
            log.error("the inventory failed, and goes on", exc_info=error)
