"""What a running job has at hand: steps, sleep, progress, a log, tokens."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from itertools import chain, repeat
from typing import Any, Protocol, TypeVar

from nimbi.jobs.results import JobCancelled, given, kept
from nimbi.model.jobs import Job
from nimbi.model.people import Owner
from nimbi.store.errors import StoreUnavailable
from nimbi.store.jobs import JobStore

__all__ = ["JobCancelled", "LostJob", "Work"]

R = TypeVar("R")

# Between two looks at a database that cannot be used.
AGAIN_S = (0.2, 0.5, 1.0, 2.0, 5.0)
# How far a job is, is kept once in so long while only the words for it change.
PROGRESS_EVERY_S = 1.0
TOKEN_BYTES = 16

log = logging.getLogger(__name__)


class LostJob(asyncio.CancelledError):
    """Another process does the job now: what is done here stops at once, and keeps nothing."""


class Recorder(Protocol):
    """What remembers the results of steps."""

    async def step(self, name: str, function: Callable[[], Awaitable[str]]) -> str:
        """Return what a step came to before, else what the function does, once that is kept."""


@dataclass
class Run:
    """One job being done by this process. `cancelled` is set as soon as it is known."""

    job: Job
    fence: int
    store: JobStore
    recorder: Recorder
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    said: Counter[str] = field(default_factory=Counter)
    # Whether it does what no process did before.
    is_new: bool = True
    percent: int = 0
    phase: str = ""
    activity: str = ""
    told_at: float = 0.0


class Work:
    """What a running job works with. `id` is the job's; `attempt` counts who took it up, from 1."""

    def __init__(self, run: Run, *, is_undoing: bool = False) -> None:
        self._run = run
        self._is_undoing = is_undoing

    @property
    def id(self) -> str:
        """The job's id."""
        return self._run.job.id

    @property
    def owner(self) -> Owner:
        """Whose rights it works with."""
        return self._run.job.owner

    @property
    def attempt(self) -> int:
        """How many processes have taken the job up, this one included."""
        return self._run.fence

    async def step(
        self, name: str, function: Callable[..., Awaitable[R]], *args: Any, type: type[R]
    ) -> R:
        """Return what a function returns, called with `args`; what it returned before, if it did.

        The function runs at least once: again, when a process died before the result was kept. Its
        result, or the CloudError that it raised, is kept, and must be small and without secrets;
        `type` is what it is decoded as. Steps are known by their order: begin the same ones in the
        same order again. Several may be under way at once (`asyncio.gather`).

        Raises JobCancelled, before the function is called, when the job is to end early.
        """
        body = await self._run.recorder.step(name, lambda: self._live(name, function, args))
        return given(body, type)

    async def sleep(self, seconds: float) -> None:
        """Wait so long, counted from the first time that the job came here, whoever goes on.

        Raises JobCancelled as soon as the job is to end early.
        """
        until = await self.step("sleep", self._due, seconds, type=float)
        await self._rest(until - time.time())
        await self.step("slept", _nothing, type=type(None))

    async def progress(self, percent: int, phase: str, activity: str = "") -> None:
        """Tell how far the job is: in percent, in a word, and in a sentence.

        It does not go back when another process goes on and tells the same again.
        """
        run = self._run
        percent = min(99, max(0, int(percent)))
        if _is_known(run, percent, phase, activity):
            return
        run.percent, run.phase, run.activity = percent, phase, activity
        run.told_at = time.monotonic()
        estimate_at = _estimate(run.job.started_at, percent)
        await again(
            lambda: run.store.progress(
                run.job.id,
                run.fence,
                percent=percent,
                phase=phase,
                activity=activity,
                estimate_at=estimate_at,
            )
        )

    async def log(self, text: str) -> None:
        """Tell something that people may want to read later; never a secret."""
        self._run.said[text] += 1
        number = self._run.said[text]
        await again(lambda: self._run.store.tell(self._run.job.id, text, number))

    def token(self, *parts: object) -> str:
        """Return a token for what a step makes: the same for the same parts, in this job only."""
        return token_of(self.id, *parts)

    async def together(self, *steps: Awaitable[R]) -> list[R]:
        """Return the results of several steps, in their order, when all have come to an end.

        Raises the first error among them, then. `work.step(…)` without `await` is what it takes.
        """
        found = await asyncio.gather(*steps, return_exceptions=True)
        results: list[R] = []
        for one in found:
            if isinstance(one, BaseException):
                raise one
            results.append(one)
        return results

    async def pause(self, seconds: float) -> None:
        """Wait within a step, between two looks at a cloud; nothing of it is kept.

        Raises JobCancelled as soon as the job is to end early, so that the step ends so.
        """
        await self._check()
        await self._rest(seconds)
        if self._run.cancelled.is_set() and not self._is_undoing:
            raise JobCancelled

    def undoing(self) -> "Work":
        """Return the same, for cleaning up: its steps are done though the job is cancelled."""
        return Work(self._run, is_undoing=True)

    async def _live(self, name: str, function: Callable[..., Awaitable[Any]], args: Any) -> str:
        """Do a step that nobody has done, as long as the job is this process's to do."""
        run = self._run
        run.is_new = True
        for wait_s in chain(AGAIN_S, repeat(AGAIN_S[-1])):
            await self._check()
            if run.cancelled.is_set() and not self._is_undoing:
                return await kept(_cancelled, ())
            try:
                return await kept(function, args)
            except StoreUnavailable:
                log.warning("job %s: the step %s waits for the database", run.job.id, name)
                await asyncio.sleep(wait_s)
        raise AssertionError  # pragma: no cover

    async def _check(self) -> None:
        """Learn from the database whether the job is still this process's, and to its end."""
        run = self._run
        standing = await again(lambda: run.store.standing(run.job.id, run.fence))
        if not standing.is_ours:
            log.info("job %s: another process goes on with it", run.job.id)
            raise LostJob
        if standing.is_cancelled:
            run.cancelled.set()

    async def _due(self, seconds: float) -> float:
        return time.time() + seconds

    async def _rest(self, seconds: float) -> None:
        if self._is_undoing:
            await asyncio.sleep(max(0.0, seconds))
            return
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await self._run.cancelled.wait()
        except TimeoutError:
            return


def token_of(job: str, *parts: object) -> str:
    """Return what `Work.token` gives in a job, for who reserves for one that has not begun."""
    name = "\n".join([job, *map(str, parts)])
    return blake2b(name.encode(), digest_size=TOKEN_BYTES, person=b"nimbi job").hexdigest()


async def again(ask: Callable[[], Awaitable[R]]) -> R:
    """Ask the database until it answers: a job waits for as long as it is away."""
    for wait_s in chain(AGAIN_S, repeat(AGAIN_S[-1])):
        try:
            return await ask()
        except StoreUnavailable:
            await asyncio.sleep(wait_s)
    raise AssertionError  # pragma: no cover


async def _nothing() -> None:
    return None


async def _cancelled() -> None:
    raise JobCancelled


def _is_known(run: Run, percent: int, phase: str, activity: str) -> bool:
    """Return whether there is nothing new in what a job tells of how far it is."""
    if (percent, phase) != (run.percent, run.phase):
        return not run.is_new and percent < run.percent
    is_early = time.monotonic() - run.told_at < PROGRESS_EVERY_S
    return activity == run.activity or is_early


def _estimate(started_at: datetime | None, percent: int) -> datetime | None:
    """Return when a job is done that goes on as fast as it did."""
    if started_at is None or percent <= 0:
        return None
    now = datetime.now(UTC)
    passed_s = max(0.0, (now - started_at).total_seconds())
    return now + timedelta(seconds=passed_s * (100 - percent) / percent)
