"""Jobs: started, looked at, cancelled; and done, by this process and those beside it."""

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Any

import msgspec

from nimbi.jobs.kinds import AnyKind
from nimbi.jobs.slots import Pace
from nimbi.jobs.worker import Worker
from nimbi.model.errors import Invalid, NotFound
from nimbi.model.jobs import Job, JobFilter, LogLine
from nimbi.model.people import Owner
from nimbi.store.connection import AsyncConnection
from nimbi.store.jobs import Along, JobStore, new_job
from nimbi.store.leases import LeaseStore
from nimbi.store.place import Place

LONGEST_ID = 100
LONGEST_TITLE = 200
LARGEST_ARGUMENTS = 1024 * 1024
# Between two looks at a job that somebody waits for; one that this process does is told at once.
WAIT_S = 0.5

log = logging.getLogger(__name__)


class Jobs:
    """All jobs of the database, of these kinds. `holder` names this process in it.

    All methods may be called by many tasks at once, in processes that do no jobs too.
    """

    def __init__(
        self,
        store: JobStore,
        leases: LeaseStore,
        place: Place,
        kinds: Sequence[AnyKind] = (),
        *,
        holder: str,
        pace: Pace = Pace(),  # noqa: B008 - frozen
    ) -> None:
        self._store = store
        self._kinds: dict[str, AnyKind] = {}
        self._worker = Worker(store, leases, place, self._kinds, holder=holder, pace=pace)
        self.add(*kinds)

    @property
    def kinds(self) -> Mapping[str, AnyKind]:
        """The kinds by name."""
        return self._kinds

    def add(self, *kinds: AnyKind) -> None:
        """Know further kinds, before `running` begins. Raises ValueError for a name twice."""
        for kind in kinds:
            if kind.name in self._kinds:
                raise ValueError(f"there are two kinds of jobs called {kind.name}")
            self._kinds[kind.name] = kind

    async def start(
        self,
        kind: str,
        arguments: Any,
        owner: Owner,
        *,
        id: str | None = None,
        title: str | None = None,
        along: Along | None = None,
    ) -> Job:
        """Start a job; it is on the disk when this returns, with what `along` writes.

        The same id again is the same job, whatever else is said, and `along` is not asked again.
        `arguments` is of the kind's type, or what its JSON decodes to. Raises Invalid for a kind
        that is not known and for arguments that are not of its type, what `along` raises, and what
        the kind does that reserves ahead: QuotaExceeded, Forbidden.
        """
        body, asked = self._encoded(kind, arguments)
        id = uuid.uuid4().hex if id is None else id
        if not 1 <= len(id) <= LONGEST_ID or not id.isprintable():
            raise Invalid(f"the id of a job has 1 to {LONGEST_ID} printable characters")
        if (ahead := self._kinds[kind].ahead) is not None:
            with suppress(NotFound):
                # It has what it needs, or had it.
                return await self._store.get(id)
            along = _both(await ahead(id, asked, owner), along)
        title = (title or self._titled(kind, asked))[:LONGEST_TITLE]
        job, is_new = await self._store.add(
            new_job(id, kind, title, owner), body, hold=self._worker.hold, along=along
        )
        if is_new:
            self._worker.wake(id)
        return job

    def _titled(self, kind: str, asked: Any) -> str:
        known = self._kinds[kind]
        return known.text if known.title is None else known.title(asked)

    async def get(self, id: str) -> Job:
        """Return a job. Raises NotFound."""
        return await self._store.get(id)

    async def page(
        self, filter: JobFilter, marker: str | None = None, limit: int = 100
    ) -> tuple[tuple[Job, ...], str | None]:
        """Return up to `limit` jobs, the newest first, and the marker of the next page, or None.

        Raises Invalid for a marker that was not given out here.
        """
        return await self._store.page(filter, marker, limit)

    async def log(self, id: str) -> tuple[LogLine, ...]:
        """Return what a job told, oldest first. Raises NotFound."""
        await self._store.get(id)
        return await self._store.lines(id)

    async def cancel(self, id: str, owner: Owner) -> Job:
        """Have a job end early, after it has cleaned up; what has ended stays as it is.

        Raises NotFound.
        """
        before = await self._store.get(id)
        job = await self._store.cancel(id)
        if not before.is_ended:
            log.info("job %s: %s cancels it", id, owner.name)
            self._worker.cancelled(id)
        return job

    async def wait(self, id: str, seconds: float) -> Job:
        """Return a job as soon as it has ended, or as it is after so many seconds.

        Raises NotFound.
        """
        until = asyncio.get_running_loop().time() + seconds
        while not (job := await self._store.get(id)).is_ended:
            left_s = until - asyncio.get_running_loop().time()
            if left_s <= 0:
                break
            await self._worker.ended(id, min(WAIT_S, left_s))
        return job

    async def prune(self, before: datetime) -> int:
        """Forget jobs that ended before this time; return how many it were."""
        return len(await self._store.prune(before))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Do jobs until the block ends: those started here, and those that others left.

        What is being done then is left as it is, for whoever comes next.
        """
        async with self._worker.working():
            yield

    def _encoded(self, kind: str, arguments: Any) -> tuple[bytes, Any]:
        known = self._kinds.get(kind)
        if known is None:
            raise Invalid(
                f"there is no kind of job {kind[:100]!r}; {', '.join(sorted(self._kinds))}"
            )
        try:
            body = msgspec.json.encode(arguments)
            asked = msgspec.json.decode(body, type=known.arguments)
        except (TypeError, ValueError) as error:
            raise Invalid(f"the arguments of a job {kind}: {error}") from error
        if len(body) > LARGEST_ARGUMENTS:
            raise Invalid(f"the arguments of a job have at most {LARGEST_ARGUMENTS} bytes")
        return body, asked


def _both(first: Along, then: Along | None) -> Along:
    if then is None:
        return first

    async def along(connection: AsyncConnection, job: str) -> None:
        await first(connection, job)
        await then(connection, job)

    return along
