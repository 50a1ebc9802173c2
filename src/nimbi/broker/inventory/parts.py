"""What is told of each account beside a list: how whole its part is, how old, and why."""

from datetime import UTC, datetime

import msgspec

from nimbi.broker.inventory.told import Told
from nimbi.model.accounts import Part, PartState, Problem
from nimbi.model.errors import CloudError
from nimbi.store.polls import PollState


def part_of_answer(told: Told, count: int) -> Part:
    """Return the part of an account whose cloud has just answered; `count` things fit."""
    return Part(account=told.account, state=PartState.OK, age_s=_age_s(told.began_at), count=count)


def known_part(account: str, state: PollState | None) -> Part:
    """Return the part of an account of which the store knows so much."""
    if state is None or state.polled_at is None:
        return Part(account=account, state=PartState.FAILED)
    if state.problem is None:
        return Part(account=account, state=PartState.OK, age_s=_age_s(state.ok_at))
    return _failed(account, state, state.problem)


def part_after_failure(account: str, state: PollState | None, error: CloudError) -> Part:
    """Return the part of an account whose cloud was asked just now, in vain."""
    return _failed(account, state, Problem.of(error))


def cut(part: Part) -> Part:
    """Return the part of an account of which not all is shown."""
    return msgspec.structs.replace(part, state=PartState.PARTIAL)


def _failed(account: str, state: PollState | None, problem: Problem) -> Part:
    """Return a part that is stale when it was known whole once, else partial if there is any."""
    if state is not None and state.ok_at is not None:
        age_s = _age_s(state.ok_at)
        return Part(account=account, state=PartState.STALE, problem=problem, age_s=age_s)
    if state is not None and state.count:
        age_s = _age_s(state.polled_at)
        return Part(account=account, state=PartState.PARTIAL, problem=problem, age_s=age_s)
    return Part(account=account, state=PartState.FAILED, problem=problem)


def _age_s(at: datetime | None) -> float | None:
    return None if at is None else max(0.0, (datetime.now(UTC) - at).total_seconds())
