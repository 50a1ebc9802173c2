"""Puts one instance in the place of another: first the new one, and the old one goes last."""

import time
from typing import Protocol

import msgspec

from nimbi.broker.work.ground import PASSING, WorkGround
from nimbi.broker.work.making import Maker, Slot, token_parts
from nimbi.broker.work.removal import remove
from nimbi.broker.work.template import features_of, template
from nimbi.driver.compute import Instances
from nimbi.jobs import JobCancelled, Work
from nimbi.jobs.results import error_of
from nimbi.model.accounts import Problem
from nimbi.model.checks import TO_ADDRESS, Probe
from nimbi.model.errors import CloudError, Conflict, NotFound, Timeout
from nimbi.model.instances import Instance, InstanceState, NewInstance
from nimbi.model.repair import Replace, Replaced

MAKE_PAUSES_S = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
FIRST_S, GROWTH, LONGEST_S = 0.5, 1.5, 15.0
# A cloud that is down while its instances are moved away comes back some day: until then nobody
# can tell whether the old one lives, and the job waits.
RETIRE_S = 24 * 3600.0
RETIRE_LONGEST_S = 300.0
# Clouds that copy their data between places may not find what they have just made.
UNSEEN_S = 15.0


class Care(Protocol):
    """What is known of instances' checks."""

    async def known(self, account: str, id: str) -> Instance: ...

    async def probes_of(self, account: str, instance_id: str) -> tuple[Probe, ...]: ...

    async def answers(self, probe: Probe, instance: Instance) -> bool: ...

    async def moved(self, old: tuple[str, str], new: tuple[str, str]) -> int: ...


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done for one instance. `runs`: it runs, so the new one is to run too."""

    new: NewInstance
    probes: tuple[Probe, ...]
    runs: bool
    at: float


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """How the new instance is at one time."""

    at: float
    is_ready: bool = False
    problem: Problem | None = None


class Replacing:
    """One replacement within a job. `index` tells it from others in the same job."""

    def __init__(
        self, ground: WorkGround, care: Care, work: Work, wish: Replace, index: int = 0
    ) -> None:
        self._ground = ground
        self._care = care
        self._work = work
        self._wish = wish
        self._target = wish.target or wish.account
        self._slot = Slot(index)

    async def run(self) -> Replaced:
        """Return what it came to. Until the old one goes, an error or a cancel leaves it alone.

        From then on nothing can hold it up: there is an end with one of the two.
        """
        plan = await self._work.step("plan", self._planned, type=Plan)
        maker = Maker(self._ground, self._work, self._target, plan.new, 1)
        try:
            new_id = await self._made(maker)
            await self._ready(plan, new_id)
            # The last moment to be called off.
            await self._work.step("commit", _now, type=float)
        except (JobCancelled, CloudError):
            await self._undo(maker)
            raise
        await self._move(self._wish.instance_id, self._wish.account, new_id, self._target)
        await self._retired(maker, plan, new_id)
        return Replaced(
            account=self._wish.account,
            instance_id=self._wish.instance_id,
            target=self._target,
            new_id=new_id,
            kept=self._wish.keep,
        )

    async def _planned(self) -> Plan:
        wish = self._wish
        old = await self._old()
        if old.locked:
            raise Conflict(f"{old.id} is locked")
        async with self._ground.cloud(self._work, self._target) as cloud:
            new = template(old, wish, features_of(cloud))
        # The job's own token: for it this is reserved, unless it was when the job began.
        token = self._work.token(*token_parts(self._slot.index, self._slot.generation))
        await self._ground.reserve(self._work, self._target, {token: new})
        runs = old.state not in {InstanceState.STOPPED, InstanceState.STOPPING}
        probes = await self._care.probes_of(wish.account, wish.instance_id)
        at_address = tuple(p for p in probes if p.kind in TO_ADDRESS)
        return Plan(new=new, probes=at_address, runs=runs, at=time.time())

    async def _old(self) -> Instance:
        """Return the old instance; when its cloud is silent, as it was known last."""
        wish = self._wish
        try:
            async with self._ground.cloud(self._work, wish.account) as cloud:
                return await cloud.call(Instances.get, wish.instance_id)
        except CloudError as error:
            if error.code not in PASSING and error.code != "unauthorized":
                raise
        return await self._care.known(wish.account, wish.instance_id)

    async def _made(self, maker: Maker) -> str:
        await self._work.progress(5, "making", f"one like {self._wish.instance_id}")
        for pause_s in (*MAKE_PAUSES_S, None):
            await maker.make([self._slot])
            problem = self._slot.problem
            if self._slot.id is not None:
                return self._slot.id
            if problem is None or problem.code not in PASSING or pause_s is None:
                break
            await self._work.sleep(min(max(pause_s, problem.retry_after_s or 0), 60.0))
            self._slot.problem = None
        raise error_of(self._slot.problem or Problem(CloudError.code, "nothing was made"))

    async def _ready(self, plan: Plan, new_id: str) -> None:
        """Return when the new instance runs and answers its checks. Raises Timeout, CloudError."""
        pause_s, until = FIRST_S, None
        while True:
            await self._work.progress(30, "waiting", f"until {new_id} answers")
            seen = await self._work.step("look", self._look, plan, new_id, type=Seen)
            began = until - self._wish.patience_s if until is not None else seen.at
            until = began + self._wish.patience_s
            if seen.is_ready:
                break
            if seen.problem is not None and not _is_passing(seen, began):
                raise error_of(seen.problem)
            if seen.at >= until:
                late = f"{new_id} does not answer within {self._wish.patience_s} s"
                raise Timeout(late)
            await self._work.sleep(pause_s)
            pause_s = min(pause_s * GROWTH, LONGEST_S)
        if not plan.runs:
            await self._work.step("stop", self._stopped, self._target, new_id, type=type(None))

    async def _look(self, plan: Plan, new_id: str) -> Seen:
        at = time.time()
        try:
            async with self._ground.cloud(self._work, self._target) as cloud:
                instance = await cloud.call(Instances.get, new_id)
        except CloudError as error:
            return Seen(at=at, problem=Problem.of(error))
        if instance.state is InstanceState.ERROR:
            why = instance.state_reason or "its cloud does not say why"
            return Seen(at=at, problem=Problem(CloudError.code, f"{new_id} failed: {why}"))
        if instance.state is not InstanceState.RUNNING:
            return Seen(at=at)
        for probe in plan.probes if plan.runs else ():
            if not await self._care.answers(probe, instance):
                return Seen(at=at)
        return Seen(at=at, is_ready=True)

    async def _undo(self, maker: Maker) -> None:
        for left in await maker.undo([self._slot]):
            await self._work.log(f"{left} could not be destroyed: see nimbi orphans")

    async def _move(self, old: str, account: str, new: str, target: str) -> None:
        undoing = self._work.undoing()
        await undoing.step("move", self._care.moved, (account, old), (target, new), type=int)

    async def _retired(self, maker: Maker, plan: Plan, new_id: str) -> None:
        """Have the old one gone, or stopped when it is kept. Raises CloudError when it stays."""
        undoing, old = self._work.undoing(), self._wish.instance_id
        began = await undoing.step("retire", _now, type=float)
        pause_s = 1.0
        while True:
            await undoing.progress(80, "retiring", f"{old} of {self._wish.account}")
            seen = await undoing.step("retired", self._retire, type=Seen)
            if seen.is_ready:
                return
            problem = seen.problem or Problem(CloudError.code, f"{old} stays")
            if problem.code not in PASSING:
                await self._settled(maker, plan, new_id, problem)
            if seen.at - began > RETIRE_S:
                raise Timeout(f"{new_id} runs; whether {old} is gone, nobody could say for a day")
            await undoing.sleep(pause_s)
            pause_s = min(pause_s * 2, RETIRE_LONGEST_S)

    async def _retire(self) -> Seen:
        wish, at = self._wish, time.time()
        try:
            if wish.keep:
                await self._stopped(wish.account, wish.instance_id)
            else:
                async with self._ground.cloud(self._work, wish.account) as cloud:
                    await remove(cloud, "instances", wish.instance_id)
        except CloudError as error:
            return Seen(at=at, problem=Problem.of(error))
        return Seen(at=at, is_ready=True)

    async def _settled(self, maker: Maker, plan: Plan, new_id: str, problem: Problem) -> None:
        """Leave one of the two when the old one cannot be removed: the old one if it runs still.

        Raises what hinders it, always.
        """
        undoing, wish = self._work.undoing(), self._wish
        lives = await undoing.step("settle", self._lives, type=bool)
        if lives == plan.runs:
            await self._move(new_id, self._target, wish.instance_id, wish.account)
            await self._undo(maker)
            raise error_of(problem)
        raise error_of(
            Problem(problem.code, f"{new_id} is there; {wish.instance_id} stays, stopped")
        )

    async def _lives(self) -> bool:
        async with self._ground.cloud_to_clean(self._work, self._wish.account) as cloud:
            try:
                old = await cloud.call(Instances.get, self._wish.instance_id)
            except NotFound:
                return False
        return old.state is InstanceState.RUNNING

    async def _stopped(self, account: str, id: str) -> None:
        """Stop an instance, unless it is stopped or gone; it may be on its way down."""
        async with self._ground.cloud(self._work, account) as cloud:
            try:
                instance = await cloud.call(Instances.get, id)
                if instance.state in {InstanceState.RUNNING, InstanceState.PAUSED}:
                    await cloud.call(Instances.stop, id)
            except NotFound:
                return


def _is_passing(seen: Seen, began: float) -> bool:
    code = seen.problem.code if seen.problem is not None else ""
    return code in PASSING or (code == NotFound.code and seen.at < began + UNSEEN_S)


async def _now() -> float:
    return time.time()
