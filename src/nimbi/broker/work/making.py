"""Machines that a job makes: each by a token of its own, so that none is made twice or lost."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from nimbi.broker.work.ground import AT_ONCE, WorkGround
from nimbi.broker.work.removal import remove
from nimbi.gateway.cloud import Cloud
from nimbi.jobs import Work
from nimbi.model.accounts import Problem
from nimbi.model.errors import CloudError, NotFound, Timeout, UnknownOutcome
from nimbi.model.instances import NewInstance

# How often, and with which pauses, what could not be removed is tried again.
UNDO_PAUSES_S = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 60.0)
# After these it is unknown whether a machine was made.
PERHAPS = frozenset({Timeout.code, UnknownOutcome.code})


@dataclass
class Slot:
    """One of the machines that are asked for.

    `generation` counts the machines that were begun for it, and is part of the token. `id` is the
    machine's as soon as it is known, `problem` why there is none, or none that is of use. With
    `is_doubtful`, there may be one all the same.
    """

    index: int
    generation: int = 0
    id: str | None = None
    problem: Problem | None = None
    is_ready: bool = False
    is_doubtful: bool = False
    created_at: datetime | None = None


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one request for a machine: its id, or why there is none."""

    index: int
    id: str | None = None
    problem: Problem | None = None


class Maker:
    """Makes machines of one wish for a job, and takes them away again."""

    def __init__(
        self, ground: WorkGround, work: Work, account: str, new: NewInstance, count: int
    ) -> None:
        self._ground = ground
        self._work = work
        self._account = account
        self._new = new
        self._count = count
        # Whatever may have been made, by its token.
        self._begun: dict[str, tuple[Slot, str | None]] = {}

    def name(self, slot: Slot) -> str | None:
        """Return what the machine of a slot is called."""
        return numbered(self._new.name, slot.index, self._count)

    async def make(self, slots: Sequence[Slot]) -> None:
        """Make the machines of up to AT_ONCE slots; each has its id then, or its problem."""
        for slot in slots:
            self._begun.setdefault(self._token(slot), (slot, None))
        wanted = tuple((slot.index, self._wish(slot, self._token(slot))) for slot in slots)
        found = await self._work.step("make", self._make, wanted, type=tuple[Made, ...])
        by_index = {made.index: made for made in found}
        for slot in slots:
            made = by_index[slot.index]
            slot.id, slot.problem = made.id, made.problem
            # What was lost once stays in doubt, until the same token has shown what it made.
            is_lost = made.problem is not None and made.problem.code in PERHAPS
            slot.is_doubtful = made.id is None and (slot.is_doubtful or is_lost)
            self._begun[self._token(slot)] = (slot, made.id)

    async def replace(self, slots: Sequence[Slot]) -> None:
        """Take away the machines of slots that are of no use, for others to be made.

        One that cannot be taken away stays, with its problem.
        """
        for slot in slots:
            if slot.id is not None:
                try:
                    await self._work.step("replace", self._removed, slot.id, type=type(None))
                except CloudError as error:
                    slot.problem = Problem.of(error)
                    continue
                del self._begun[self._token(slot)]
                # One that was never made is asked for by its token again, which is reserved.
                slot.generation += 1
            slot.id, slot.problem, slot.is_ready = None, None, False

    async def undo(self, slots: Sequence[Slot] | None = None) -> tuple[str, ...]:
        """Take away all that was made, or may have been, for some slots or all of them.

        Returns what could not be, for people.
        """
        undoing = self._work.undoing()
        for pause_s in (*UNDO_PAUSES_S, None):
            left = self._left(slots)
            for at in range(0, len(left), AT_ONCE):
                tokens = tuple(
                    (token, self._wish(slot, token), id)
                    for token, (slot, id) in left[at : at + AT_ONCE]
                )
                gone = await undoing.step("undo", self._undone, tokens, type=tuple[str, ...])
                for token in gone:
                    del self._begun[token]
            if pause_s is None or not self._left(slots):
                break
            await undoing.sleep(pause_s)
        return tuple(id or self.name(slot) or "?" for _, (slot, id) in self._left(slots))

    def _left(self, slots: Sequence[Slot] | None) -> list[tuple[str, tuple[Slot, str | None]]]:
        among = self._begun.items()
        return [one for one in among if slots is None or any(one[1][0] is s for s in slots)]

    def _token(self, slot: Slot) -> str:
        return self._work.token(*token_parts(slot.index, slot.generation))

    def _wish(self, slot: Slot, token: str) -> NewInstance:
        return msgspec.structs.replace(self._new, name=self.name(slot), token=token)

    async def _make(self, wanted: Sequence[tuple[int, NewInstance]]) -> tuple[Made, ...]:
        async with self._ground.cloud(self._work, self._account) as cloud:
            made = [_made(cloud, index, new) for index, new in wanted]
            return tuple(await asyncio.gather(*made))

    async def _removed(self, id: str) -> None:
        async with self._ground.cloud_to_clean(self._work, self._account) as cloud:
            await remove(cloud, "instances", id)

    async def _undone(
        self, tokens: Sequence[tuple[str, NewInstance, str | None]]
    ) -> tuple[str, ...]:
        """Return which of the tokens have left nothing behind."""
        try:
            async with self._ground.cloud_to_clean(self._work, self._account) as cloud:
                gone = [self._is_undone(cloud, token, new, id) for token, new, id in tokens]
                found = await asyncio.gather(*gone)
        except CloudError:
            return ()
        return tuple(one[0] for one, is_gone in zip(tokens, found, strict=True) if is_gone)

    async def _is_undone(self, cloud: Cloud, token: str, new: NewInstance, id: str | None) -> bool:
        try:
            if id is None:
                intent = await self._ground.intents.find(self._account, token)
                if intent is None:
                    # It is written down before the cloud is asked: the cloud never was.
                    return True
                id = intent.thing_id
            if id is None:
                # Lists may be late. The same token again is the very thing, or one that goes now.
                id = (await cloud.instances.create(new)).id
            await remove(cloud, "instances", id)
        except NotFound:
            return True
        except CloudError:
            return False
        return True


def token_parts(index: int, generation: int) -> tuple[object, ...]:
    """Return what the token of a machine is made of, in its job."""
    return "instance", index, generation


def numbered(name: str | None, index: int, count: int) -> str | None:
    """Return what one of several machines is called."""
    return name if name is None or count == 1 else f"{name}-{index + 1}"


async def _made(cloud: Cloud, index: int, new: NewInstance) -> Made:
    try:
        return Made(index=index, id=(await cloud.instances.create(new)).id)
    except CloudError as error:
        return Made(index=index, problem=Problem.of(error))
