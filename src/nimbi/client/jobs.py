"""Jobs and schedules: long work that the server does, whoever asks for it."""

from typing import Any

from nimbi.client.core import Blocking, Looping, call
from nimbi.client.flow import Flow
from nimbi.client.requests import with_query
from nimbi.client.resources import _path, _Resource
from nimbi.model.errors import Timeout
from nimbi.model.jobs import Job, JobState, LogLine
from nimbi.model.repair import Evacuation, Replace, Restart
from nimbi.model.schedules import NewSchedule, Schedule, ScheduleChange, Times
from nimbi.model.work import Bulk, CopyBlob, Launch

JOBS = "/v1/jobs"
SCHEDULES = "/v1/schedules"

# Which kind of job takes such arguments.
KINDS: dict[type[Any], str] = {
    Launch: "launch",
    Bulk: "bulk",
    CopyBlob: "copy-blob",
    Restart: "restart",
    Replace: "replace",
    Evacuation: "evacuate",
}
# The longest that one request waits for a job.
WAIT_S = 55.0


class _Jobs(_Resource):
    """Long work that goes on, whatever becomes of whoever asked for it."""

    @call
    def all(
        self, *, state: JobState | None = None, kind: str | None = None, mine: bool = False
    ) -> Flow[tuple[Job, ...]]:
        """Return all jobs that the token may see, the newest first."""
        told = {"state": state, "kind": kind, "mine": "true" if mine else None}
        pairs = [(name, str(value)) for name, value in told.items() if value is not None]
        return self._all(with_query(JOBS, pairs), Job)

    @call
    def start(
        self, arguments: Any, *, kind: str | None = None, title: str | None = None
    ) -> Flow[Job]:
        """Begin a job: `client.jobs.start(Launch(…))`; of any other type, `kind` says which.

        Raises Invalid for arguments that are not of the kind, Forbidden for what the caller may
        not do itself.
        """
        new = {"kind": kind or KINDS.get(type(arguments)), "arguments": arguments}
        if title is not None:
            new["title"] = title
        return self._told("POST", JOBS, Job, new)

    @call
    def get(self, id: str) -> Flow[Job]:
        """Return one job. Raises NotFound."""
        return self._get(_path(JOBS, id), Job)

    @call
    def log(self, id: str) -> Flow[tuple[LogLine, ...]]:
        """Return what a job told, the oldest first. Raises NotFound."""
        return self._all(_path(JOBS, id, "log"), LogLine)

    @call
    def cancel(self, id: str) -> Flow[Job]:
        """Have a job end early, after it has cleaned up. Raises NotFound."""
        return self._told("POST", _path(JOBS, id, "cancel"), Job)

    @call
    def wait(self, id: str, seconds: float = 3600.0) -> Flow[Job]:
        """Return a job that has ended, whichever way. Raises Timeout, NotFound."""
        left_s = seconds
        while True:
            wait_s = max(1, int(min(left_s, WAIT_S)))
            job: Job = yield from self._get(
                with_query(_path(JOBS, id), [("wait", str(wait_s))]), Job
            )
            left_s -= wait_s
            if job.is_ended:
                return job
            if left_s <= 0:
                raise Timeout(f"the job {id} goes on: {job.phase} {job.activity}".rstrip())


class _Schedules(_Resource):
    """Jobs that begin by themselves."""

    @call
    def all(self) -> Flow[tuple[Schedule, ...]]:
        """Return all schedules that the token may see, the oldest first."""
        return self._all(SCHEDULES, Schedule)

    @call
    def get(self, id: str) -> Flow[Schedule]:
        """Return one schedule. Raises NotFound."""
        return self._get(_path(SCHEDULES, id), Schedule)

    @call
    def create(self, new: NewSchedule) -> Flow[Schedule]:
        """Begin a job again and again, or once. Raises Invalid for times that are none."""
        told = {
            name: value
            for name in new.__struct_fields__
            if name != "token" and (value := getattr(new, name)) is not None
        }
        return self._told("POST", SCHEDULES, Schedule, told)

    @call
    def change(self, id: str, change: ScheduleChange) -> Flow[Schedule]:
        """Change when a schedule is due, or whether it is at all. Raises NotFound."""
        return self._told("PATCH", _path(SCHEDULES, id), Schedule, change)

    @call
    def destroy(self, id: str) -> Flow[None]:
        """Remove a schedule; its jobs stay. Raises NotFound."""
        return self._removed(_path(SCHEDULES, id))

    @call
    def run(self, id: str) -> Flow[Job]:
        """Begin its job now. Raises NotFound."""
        return self._told("POST", _path(SCHEDULES, id, "run"), Job)

    @call
    def times(self, id: str, count: int = 5) -> Flow[Times]:
        """Return when it is due next, up to `count` (1 to 100) times. Raises NotFound."""
        return self._get(with_query(_path(SCHEDULES, id, "times"), [("count", str(count))]), Times)


class Jobs(_Jobs, Looping):
    """Long work that the server does; its methods are awaited."""


class SyncJobs(_Jobs, Blocking):
    """Long work that the server does."""


class Schedules(_Schedules, Looping):
    """Jobs that begin by themselves; its methods are awaited."""


class SyncSchedules(_Schedules, Blocking):
    """Jobs that begin by themselves."""
