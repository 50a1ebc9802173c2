"""Worker slots: what a process holds that does jobs, so that others know when it is gone."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from nimbi.model.errors import CloudError
from nimbi.store.errors import StoreUnavailable
from nimbi.store.jobs import Hold
from nimbi.store.leases import LeaseStore

PREFIX = "jobs/"
# More processes than will ever share a database.
MOST_SLOTS = 1000

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pace:
    """How quickly a dead process is noticed: a slot's lease, and how often others look."""

    lease_s: float = 15.0
    keep_s: float = 5.0
    look_s: float = 2.0
    # Without an engine, and thus without work of its own.
    idle_look_s: float = 5.0


class NoSlot(CloudError):
    """All slots are taken, which takes more processes than anybody has."""


async def take(leases: LeaseStore, holder: str, seconds: float) -> Hold:
    """Take the first free slot. Raises StoreUnavailable, NoSlot."""
    for number in range(1, MOST_SLOTS + 1):
        name = f"{PREFIX}{number}"
        fence = await leases.take(name, holder, seconds)
        if fence is not None:
            return Hold(name, fence)
    raise NoSlot(f"all {MOST_SLOTS} slots for jobs are taken")


@asynccontextmanager
async def kept(
    leases: LeaseStore, hold: Hold, holder: str, pace: Pace
) -> AsyncIterator[asyncio.Event]:
    """Hold a slot until the block ends, then give it back; the event is set when it was lost."""
    lost = asyncio.Event()
    task = asyncio.create_task(_keep(leases, hold, holder, pace, lost))
    try:
        yield lost
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        with suppress(StoreUnavailable):
            await leases.release(hold.name, holder, hold.fence)


async def _keep(
    leases: LeaseStore, hold: Hold, holder: str, pace: Pace, lost: asyncio.Event
) -> None:
    while True:
        await asyncio.sleep(pace.keep_s)
        try:
            if await leases.keep(hold.name, holder, hold.fence, pace.lease_s):
                continue
        except StoreUnavailable:
            continue
        log.warning("the slot %s was given to another process: this one was too slow", hold.name)
        lost.set()
        return
