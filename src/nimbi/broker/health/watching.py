"""Makes checks in the background, looks at objectives, tells, acts; processes share the work."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from nimbi.broker.health.actions import ActionStarter
from nimbi.broker.health.checking import Checker
from nimbi.broker.health.error_budgets import findings, looked, matter_of
from nimbi.broker.health.mail import Mailer
from nimbi.broker.health.notification import Notifier
from nimbi.broker.health.results import Results
from nimbi.broker.health.verdict import Outcome
from nimbi.model.accounts import Problem
from nimbi.model.errors import CloudUnavailable
from nimbi.store.alerts import AlertStore
from nimbi.store.checks import CheckStore, Due
from nimbi.store.counts import CountStore
from nimbi.store.database import Database
from nimbi.store.objectives import DueObjective, ObjectiveStore

log = logging.getLogger(__name__)

OBJECTIVES_EVERY = timedelta(seconds=60)


@dataclass(frozen=True)
class Pace:
    """How often is looked for work, and for how long a check is held.

    A process that dies leaves its checks to others after `lease_s`, which is longer than any check
    may take.
    """

    look_s: float = 1.0
    lease_s: float = 90.0
    at_once: int = 50


class Watcher:
    """What one process does for service quality. `holder` names it in the database."""

    def __init__(
        self,
        database: Database,
        checker: Checker,
        starter: ActionStarter | None,
        mailer: Mailer | None,
        *,
        holder: str,
        pace: Pace,
    ) -> None:
        self._database = database
        self._checker = checker
        self._starter = starter
        self._mailer = mailer
        self._holder = holder
        self._pace = pace
        self._checks = CheckStore(database)
        self._objectives = ObjectiveStore(database)
        self._counts = CountStore(database)
        self._alerts = AlertStore(database)
        self._results = Results(database, holder=holder)
        self._notifier = Notifier(database, mails=mailer is not None)
        self._busy: dict[asyncio.Task[None], Due] = {}
        self._news = asyncio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Work until the block ends; checks under way are given up, for others to make at once."""
        tasks = [asyncio.ensure_future(self._run(work)) for work in self._works()]
        try:
            yield
        finally:
            left = dict(self._busy)
            for task in (*tasks, *left):
                task.cancel()
            await asyncio.gather(*tasks, *left, return_exceptions=True)
            with suppress(CloudUnavailable):
                for due in left.values():
                    await self._checks.give_back(self._holder, due)

    def poke(self) -> None:
        """Look for work at once: something was made or changed."""
        self._news.set()

    async def check(self, due: Due) -> None:
        """Make one check that this process holds, and keep what it found."""
        at = datetime.now(UTC)
        try:
            outcome = await self._checker.ask(due.check)
        except CloudUnavailable as error:
            outcome = Outcome(None, None, Problem.of(error))
        if await self._results.keep(due, outcome, at):
            self._news.set()

    async def look(self) -> None:
        """Take the checks that are due, as many as there is room for, and begin to make them."""
        room = self._pace.at_once - len(self._busy)
        if room <= 0:
            return
        for due in await self._checks.due(self._holder, self._pace.lease_s, room):
            task = asyncio.ensure_future(self._guarded(due))
            self._busy[task] = due
            task.add_done_callback(self._busy.pop)

    async def judge(self) -> None:
        """Look at the objectives whose time has come, and let their alerts begin or end."""
        for due in await self._objectives.due(self._holder, self._pace.lease_s, 20):
            await self._judged(due)

    async def tell(self) -> None:
        """Tell people what they do not know yet, and begin what is to be done."""
        await self._notifier.tell()
        if self._starter is not None:
            await self._starter.act()

    async def send(self) -> None:
        """Send the letters that are due."""
        if self._mailer is not None:
            await self._mailer.send()

    def _works(self) -> tuple[Callable[[], Awaitable[None]], ...]:
        mail = () if self._mailer is None else (self.send,)
        return (self._looked, self.judge, *mail)

    async def _looked(self) -> None:
        await self.look()
        await self.tell()

    async def _run(self, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await work()
            except CloudUnavailable:
                log.warning("checks wait: the database cannot be reached")
            except Exception:
                log.exception("what checks found could not be worked on")
            try:
                async with asyncio.timeout(self._pace.look_s):
                    await self._news.wait()
                # What one result is followed by comes at once, and yet never in a tight loop.
                await asyncio.sleep(self._pace.look_s / 10)
            except TimeoutError:
                continue
            self._news.clear()

    async def _guarded(self, due: Due) -> None:
        try:
            await self.check(due)
        except CloudUnavailable:
            log.warning("the check %s waits: the database cannot be reached", due.check.id)
        except Exception:
            # Its lease runs out, and somebody tries again.
            log.exception("the check %s could not be made", due.check.id)

    async def _judged(self, due: DueObjective) -> None:
        now = datetime.now(UTC)
        objective = due.objective
        look = await looked(self._counts, objective, now)
        async with self._database.writing() as connection:
            next_at = now + OBJECTIVES_EVERY
            if not await self._objectives.looked_at(connection, self._holder, due, next_at):
                return
            for finding in findings(objective, look):
                matter = matter_of(objective, finding)
                if finding.fires:
                    await self._alerts.fire(connection, matter, now)
                elif finding.pending:
                    await self._alerts.pend(connection, matter, now)
                else:
                    await self._alerts.resolve(connection, matter.key, now)
