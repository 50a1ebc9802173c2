"""Waiting until machines run, and answer."""

import asyncio
import time
from collections.abc import Sequence
from datetime import datetime

import msgspec

from nimbi.broker.work.answers import answers
from nimbi.broker.work.ground import AT_ONCE, PASSING, WorkGround
from nimbi.broker.work.making import Slot
from nimbi.gateway.cloud import Cloud
from nimbi.jobs import Work
from nimbi.model.accounts import Problem
from nimbi.model.errors import CloudError, NotFound, Timeout
from nimbi.model.instances import InstanceState
from nimbi.model.work import Launch

FIRST_S, GROWTH, LONGEST_S = 0.5, 1.5, 10.0
# Clouds that copy their data between places may not find what they have just made.
UNSEEN_S = 15.0
GONE = frozenset({InstanceState.FINISH})


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """How a machine is: its state, whether it answers as wished, or why that is not known."""

    state: InstanceState | None = None
    answers: bool = False
    problem: Problem | None = None
    reason: str | None = None
    created_at: datetime | None = None


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """How several machines are at one time, in the order in which they were asked for."""

    at: float
    seen: tuple[Seen, ...]


class Waiter:
    """Waits for the machines of a launch that began at a time; one look at all is one step."""

    def __init__(self, ground: WorkGround, work: Work, launch: Launch, began: float) -> None:
        self._ground = ground
        self._work = work
        self._launch = launch
        self._until = began + launch.patience_s

    async def wait(self, slots: Sequence[Slot]) -> None:
        """Return when each machine is ready, or has its problem."""
        waiting = [slot for slot in slots if slot.id is not None and not slot.is_ready]
        pause_s, unseen_until = FIRST_S, 0.0
        while waiting:
            await self._tell(slots)
            for at in range(0, len(waiting), AT_ONCE):
                some = waiting[at : at + AT_ONCE]
                look = await self._work.step("look", self._look, _ids(some), type=Look)
                unseen_until = unseen_until or look.at + UNSEEN_S
                for slot, seen in zip(some, look.seen, strict=True):
                    self._judge(slot, seen, look.at, unseen_until)
            waiting = [slot for slot in waiting if not slot.is_ready and slot.problem is None]
            if waiting:
                await self._work.sleep(pause_s)
                pause_s = min(pause_s * GROWTH, LONGEST_S)

    def _judge(self, slot: Slot, seen: Seen, at: float, unseen_until: float) -> None:
        problem, slot.created_at = seen.problem, seen.created_at
        if seen.state is InstanceState.RUNNING and seen.answers:
            slot.is_ready = True
        elif seen.state is InstanceState.ERROR:
            why = f": {seen.reason}" if seen.reason else ""
            slot.problem = Problem(CloudError.code, f"{slot.id} is in state error{why}")
        elif problem is not None and (problem.code != NotFound.code or at >= unseen_until):
            slot.problem = None if problem.code in PASSING else problem
        if not slot.is_ready and slot.problem is None and at >= self._until:
            wanted = self._launch.answers
            what = f"answer by {wanted.kind}" if wanted else "run"
            late = f"{slot.id} does not {what} within {self._launch.patience_s} s"
            slot.problem = Problem(Timeout.code, late)

    async def _tell(self, slots: Sequence[Slot]) -> None:
        ready, made = sum(s.is_ready for s in slots), sum(s.id is not None for s in slots)
        wanted = self._launch.answers
        what = f"answer by {wanted.kind}" if wanted else "run"
        percent = 40 + 55 * ready // max(1, len(slots))
        await self._work.progress(percent, "waiting", f"{ready} of {made} {what}")

    async def _look(self, ids: Sequence[str]) -> Look:
        async with self._ground.cloud(self._work, self._launch.account) as cloud:
            seen = await asyncio.gather(*(self._seen(cloud, id) for id in ids))
        return Look(at=time.time(), seen=tuple(seen))

    async def _seen(self, cloud: Cloud, id: str) -> Seen:
        wanted = self._launch.answers
        try:
            instance = await cloud.instances.get(id)
            if instance.state in GONE:
                return Seen(problem=Problem(NotFound.code, f"{id} is gone"))
            is_running = instance.state is InstanceState.RUNNING
            is_ready = is_running and (
                wanted is None or await answers(cloud, instance, wanted, self._ground.reach)
            )
        except CloudError as error:
            return Seen(problem=Problem.of(error))
        return Seen(
            state=instance.state,
            answers=is_ready,
            reason=instance.state_reason,
            created_at=instance.created_at,
        )


def _ids(slots: Sequence[Slot]) -> tuple[str, ...]:
    return tuple(slot.id or "" for slot in slots)
