"""What does jobs in one process: a slot, the engine in it, and the runs."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

import msgspec

from nimbi.jobs import slots
from nimbi.jobs.engine import Engine
from nimbi.jobs.kinds import AnyKind
from nimbi.jobs.slots import Pace
from nimbi.jobs.work import JobCancelled, LostJob, Run, Work, again
from nimbi.model.accounts import Problem
from nimbi.model.errors import CloudError, Invalid
from nimbi.model.jobs import JobState
from nimbi.store.errors import SealError, StoreUnavailable
from nimbi.store.jobs import Adopted, Hold, JobStore
from nimbi.store.leases import LeaseStore
from nimbi.store.place import Place

# A job that was handed to the engine is begun within this time, or handed over again.
BEGIN_S = 10.0
FORGET_EVERY_S = 3600.0
# How long the steps of ended jobs are remembered: nobody needs them, but who looks for a fault.
STEPS_AGE = timedelta(days=1)

log = logging.getLogger(__name__)


class Worker:
    """Does jobs while `working`. It loads the engine when there is the first job to do."""

    def __init__(
        self,
        store: JobStore,
        leases: LeaseStore,
        place: Place,
        kinds: Mapping[str, AnyKind],
        *,
        holder: str,
        pace: Pace,
    ) -> None:
        self._store = store
        self._leases = leases
        self._place = place
        self._kinds = kinds
        self._holder = holder
        self._pace = pace
        self._hold: Hold | None = None
        self._engine: Engine | None = None
        self._runs: dict[str, Run] = {}
        self._handed: dict[str, float] = {}
        self._ends: dict[str, asyncio.Event] = {}
        self._news = asyncio.Event()
        self._begun: set[asyncio.Task[None]] = set()

    @property
    def hold(self) -> Hold | None:
        """The slot of this process, None while it does nothing."""
        return self._hold

    def wake(self, id: str) -> None:
        """Say that there is a new job; it is begun at once when the engine runs."""
        if self._engine is not None:
            self._handed[id] = asyncio.get_running_loop().time()
            task = asyncio.create_task(self._begin(self._engine, id))
            self._begun.add(task)
            task.add_done_callback(self._begun.discard)
        else:
            self._news.set()

    def cancelled(self, id: str) -> None:
        """Say that a job was cancelled; one that sleeps here wakes."""
        if run := self._runs.get(id):
            run.cancelled.set()

    async def ended(self, id: str, seconds: float) -> None:
        """Wait until a job ends here, but no longer than so many seconds."""
        event = self._ends.setdefault(id, asyncio.Event())
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await event.wait()
        if id not in self._runs:
            self._ends.pop(id, None)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Do jobs until the block ends."""
        task = asyncio.create_task(self._work())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _work(self) -> None:
        while True:
            try:
                await self._idle()
                await self._busy()
            except CloudError as error:
                log.warning("jobs wait: %s", error)
                await asyncio.sleep(self._pace.idle_look_s)
            except Exception:
                log.exception("jobs wait")
                await asyncio.sleep(self._pace.idle_look_s)

    async def _idle(self) -> None:
        """Wait until there is a job to do."""
        while not await self._store.waiting(self._kinds):
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pace.idle_look_s):
                    await self._news.wait()
            self._news.clear()

    async def _busy(self) -> None:
        """Do jobs until the slot is lost; the engine stays from the first job on."""
        hold = await slots.take(self._leases, self._holder, self._pace.lease_s)
        async with AsyncExitStack() as stack:
            keeping = slots.kept(self._leases, hold, self._holder, self._pace)
            lost = await stack.enter_async_context(keeping)
            executor = f"{hold.name}.{hold.fence}"
            engine = Engine(self._place, hold.name, executor, self._run)
            # Backwards at the end: nobody hands over anything, all stops, then the slot is free.
            stack.push_async_callback(engine.aclose)
            await engine.open()
            stack.push_async_callback(self._stop)
            self._hold, self._engine = hold, engine
            forgotten_at = float("-inf")
            while not lost.is_set():
                await self._look(hold, engine)
                if asyncio.get_running_loop().time() - forgotten_at > FORGET_EVERY_S:
                    await self._forget(engine)
                    forgotten_at = asyncio.get_running_loop().time()
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._pace.look_s):
                        await lost.wait()

    async def _stop(self) -> None:
        self._hold = self._engine = None
        for task in tuple(self._begun):
            task.cancel()
        self._handed.clear()

    async def _look(self, hold: Hold, engine: Engine) -> None:
        """Take over what nobody does, and begin what is this slot's and not begun."""
        try:
            for id in await self._store.waiting(self._kinds):
                if await self._store.claim(id, hold):
                    log.info("job %s: taken up", id)
            now = asyncio.get_running_loop().time()
            for id, state in (await self._store.of(hold)).items():
                if run := self._runs.get(id):
                    if state is JobState.CANCELLING:
                        run.cancelled.set()
                elif now - self._handed.get(id, float("-inf")) > BEGIN_S:
                    self._handed[id] = now
                    await self._begin(engine, id)
        except StoreUnavailable:
            log.warning("jobs wait for the database")

    async def _forget(self, engine: Engine) -> None:
        """Have the engine forget what has ended long ago."""
        try:
            old = await engine.old(datetime.now(UTC) - STEPS_AGE)
            if ended := old - await self._store.unfinished(old):
                await engine.forget(ended)
        except Exception:
            log.exception("what ended jobs did is not forgotten yet")

    async def _begin(self, engine: Engine, id: str) -> None:
        try:
            await engine.begin(id)
        except Exception:
            # It is looked at again: the job is in our own tables, unfinished.
            self._handed.pop(id, None)
            log.exception("job %s: cannot be begun now", id)

    async def _run(self, id: str) -> None:
        """Do a job, from what is kept of it to its end."""
        hold, engine = self._hold, self._engine
        if hold is None or engine is None:
            raise LostJob
        adopted = await self._adopted(id, hold)
        if adopted is None:
            return
        run = Run(adopted.job, adopted.fence, self._store, engine)
        run.is_new = adopted.fence == 1
        job = adopted.job
        run.percent, run.phase, run.activity = job.percent, job.phase, job.activity
        if adopted.job.state is JobState.CANCELLING:
            run.cancelled.set()
        self._runs[id] = run
        try:
            await self._done(run, adopted)
        finally:
            if self._runs.get(id) is run:
                del self._runs[id]
            if event := self._ends.pop(id, None):
                event.set()

    async def _adopted(self, id: str, hold: Hold) -> Adopted | None:
        """Return the job as this slot's to do, None for one that has ended."""
        try:
            adopted = await again(lambda: self._store.adopt(id, hold))
        except SealError as error:
            log.error("job %s: %s", id, error)  # noqa: TRY400 - it is told to the operator
            raise LostJob from error
        if adopted is None and await self._store.unfinished([id]):
            # Another has it.
            raise LostJob
        return adopted

    async def _done(self, run: Run, adopted: Adopted) -> None:
        kind = self._kinds[run.job.kind]
        result, error, state = b"null", None, JobState.DONE
        try:
            result = await _result(kind, run, adopted.arguments)
        except JobCancelled:
            state = JobState.CANCELLED
        except CloudError as raised:
            state, error = JobState.FAILED, Problem.of(raised)
        except Exception:
            log.exception("job %s: %s failed of itself", run.job.id, kind.name)
            state = JobState.FAILED
            error = Problem("internal", "the job failed; the server's log tells more")
        ended = await again(
            lambda: self._store.finish(
                run.job.id,
                run.fence,
                state,
                result=result if state is JobState.DONE else None,
                error=error,
                settle=kind.settle,
            )
        )
        if ended is None:
            raise LostJob


async def _result(kind: AnyKind, run: Run, arguments: bytes) -> bytes:
    try:
        asked = msgspec.json.decode(arguments, type=kind.arguments)
    except (TypeError, ValueError) as error:
        raise Invalid(f"the arguments of a job {kind.name}: {error}") from error
    return msgspec.json.encode(await kind.run(Work(run), asked))
