"""The job that has an instance run anew."""

import time

from nimbi.broker.work.ground import PASSING, WorkGround
from nimbi.broker.work.replacing import FIRST_S, GROWTH, LONGEST_S, Seen
from nimbi.driver.compute import Instances
from nimbi.jobs import Kind, Work
from nimbi.jobs.results import error_of
from nimbi.model.accounts import Problem
from nimbi.model.errors import CloudError, Conflict, Timeout
from nimbi.model.instances import InstanceState
from nimbi.model.repair import Restart, Restarted

# What is done to an instance, in the order in which it is preferred.
DOING = (
    ("reboot", Instances.reboot),
    ("start", Instances.start),
    ("resume", Instances.resume),
    ("stop", Instances.stop),
)


def kind(ground: WorkGround) -> Kind[Restart, Restarted]:
    """Return the kind of job."""

    async def run(work: Work, wish: Restart) -> Restarted:
        return await _Restarting(ground, work, wish).run()

    return Kind(
        "restart",
        Restart,
        run,
        "Have an instance run anew.",
        title=lambda it: f"restart {it.account}:{it.instance_id}",
    )


class _Restarting:
    """One restart under way."""

    def __init__(self, ground: WorkGround, work: Work, wish: Restart) -> None:
        self._ground = ground
        self._work = work
        self._wish = wish

    async def run(self) -> Restarted:
        wish, work = self._wish, self._work
        began = await work.step("begin", _now, type=float)
        until, did = began + wish.patience_s, ""
        pause_s = FIRST_S
        while True:
            await work.progress(50 if did else 1, "restarting", wish.instance_id)
            if not did or did == "stop":
                did = await self._passing("act", did)
            else:
                seen = await work.step("look", self._look, type=Seen)
                if seen.problem is not None and seen.problem.code not in PASSING:
                    raise error_of(seen.problem)
                if seen.is_ready:
                    return Restarted(account=wish.account, instance_id=wish.instance_id, did=did)
            if await work.step("clock", _now, type=float) >= until:
                raise Timeout(f"{wish.instance_id} does not run within {wish.patience_s} s")
            await work.sleep(pause_s)
            pause_s = min(pause_s * GROWTH, LONGEST_S)

    async def _passing(self, name: str, did: str) -> str:
        """Do what its state allows; what passes is done at the next time. Raises CloudError."""
        try:
            return await self._work.step(name, self._act, did, type=str)
        except CloudError as error:
            if error.code not in PASSING:
                raise
        return did

    async def _act(self, did: str) -> str:
        """Return what was done, what was done before when it must wait."""
        async with self._ground.cloud(self._work, self._wish.account) as cloud:
            instance = await cloud.call(Instances.get, self._wish.instance_id)
            if instance.locked:
                raise Conflict(f"{instance.id} is locked")
            possible = cloud.instance_operations(instance)
            if instance.state in {InstanceState.PENDING, InstanceState.STOPPING}:
                return did
            for name, operation in DOING:
                if name in possible and not (did and name == "reboot"):
                    await cloud.call(operation, instance.id)
                    return "stop, start" if did else name
        raise Conflict(f"{instance.id} is {instance.state}, and its cloud can do nothing for it")

    async def _look(self) -> Seen:
        at = time.time()
        try:
            async with self._ground.cloud(self._work, self._wish.account) as cloud:
                instance = await cloud.call(Instances.get, self._wish.instance_id)
        except CloudError as error:
            return Seen(at=at, problem=Problem.of(error))
        return Seen(at=at, is_ready=instance.state is InstanceState.RUNNING)


async def _now() -> float:
    return time.time()
