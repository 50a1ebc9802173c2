"""When jobs begin and end, in the audit: their calls to clouds are there by themselves."""

from collections.abc import Iterator
from contextlib import contextmanager

from nimbi.broker.access import Caller
from nimbi.broker.audit import Audit
from nimbi.gateway.audit import CANCELLED, REQUEST_ID
from nimbi.model.audit import OK
from nimbi.model.jobs import Job, JobState
from nimbi.store.connection import AsyncConnection
from nimbi.store.directory import path_within

# What an end is written down as; of a failure it is the code of its error.
RESULTS = {JobState.DONE: OK, JobState.CANCELLED: CANCELLED, JobState.FAILED: "failed"}


class JobAudit:
    """Told of each job that begins or has ended, in the transaction of that."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit

    async def __call__(self, connection: AsyncConnection, job: Job) -> None:
        """Write down that a job begins, or how it ended: as done by who wanted it."""
        owner = job.owner
        # When it is gone meanwhile, only who looks at everything sees it.
        path = await path_within(connection, owner.tenant) or (owner.tenant,)
        caller = Caller(
            id=f"job {job.id}",
            name=owner.name,
            scopes=owner.scopes,
            user=owner.user,
            tenant=owner.tenant,
            path=path,
        )
        result = RESULTS.get(job.state, OK)
        if job.error is not None:
            result = job.error.code
        with as_job(job.id):
            await self._audit.along(
                connection,
                caller,
                "jobs.end" if job.is_ended else "jobs.begin",
                result,
                thing=job.id,
                details={"kind": job.kind},
            )


@contextmanager
def as_job(id: str) -> Iterator[None]:
    """Let what is done in the block be written down as done by a job."""
    before = REQUEST_ID.set(f"job/{id}")
    try:
        yield
    finally:
        REQUEST_ID.reset(before)
