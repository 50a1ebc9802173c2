"""Schedules: jobs that begin at certain times."""

import msgspec

from nimbi.broker.access import is_below
from nimbi.broker.work.permissions import check_begin
from nimbi.broker.work.schedules import MOST_TIMES, decoded
from nimbi.frontends.native.answer import Answer, created, json_answer, nothing
from nimbi.frontends.native.exchange import Exchange
from nimbi.frontends.native.route import Route
from nimbi.model.errors import NotFound
from nimbi.model.jobs import Job
from nimbi.model.schedules import NewSchedule, Schedule, ScheduleChange, Times

PLACE = "/v1/schedules"
ONE = PLACE + "/{id}"

USUAL_TIMES = 5


async def page(exchange: Exchange) -> Answer:
    """Answer with the schedules of the caller's tenant and those below."""
    return json_answer({"items": await exchange.broker.schedules.list(exchange.caller.below)})


async def create(exchange: Exchange) -> Answer:
    new = await exchange.decoded(NewSchedule)
    caller = exchange.caller
    arguments = decoded(exchange.broker.jobs, new.kind, new.arguments)
    check_begin(caller, arguments, "schedules.create")
    check_begin(caller, arguments)
    plain = msgspec.structs.replace(new, token=None)
    made = await exchange.broker.schedules.create(plain, caller.owner)
    return created(made, f"{PLACE}/{made.id}")


async def show(exchange: Exchange) -> Answer:
    return json_answer(await visible(exchange))


async def change(exchange: Exchange) -> Answer:
    told = await exchange.decoded(ScheduleChange)
    schedule = await visible(exchange)
    return json_answer(await exchange.broker.schedules.change(schedule.id, told))


async def destroy(exchange: Exchange) -> Answer:
    schedule = await visible(exchange)
    await exchange.broker.schedules.destroy(schedule.id)
    return nothing()


async def run(exchange: Exchange) -> Answer:
    """Begin the schedule's job now."""
    schedule = await visible(exchange)
    job = await exchange.broker.schedules.run(schedule.id, job=exchange.token)
    return created(job, f"/v1/jobs/{job.id}")


async def times(exchange: Exchange) -> Answer:
    """Answer with the times at which a schedule is due next."""
    schedule = await visible(exchange)
    count = exchange.number("count", USUAL_TIMES, 1, MOST_TIMES)
    return json_answer(await exchange.broker.schedules.times(schedule.id, count))


async def visible(exchange: Exchange) -> Schedule:
    """Return the schedule of the path. Raises NotFound, also for one of another tenant."""
    id = exchange.arguments["id"]
    schedule = await exchange.broker.schedules.get(id)
    if not is_below(exchange.caller, schedule.owner.tenant):
        raise NotFound(f"there is no schedule {id[:100]!r}")
    return schedule


ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        PLACE,
        page,
        "schedules.page",
        text="Return all schedules, the oldest first.",
        gives=tuple[Schedule, ...],
    ),
    Route(
        "POST",
        PLACE,
        create,
        None,
        key="whole",
        text="Begin a job again and again, or once at a time.",
        takes=NewSchedule,
        gives=Schedule,
        status=201,
    ),
    Route("GET", ONE, show, "schedules.get", text="Return one schedule.", gives=Schedule),
    Route(
        "PATCH",
        ONE,
        change,
        "schedules.update",
        key="whole",
        text="Change when a schedule is due, or whether it is at all.",
        takes=ScheduleChange,
        gives=Schedule,
    ),
    Route(
        "DELETE",
        ONE,
        destroy,
        "schedules.destroy",
        text="Remove a schedule; its jobs stay.",
        status=204,
    ),
    Route(
        "POST",
        ONE + "/run",
        run,
        "schedules.update",
        key="whole",
        text="Begin its job now, beside those of its times.",
        gives=Job,
        status=201,
    ),
    Route(
        "GET",
        ONE + "/times",
        times,
        "schedules.get",
        frozenset({"count"}),
        text="Return when it is due next.",
        gives=Times,
    ),
)
