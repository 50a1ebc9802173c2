"""Jobs: long work, begun, watched, and cancelled."""

from typing import Annotated

import msgspec

from nimbi.broker.access import is_below
from nimbi.broker.work.permissions import check_begin
from nimbi.broker.work.schedules import decoded
from nimbi.frontends.native.answer import Answer, created, json_answer
from nimbi.frontends.native.exchange import Exchange
from nimbi.frontends.native.problems import bad_request
from nimbi.frontends.native.route import Route
from nimbi.model.errors import NotFound
from nimbi.model.jobs import Job, JobFilter, JobState, LogLine

PLACE = "/v1/jobs"
ONE = PLACE + "/{id}"
KINDS = "/v1/job-kinds"

DEFAULT_LIMIT = 100
LARGEST_LIMIT = 1000
LONGEST_WAIT_S = 600
ACCEPTED = 202


class NewJob(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Begin a job of a kind; `GET /v1/job-kinds` tells the kinds and what they take."""

    kind: str
    arguments: msgspec.Raw
    title: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] | None = None


class JobPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some jobs, the newest first. `next` is the `marker` of the next page, None at the end."""

    items: tuple[Job, ...]
    next: str | None


class JobKind(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of job: what it does, and the JSON schema of its arguments."""

    name: str
    text: str
    arguments: msgspec.Raw


async def page(exchange: Exchange) -> Answer:
    """Answer with the jobs of the caller's tenant and those below."""
    caller, query = exchange.caller, exchange.query
    below = None if caller.below is None else tuple(caller.below)
    wanted = JobFilter(
        states=_states(query.get("state")),
        kinds=tuple(query["kind"].split(",")) if "kind" in query else (),
        tenants=below,
        users=(caller.user,) if exchange.flag("mine") else None,
    )
    limit = exchange.number("limit", DEFAULT_LIMIT, 1, LARGEST_LIMIT)
    found, marker = await exchange.broker.jobs.page(wanted, query.get("marker"), limit)
    return json_answer(JobPage(items=found, next=marker))


async def create(exchange: Exchange) -> Answer:
    """Begin a job; the same Idempotency-Key is the same job."""
    new = await exchange.decoded(NewJob)
    jobs, caller = exchange.broker.jobs, exchange.caller
    arguments = decoded(jobs, new.kind, new.arguments)
    check_begin(caller, arguments)
    job = await jobs.start(new.kind, arguments, caller.owner, id=exchange.token, title=new.title)
    return created(job, f"{PLACE}/{job.id}")


async def show(exchange: Exchange) -> Answer:
    """Answer with one job, at once or when it has ended."""
    job = await visible(exchange)
    wait_s = exchange.number("wait", 0, 0, LONGEST_WAIT_S)
    if not wait_s or job.is_ended:
        return json_answer(job)
    job = await exchange.broker.jobs.wait(job.id, wait_s)
    return json_answer(job, 200 if job.is_ended else ACCEPTED)


async def log(exchange: Exchange) -> Answer:
    job = await visible(exchange)
    return json_answer({"items": await exchange.broker.jobs.log(job.id)})


async def cancel(exchange: Exchange) -> Answer:
    """Have a job end early; it cleans up first."""
    job = await visible(exchange)
    return json_answer(await exchange.broker.jobs.cancel(job.id, exchange.caller.owner))


async def kinds(exchange: Exchange) -> Answer:
    """Answer with the kinds of jobs that this server does."""
    found = [
        JobKind(
            name=kind.name,
            text=kind.text,
            arguments=msgspec.Raw(msgspec.json.encode(msgspec.json.schema(kind.arguments))),
        )
        for kind in exchange.broker.jobs.kinds.values()
    ]
    return json_answer({"items": found})


async def visible(exchange: Exchange) -> Job:
    """Return the job of the path. Raises NotFound, also for one of another tenant."""
    id = exchange.arguments["id"]
    job = await exchange.broker.jobs.get(id)
    if not is_below(exchange.caller, job.owner.tenant):
        raise NotFound(f"there is no job {id[:100]!r}")
    return job


def _states(told: str | None) -> tuple[JobState, ...]:
    if told is None:
        return ()
    try:
        return tuple(JobState(each.strip()) for each in told.split(","))
    except ValueError as error:
        known = ", ".join(JobState)
        raise bad_request(f"state is one of {known}, or several with commas between") from error


ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        PLACE,
        page,
        "jobs.page",
        frozenset({"kind", "limit", "marker", "mine", "state"}),
        text="Return jobs, the newest first.",
        gives=JobPage,
    ),
    Route(
        "POST",
        PLACE,
        create,
        None,
        key="whole",
        text="Begin a job. It goes on, whatever becomes of the request or of the process.",
        takes=NewJob,
        gives=Job,
        status=201,
    ),
    Route(
        "GET",
        ONE,
        show,
        "jobs.get",
        frozenset({"wait"}),
        text="Return one job, when it has ended or after so many seconds.",
        gives=Job,
    ),
    Route(
        "GET",
        ONE + "/log",
        log,
        "jobs.log",
        text="Return what a job told, the oldest first.",
        gives=tuple[LogLine, ...],
    ),
    Route(
        "POST",
        ONE + "/cancel",
        cancel,
        "jobs.cancel",
        key="whole",
        text="End a job early: it removes what it made, as far as its kind does that.",
        gives=Job,
    ),
    Route(
        "GET",
        KINDS,
        kinds,
        None,
        text="Return the kinds of jobs, with what they take.",
        gives=tuple[JobKind, ...],
    ),
)
