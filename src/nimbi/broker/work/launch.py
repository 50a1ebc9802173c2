"""The job that launches machines: one or many, until they run and answer."""

import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from nimbi.broker.ledger.reservation import Along
from nimbi.broker.work.ground import AT_ONCE, FINAL, PASSING, WorkGround
from nimbi.broker.work.making import Maker, Slot, numbered, token_parts
from nimbi.broker.work.waiting import Waiter
from nimbi.jobs import JobCancelled, Kind, Work
from nimbi.jobs.results import error_of
from nimbi.jobs.work import token_of
from nimbi.model.accounts import Problem
from nimbi.model.errors import CloudError
from nimbi.model.people import Owner
from nimbi.model.work import Failure, Launch, Launched, OnFailure, Target

# What passes is waited out this often under each policy: it says nothing of the machine.
PASSING_PAUSES_S = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
# Room in a cloud comes back when others leave.
MISSING_S = (2.0, 5.0, 10.0, 20.0, 30.0, 60.0)

# Ends the lease of things after so many seconds, once for each id; returns when that is.
Lease = Callable[[str, Owner, tuple[Target, ...], int], Awaitable[datetime]]


def kind(ground: WorkGround, lease: Lease) -> Kind[Launch, Launched]:
    """Return the kind of job."""

    async def run(work: Work, launch: Launch) -> Launched:
        return await _Launch(ground, lease, work, launch).run()

    async def ahead(id: str, launch: Launch, owner: Owner) -> Along:
        names = {
            token_of(id, *token_parts(index, 0)): numbered(launch.new.name, index, launch.count)
            for index in range(launch.count)
        }
        return await ground.ahead(owner, launch.account, launch.new, names)

    text = "Launch one machine or many, and wait until they answer."
    return Kind("launch", Launch, run, text, ground.settle, ahead, title=_title)


def _title(launch: Launch) -> str:
    many = f" x {launch.count}" if launch.count > 1 else ""
    return f"launch {launch.new.name or launch.account}{many}"


class _Launch:
    """One launch under way."""

    def __init__(self, ground: WorkGround, lease: Lease, work: Work, launch: Launch) -> None:
        self._ground = ground
        self._lease = lease
        self._work = work
        self._launch = launch
        self._maker = Maker(ground, work, launch.account, launch.new, launch.count)
        self._slots = [Slot(index) for index in range(launch.count)]
        self._said: dict[int, str] = {}

    async def run(self) -> Launched:
        rolls_back = self._launch.on_failure is OnFailure.ROLL_BACK
        try:
            await self._bring_up()
            failed = [slot for slot in self._slots if slot.problem is not None]
            for slot in failed:
                await self._work.log(self._complaint(slot))
            await self._clear([slot for slot in failed if slot.is_doubtful])
            if failed and (rolls_back or len(failed) == len(self._slots)):
                raise error_of(failed[0].problem or Problem(CloudError.code, "nothing was made"))
            return await self._result(failed)
        except JobCancelled:
            if not self._launch.keep:
                await self._undo()
            raise
        except CloudError:
            # When all are of no use, there is nothing to keep but what somebody may look at.
            if rolls_back:
                await self._undo()
            raise

    async def _bring_up(self) -> None:
        began = await self._work.step("begin", _now, type=float)
        waiter = Waiter(self._ground, self._work, self._launch, began)
        until, rounds = began + self._launch.patience_s, 0
        while True:
            await self._make()
            if self._launch.wait:
                await waiter.wait(self._slots)
            missing = [slot for slot in self._slots if _is_worth_again(slot)]
            if not missing or self._launch.on_failure is not OnFailure.RETRY_MISSING:
                return
            if await self._work.step("clock", _now, type=float) >= until:
                return
            for slot in missing:
                await self._say(slot, f"{self._complaint(slot)}; it is made again")
            await self._tell(f": {self._complaint(missing[0])}")
            await self._maker.replace(missing)
            await self._work.sleep(MISSING_S[min(rounds, len(MISSING_S) - 1)])
            rounds += 1

    async def _make(self) -> None:
        """Ask for all machines that are not there; what passes is waited out."""
        for pause_s in (*PASSING_PAUSES_S, None):
            left = [slot for slot in self._slots if slot.id is None and slot.problem is None]
            for at in range(0, len(left), AT_ONCE):
                await self._tell()
                await self._maker.make(left[at : at + AT_ONCE])
            if made := [slot for slot in left if slot.id is not None]:
                await self._work.log(f"made {', '.join(map(self._called, made))}")
            passing = [slot for slot in left if slot.problem and slot.problem.code in PASSING]
            if not passing or pause_s is None:
                break
            asked_s = max(slot.problem.retry_after_s or 0 for slot in passing if slot.problem)
            await self._work.sleep(min(max(pause_s, asked_s), 60.0))
            for slot in passing:
                slot.problem = None

    async def _say(self, slot: Slot, text: str) -> None:
        """Log what is said of a machine, unless that was said of it just before."""
        if self._said.get(slot.index) != text:
            self._said[slot.index] = text
            await self._work.log(text)

    async def _tell(self, why: str = "") -> None:
        made, count = sum(slot.id is not None for slot in self._slots), len(self._slots)
        activity = f"{made} of {count} are made{why}"
        await self._work.progress(1 + 39 * made // count, "making", activity)

    async def _result(self, failed: Sequence[Slot]) -> Launched:
        account = self._launch.account
        targets = tuple(
            Target(account=account, id=s.id, created_at=s.created_at)
            for s in self._slots
            if s.id is not None and s.problem is None
        )
        ids = tuple(target.id for target in targets)
        ends_at = None
        if self._launch.lease_s is not None and ids:
            ends_at = await self._work.step(
                "lease",
                self._lease,
                self._work.token("lease"),
                self._work.owner,
                targets,
                self._launch.lease_s,
                type=datetime,
            )
        failures = [self._failure(slot) for slot in failed]
        return Launched(account=account, ids=ids, failures=tuple(failures), lease_ends_at=ends_at)

    def _failure(self, slot: Slot) -> Failure:
        problem = slot.problem or Problem(CloudError.code, "it is missing")
        return Failure(
            account=self._launch.account,
            id=slot.id,
            name=self._maker.name(slot),
            problem=problem,
        )

    def _called(self, slot: Slot) -> str:
        name = self._maker.name(slot) or f"instance {slot.index + 1}"
        return f"{name} ({slot.id})" if slot.id else name

    def _complaint(self, slot: Slot) -> str:
        return f"{self._called(slot)}: {slot.problem.message if slot.problem else 'it is missing'}"

    async def _undo(self) -> None:
        await self._work.undoing().progress(95, "cleaning up", "what was made is destroyed")
        await self._clear(None)

    async def _clear(self, slots: Sequence[Slot] | None) -> None:
        """Take away what was made for some slots, or all; those that are in doubt too."""
        if slots != []:
            for left in await self._maker.undo(slots):
                await self._work.log(f"{left} could not be destroyed: see nimbi orphans")


def _is_worth_again(slot: Slot) -> bool:
    return slot.problem is not None and (slot.id is not None or slot.problem.code not in FINAL)


async def _now() -> float:
    return time.time()
