"""What is to be done when a process dies: one job each, and who started it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from nimbi.broker.access import ADMIN
from nimbi.broker.site import Broker
from nimbi.drivers.mock.faults import Faults, LostReply, StaleList
from nimbi.jobs import JobCancelled, Kind, Work
from nimbi.model.errors import NotFound
from nimbi.model.instances import InstanceState, NewInstance
from nimbi.model.jobs import Job
from nimbi.model.people import Owner
from nimbi.model.volumes import NewVolume, VolumeTarget

ACCOUNT = "a"
JOB = "the-job"
OWNER = Owner(user="admin", name="admin")
LONG_S = 200.0

# How the cloud misbehaves in each process, beside the one that dies.
FAULTS = {
    "none": Faults(),
    "lost replies": Faults(lost_reply=LostReply(operations=("*.create",), calls=1)),
    "stale lists": Faults(stale_list=StaleList(changes=2)),
}


def _none(_broker: Broker) -> Sequence[Kind[Any, Any]]:
    return ()


def _same(result: Any) -> Any:
    return result


async def _bare(_broker: Broker) -> None:
    return None


@dataclass(frozen=True)
class Scene:
    """A job of `kind` with `arguments`; when its phase is `cancel_at`, somebody cancels it.

    `kinds` gives kinds that the broker itself has not. `arrange` makes what is there before, and
    `plain` leaves out of a result what is another one each time.
    """

    name: str
    kind: str
    arguments: Any
    kinds: Callable[[Broker], Sequence[Kind[Any, Any]]] = _none
    cancel_at: str | None = None
    accounts: Sequence[str] = field(default=(ACCOUNT,))
    arrange: Callable[[Broker], Awaitable[None]] = _bare
    plain: Callable[[Any], Any] = _same

    async def play(self, broker: Broker) -> Job:
        """Do what the one does who wants the job, and again when a server died meanwhile."""
        jobs = broker.jobs
        await jobs.start(self.kind, self.arguments, OWNER, id=JOB)
        if self.cancel_at is not None:
            # It may be another process that does the job.
            while not (job := await jobs.get(JOB)).is_ended and job.phase != self.cancel_at:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            await jobs.cancel(JOB, OWNER)
        return await jobs.wait(JOB, LONG_S)


class Wish(msgspec.Struct):
    """A machine with a volume; `is_long` waits for somebody to cancel it then."""

    name: str
    is_long: bool = False


class Made(msgspec.Struct):
    """What was made."""

    instance_id: str
    volume_id: str


def _machines(broker: Broker) -> Sequence[Kind[Any, Any]]:
    maker = _Maker(broker)
    return (Kind("machine", Wish, maker.run, "Make a machine with a volume."),)


class _Maker:
    """Makes a machine, waits for it, makes a volume and attaches it: a step each."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def run(self, work: Work, wish: Wish) -> Made:
        made: list[tuple[str, str]] = []
        try:
            instance = NewInstance(image_id="img1", name=wish.name, token=work.token("instance"))
            instance_id = await work.step("instance", self._create, instance, type=str)
            made.append(("instances", instance_id))
            await work.progress(30, "waiting", "until it runs")
            await work.step("running", self._wait, instance_id, type=type(None))
            volume = NewVolume(name=wish.name, size_gib=1, token=work.token("volume"))
            volume_id = await work.step("volume", self._create, volume, type=str)
            made.append(("volumes", volume_id))
            await work.step("attach", self._attach, volume_id, instance_id, type=type(None))
            await work.log(f"{instance_id} has {volume_id}")
            await work.progress(90, "there")
            if wish.is_long:
                await work.sleep(3600)
        except JobCancelled:
            undoing = work.undoing()
            for collection, id in reversed(made):
                await undoing.step("undo", self._destroy, collection, id, type=type(None))
            raise
        return Made(instance_id, volume_id)

    def _cloud(self) -> Any:
        return self._broker.use(ADMIN, ACCOUNT)

    async def _create(self, new: NewInstance | NewVolume) -> str:
        async with self._cloud() as cloud:
            found = cloud.instances if isinstance(new, NewInstance) else cloud.volumes
            return str((await found.create(new)).id)

    async def _wait(self, id: str) -> None:
        async with self._cloud() as cloud:
            while (await cloud.instances.get(id)).state is not InstanceState.RUNNING:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async def _attach(self, volume_id: str, instance_id: str) -> None:
        async with self._cloud() as cloud:
            # Once is enough, though the step may come twice.
            if (await cloud.volumes.get(volume_id)).instance_id != instance_id:
                await cloud.volumes.attach(volume_id, VolumeTarget(instance_id=instance_id))

    async def _destroy(self, collection: str, id: str) -> None:
        async with self._cloud() as cloud:
            try:
                if collection == "volumes":
                    if (await cloud.volumes.get(id)).instance_id is not None:
                        await cloud.volumes.detach(id)
                    await cloud.volumes.destroy(id)
                else:
                    if (await cloud.instances.get(id)).state is InstanceState.RUNNING:
                        await cloud.instances.stop(id)
                    await cloud.instances.destroy(id)
            except NotFound:
                return


SCENES: tuple[Scene, ...] = (
    Scene("machine with a volume", "machine", Wish("web"), _machines),
    Scene(
        "machine with a volume, cancelled",
        "machine",
        Wish("web", is_long=True),
        _machines,
        cancel_at="there",
    ),
)
