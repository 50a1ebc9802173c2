"""The job that does one thing to many."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

import msgspec

from nimbi.broker.access import check, may
from nimbi.broker.inventory.wishes import TAG, Wish
from nimbi.broker.work.actions import Action, action_of, do, is_done
from nimbi.broker.work.ground import AT_ONCE, PASSING, WorkGround
from nimbi.gateway.cloud import Cloud
from nimbi.jobs import Kind, Work
from nimbi.model.accounts import PartState, Problem
from nimbi.model.errors import CloudError, Forbidden, Invalid
from nimbi.model.people import Owner
from nimbi.model.work import MOST_TARGETS, Bulk, BulkDone, Choice, Failure, Target

PAGE = 100
PAUSES_S = (0.5, 1.0, 2.0, 5.0, 10.0)

# What the last job of a schedule did, for whom the job is done; nothing when it did nothing.
Before = Callable[[str, Owner], Awaitable[tuple[BulkDone, ...]]]


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """One thing of a list, as far as it matters here."""

    account: str
    id: str
    created_at: datetime | None = None


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """Some of the things that are chosen, accounts that did not tell theirs, and where it goes on.

    `next` None is the end.
    """

    targets: tuple[Target, ...] = ()
    failures: tuple[Failure, ...] = ()
    next: str | None = None


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one thing; `was_so` when there was nothing to do."""

    was_so: bool = False
    problem: Problem | None = None


def kind(ground: WorkGround, before: Before) -> Kind[Bulk, BulkDone]:
    """Return the kind of job."""

    async def run(work: Work, bulk: Bulk) -> BulkDone:
        return await _Bulk(ground, before, work, bulk).run()

    text = "Do one thing to many: stop, start, destroy and the like."
    return Kind("bulk", Bulk, run, text, title=lambda bulk: bulk.action)


class _Bulk:
    """One bulk action under way."""

    def __init__(self, ground: WorkGround, before: Before, work: Work, bulk: Bulk) -> None:
        bulk.check()
        self._ground = ground
        self._before = before
        self._work = work
        self._bulk = bulk
        self._action: Action = action_of(bulk.action)
        self._outcomes: dict[Target, Outcome] = {}
        self._failures: list[Failure] = []

    async def run(self) -> BulkDone:
        targets = await self._chosen()
        # First how they are: who goes on after a crash tells what it did from what was so.
        await self._each("look", "looking", targets, self._look)
        todo = [t for t in targets if t not in self._outcomes]
        for pause_s in (*PAUSES_S, None):
            await self._each("act", "acting", todo, self._act)
            todo = [t for t in todo if self._is_passing(t)]
            if not todo or pause_s is None:
                break
            await self._work.sleep(pause_s)
        return await self._result(targets)

    async def _chosen(self) -> list[Target]:
        await self._work.progress(1, "choosing")
        bulk = self._bulk
        found = list(bulk.targets)
        if bulk.done_by is not None:
            found += await self._done_before(bulk.done_by)
        elif bulk.choice is not None:
            marker: str | None = None
            while True:
                some = await self._work.step("choose", self._choose, marker, type=Chosen)
                found += some.targets
                self._failures += some.failures
                marker = some.next
                if marker is None:
                    break
        found = list(dict.fromkeys(found))
        if len(found) > MOST_TARGETS:
            raise Invalid(f"these are {len(found)} things; {MOST_TARGETS} can be done at once")
        await self._work.log(f"{self._bulk.action} to {len(found)} things")
        return found

    async def _done_before(self, schedule: str) -> Sequence[Target]:
        done = await self._work.step(
            "before", self._before, schedule, self._work.owner, type=tuple[BulkDone, ...]
        )
        for one in done:
            if self._action.back != one.action:
                raise Invalid(f"{self._action.operation} does not undo {one.action}")
        return [target for one in done for target in one.done]

    async def _choose(self, marker: str | None) -> Chosen:
        choice = self._bulk.choice or Choice()
        caller = await self._ground.people.acting(self._work.owner)
        accounts: tuple[str, ...] | None = choice.accounts or None
        for account in accounts or ():
            check(caller, f"{self._action.collection}.page", account)
            check(caller, self._action.operation, account)
        is_everywhere = caller.accounts is None and may(caller, self._action.operation, None)
        if accounts is None and not is_everywhere:
            known = await self._ground.calls.accounts.all()
            accounts = tuple(
                one.id
                for one in known
                if one.is_enabled and may(caller, self._action.operation, one.id)
            )
            if not accounts:
                raise Forbidden(f"{caller.name} may not do {self._action.operation} anywhere")
        wish = Wish(
            collection=self._action.collection,
            accounts=accounts,
            filters={**choice.filters, **{TAG + name: v for name, v in choice.tags.items()}},
            limit=PAGE,
            marker=marker,
            fresh=True,
            caller=caller,
        )
        listing = await self._ground.inventory.list(wish)
        items = [msgspec.json.decode(body, type=Listed) for body in listing.items]
        lost = [part for part in listing.parts if part.state is not PartState.OK]
        return Chosen(
            targets=tuple(
                Target(account=one.account, id=one.id, created_at=one.created_at) for one in items
            ),
            failures=tuple(
                Failure(
                    account=part.account,
                    problem=part.problem or Problem(CloudError.code, "its list is not whole"),
                )
                for part in lost
                if marker is None
            ),
            next=listing.next,
        )

    async def _each(
        self,
        name: str,
        phase: str,
        targets: Sequence[Target],
        do_one: Callable[[Cloud, Target], Awaitable[Outcome | None]],
    ) -> None:
        """Do something to each, some at the same time, and keep what became of it."""
        for at in range(0, len(targets), AT_ONCE):
            some = targets[at : at + AT_ONCE]
            share = 4 if name == "look" else 80
            await self._work.progress(
                (2 if name == "look" else 15) + share * at // max(1, len(targets)),
                phase,
                f"{at} of {len(targets)}",
            )
            found = await self._work.step(
                name, self._batch, tuple(some), do_one, type=tuple[Outcome | None, ...]
            )
            for target, outcome in zip(some, found, strict=True):
                if outcome is not None:
                    self._outcomes[target] = outcome

    async def _batch(
        self,
        targets: Sequence[Target],
        do_one: Callable[[Cloud, Target], Awaitable[Outcome | None]],
    ) -> tuple[Outcome | None, ...]:
        by_account: dict[str, list[Target]] = defaultdict(list)
        for target in targets:
            by_account[target.account].append(target)
        found: dict[Target, Outcome | None] = {}

        async def of_account(account: str, some: Sequence[Target]) -> None:
            try:
                async with self._ground.cloud(self._work, account) as cloud:
                    outcomes = await asyncio.gather(*(_safely(do_one, cloud, t) for t in some))
            except CloudError as error:
                outcomes = [Outcome(problem=Problem.of(error))] * len(some)
            found.update(zip(some, outcomes, strict=True))

        await asyncio.gather(*(of_account(a, some) for a, some in by_account.items()))
        return tuple(found[target] for target in targets)

    async def _look(self, cloud: Cloud, target: Target) -> Outcome | None:
        try:
            return Outcome(was_so=True) if await is_done(cloud, self._action, target) else None
        except CloudError as error:
            # What passes is tried again when it is done.
            return None if error.code in PASSING else Outcome(problem=Problem.of(error))

    async def _act(self, cloud: Cloud, target: Target) -> Outcome:
        await do(cloud, self._action, target)
        return Outcome()

    def _is_passing(self, target: Target) -> bool:
        problem = self._outcomes[target].problem
        return problem is not None and problem.code in PASSING

    async def _result(self, targets: Sequence[Target]) -> BulkDone:
        outcomes = [(target, self._outcomes[target]) for target in targets]
        for target, outcome in outcomes:
            if outcome.problem is not None:
                failure = Failure(account=target.account, id=target.id, problem=outcome.problem)
                self._failures.append(failure)
                await self._work.log(f"{target.account}:{target.id}: {outcome.problem.message}")
        return BulkDone(
            action=self._bulk.action,
            done=tuple(t for t, o in outcomes if o.problem is None and not o.was_so),
            skipped=tuple(t for t, o in outcomes if o.was_so),
            failures=tuple(self._failures),
        )


async def _safely(
    do_one: Callable[[Cloud, Target], Awaitable[Outcome | None]], cloud: Cloud, target: Target
) -> Outcome | None:
    try:
        return await do_one(cloud, target)
    except CloudError as error:
        return Outcome(problem=Problem.of(error))
