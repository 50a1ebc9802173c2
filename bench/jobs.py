"""What a job costs beside its work: five steps that do nothing, on both databases."""

import asyncio
import statistics
import time
from contextlib import ExitStack
from pathlib import Path

from tests.targets import postgres

from bench.table import Line
from nimbi.jobs import Jobs, Kind, Work
from nimbi.model.jobs import JobState
from nimbi.model.people import Owner
from nimbi.store.database import open_database
from nimbi.store.jobs import JobStore
from nimbi.store.keys import new_key
from nimbi.store.leases import LeaseStore
from nimbi.store.place import url_of
from nimbi.store.sealing import Keyring

STEPS = 5
ROUNDS = 30
WAIT_S = 60.0
GOALS_MS = {"PostgreSQL": 100.0, "SQLite": 200.0}
OWNER = Owner(user="admin", name="admin")


def measure(place: Path) -> list[Line]:
    """Measure both; PostgreSQL is a server of its own."""
    with ExitStack() as stack:
        server = stack.enter_context(postgres.running())
        urls = {"PostgreSQL": server.new_database(), "SQLite": url_of(place / "jobs.db")}
        return [asyncio.run(_measured(kind, url)) for kind, url in urls.items()]


async def _measured(kind: str, url: str) -> Line:
    async with open_database(url) as database:
        store, leases = JobStore(database, Keyring.of(new_key())), LeaseStore(database)
        five = Kind("five", type(None), _five, "Five steps that do nothing.")
        jobs = Jobs(store, leases, database.place, [five], holder="bench")
        async with jobs.running():
            # The first loads the engine and makes its tables.
            await _once(jobs)
            took_ms = [1000 * await _once(jobs) for _ in range(ROUNDS)]
    spread = f"{min(took_ms):.0f} to {max(took_ms):.0f} ms in {ROUNDS} jobs"
    return Line(
        f"a job of {STEPS} empty steps, {kind}",
        statistics.median(took_ms),
        "ms",
        goal=GOALS_MS[kind],
        at_least=False,
        note=spread,
    )


async def _once(jobs: Jobs) -> float:
    begun = time.perf_counter()
    job = await jobs.start("five", None, OWNER)
    job = await jobs.wait(job.id, WAIT_S)
    if job.state is not JobState.DONE:
        raise SystemExit(f"the job is {job.state}, not done")
    return time.perf_counter() - begun


async def _five(work: Work, _arguments: None) -> None:
    for number in range(STEPS):
        await work.step(f"step {number}", _nothing, type=type(None))


async def _nothing() -> None:
    return None
