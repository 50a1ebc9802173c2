"""What results in a row make of a check."""

from typing import NamedTuple

from nimbi.model.accounts import Problem
from nimbi.model.checks import CheckState


class Outcome(NamedTuple):
    """One result: good, bad, or None when nobody could ask, with the reason."""

    is_good: bool | None
    took_s: float | None = None
    problem: Problem | None = None


class Verdict(NamedTuple):
    """What a check is after a result; `streak` counts results in a row that say otherwise."""

    state: CheckState
    streak: int


def after(
    state: CheckState, streak: int, outcome: Outcome, *, failures: int, successes: int
) -> Verdict:
    """Return the verdict after one more result.

    What nobody could ask changes nothing. A new check is up at its first good result.
    """
    if outcome.is_good is None:
        return Verdict(state, streak)
    if state is CheckState.DOWN:
        if not outcome.is_good:
            return Verdict(CheckState.DOWN, 0)
        is_over = streak + 1 >= successes
        return Verdict(CheckState.UP, 0) if is_over else Verdict(CheckState.DOWN, streak + 1)
    if outcome.is_good:
        return Verdict(CheckState.UP, 0)
    is_over = streak + 1 >= failures
    return Verdict(CheckState.DOWN, 0) if is_over else Verdict(state, streak + 1)
