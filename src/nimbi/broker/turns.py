"""When jobs begin and end, in the audit: their calls to clouds are there by themselves."""

from nimbi.broker.access import Caller
from nimbi.broker.audit import Audit
from nimbi.broker.rights.standings import Standings
from nimbi.gateway.audit import CANCELLED
from nimbi.model.audit import OK
from nimbi.model.errors import NotFound
from nimbi.model.jobs import Job, JobState

# What an end is written down as; of a failure it is the code of its error.
RESULTS = {JobState.DONE: OK, JobState.CANCELLED: CANCELLED, JobState.FAILED: "failed"}


class Turns:
    """Told of each job that begins or has ended."""

    def __init__(self, audit: Audit, standings: Standings) -> None:
        self._audit = audit
        self._standings = standings

    async def __call__(self, job: Job) -> None:
        """Write down that a job begins, or how it ended. Raises StoreUnavailable."""
        owner = job.owner
        try:
            path = await self._standings.path(owner.tenant)
        except NotFound:
            # It is gone meanwhile: only who looks at everything sees it.
            path = (owner.tenant,)
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
        await self._audit.told(
            caller,
            "jobs.end" if job.is_ended else "jobs.begin",
            result,
            thing=job.id,
            details={"kind": job.kind},
        )
