"""What tests of jobs do again and again."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
from tests.broker.whole import Whole

from nimbi.drivers.mock.faults import Faults
from nimbi.drivers.mock.world import State
from nimbi.model.instances import Instance, NewInstance
from nimbi.model.jobs import Job
from nimbi.model.people import Owner
from nimbi.model.work import Launch

T = TypeVar("T")

ADMIN = Owner(user="admin", name="admin")
# Long enough on a busy machine; nothing waits so long unless it is broken.
LONG_S = 120.0


@dataclass
class Shop:
    """A broker that does jobs."""

    whole: Whole

    def state(self, account: str = "a") -> State:
        """Return what the cloud of an account holds."""
        return self.whole.clouds[account].world.state

    def empty(self, account: str) -> None:
        with self.whole.clouds[account].world.change() as state:
            state.instances = state.instances.without(*(i.id for i in self.instances(account)))

    def instances(self, account: str = "a") -> tuple[Instance, ...]:
        return tuple(self.state(account).instances.whole.items)

    def names(self, account: str = "a") -> list[str]:
        return sorted(instance.name or instance.id for instance in self.instances(account))

    def spoil(self, account: str = "a", **faults: Any) -> None:
        """Let a cloud misbehave from now on."""
        self.whole.clouds[account].faults = Faults(**faults)

    async def started(self, kind: str, arguments: Any, **more: Any) -> Job:
        return await self.whole.broker.jobs.start(kind, arguments, ADMIN, **more)

    async def ended(self, job: Job) -> Job:
        ended = await self.whole.broker.jobs.wait(job.id, LONG_S)
        assert ended.is_ended, ended
        return ended

    async def did(self, kind: str, arguments: Any, type: type[T], **more: Any) -> T:
        """Return what a job came to that goes well."""
        job = await self.ended(await self.started(kind, arguments, **more))
        assert job.error is None, job
        assert job.result is not None, job
        return msgspec.convert(job.result, type)

    @property
    def owner(self) -> Owner:
        return ADMIN

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Return when something has come to be; fail when it does not."""
        async with asyncio.timeout(LONG_S):
            while not is_so():  # noqa: ASYNC110  a job makes it so
                await asyncio.sleep(0.02)

    async def lines(self, job: Job) -> list[str]:
        return [line.text for line in await self.whole.broker.jobs.log(job.id)]


def launch(name: str = "web", account: str = "a", **more: Any) -> Launch:
    """Return the wish for machines of the image that every mock cloud has."""
    new = NewInstance(image_id="img1", name=name)
    return Launch(account=account, new=more.pop("new", new), **more)
