"""Jobs on a database, opened and closed like a process that begins and ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import NoneType
from typing import Any

from nimbi.jobs import Jobs, Kind, Pace, Work
from nimbi.model.jobs import Job
from nimbi.model.people import Owner
from nimbi.store.database import Database, open_database
from nimbi.store.jobs import JobStore
from nimbi.store.leases import LeaseStore
from nimbi.store.sealing import Keyring

ANN = Owner(user="u1", name="ann", tenant="acme")
QUICK = Pace(lease_s=5.0, keep_s=0.5, look_s=0.05, idle_look_s=0.05)
# Long enough on a busy machine; nothing waits so long unless it is broken.
LONG_S = 60.0


@dataclass
class Lab:
    """One database, which processes come to one after the other."""

    url: str
    keyring: Keyring

    @asynccontextmanager
    async def opened(
        self, *kinds: Kind[Any, Any], works: bool = True, pace: Pace = QUICK
    ) -> AsyncIterator["Site"]:
        """Open the jobs as a process does; with `works=False` as one that does none."""
        async with open_database(self.url) as database:
            store = JobStore(database, self.keyring)
            leases = LeaseStore(database)
            jobs = Jobs(store, leases, database.place, kinds, holder="h1", pace=pace)
            site = Site(database, store, leases, jobs)
            if not works:
                yield site
                return
            async with jobs.running():
                yield site


@dataclass
class Site:
    """One process's parts."""

    database: Database
    store: JobStore
    leases: LeaseStore
    jobs: Jobs

    async def done(self, kind: str, arguments: Any = None, **more: Any) -> Job:
        """Start a job, and return it when it has ended."""
        job = await self.jobs.start(kind, arguments, ANN, **more)
        return await self.ended(job.id)

    async def ended(self, id: str) -> Job:
        """Return a job when it has ended."""
        job = await self.jobs.wait(id, LONG_S)
        assert job.is_ended, job
        return job


@dataclass
class Diary:
    """What steps did, in their order; they may be held up at a name."""

    seen: list[str] = field(default_factory=list)
    held: dict[str, asyncio.Event] = field(default_factory=dict)
    came: dict[str, asyncio.Event] = field(default_factory=dict)

    def hold(self, name: str) -> asyncio.Event:
        """Hold the step up until the event is set; return the event that it has come there."""
        self.held[name] = asyncio.Event()
        self.came[name] = asyncio.Event()
        return self.came[name]

    async def note(self, name: str) -> str:
        """Do a step: note it, and wait when it is to be held up."""
        self.seen.append(name)
        if name in self.held:
            self.came[name].set()
            await self.held[name].wait()
        return name

    def steps(self, *names: str) -> Kind[None, list[str]]:
        """Return a kind that does these steps, one after the other."""

        async def run(work: Work, arguments: None) -> list[str]:
            return [await work.step(name, self.note, name, type=str) for name in names]

        return Kind("steps", type(None), run, "some steps")


def kind(name: str, run: Any, arguments: type[Any] = NoneType, **more: Any) -> Kind[Any, Any]:
    """Return a kind by its function."""
    return Kind(name, arguments, run, f"the kind {name}", **more)
