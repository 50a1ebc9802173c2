"""How often a cloud is asked: quick while things change, slow while they do not."""

import pytest

from nimbi.broker.inventory.schedule import USUAL, Seen, after_answer, after_failure, pace_of
from nimbi.model.errors import CloudUnavailable, Throttled, Unauthorized, Unsupported

QUIET = Seen(changed=False, in_transit=False)
MOVING = Seen(changed=True, in_transit=True)
STUCK = Seen(changed=False, in_transit=True)


def intervals(seen: Seen, count: int, last_s: float | None = None) -> list[float]:
    found = []
    for _ in range(count):
        last_s = after_answer(USUAL, last_s, seen)
        found.append(last_s)
    return found


def test_while_nothing_changes_the_pauses_grow_to_the_slowest() -> None:
    found = intervals(QUIET, 20)
    assert found == sorted(found)
    assert (found[0], found[-1]) == (USUAL.changed_s, USUAL.slowest_s)


@pytest.mark.parametrize("last_s", [None, 2.0, 10.0, 300.0])
def test_things_that_move_are_looked_at_with_the_quickest_pause(last_s: float | None) -> None:
    assert after_answer(USUAL, last_s, MOVING) == USUAL.quickest_s


def test_a_thing_that_is_stuck_is_looked_at_ever_less_often() -> None:
    found = intervals(STUCK, 20)
    assert (found[0], found[-1]) == (USUAL.quickest_s, USUAL.changed_s)
    assert found == sorted(found)


def test_a_change_makes_a_slow_pause_quick_again() -> None:
    assert after_answer(USUAL, USUAL.slowest_s, Seen(changed=True, in_transit=False)) == 10.0


def test_failures_in_a_row_are_ever_further_apart() -> None:
    last_s, found = None, []
    for _ in range(12):
        last_s = after_failure(USUAL, last_s, CloudUnavailable("down"))
        found.append(last_s)
    assert found == sorted(found)
    assert (found[0], found[-1]) == (5.0, USUAL.slowest_s)


@pytest.mark.parametrize("asked_s", [42.0, 4000.0])
def test_a_pause_that_a_cloud_asks_for_is_kept_in_full(asked_s: float) -> None:
    assert after_failure(USUAL, None, Throttled("slowly", asked_s)) == asked_s


def test_a_refused_login_is_not_tried_often() -> None:
    assert after_failure(USUAL, None, Unauthorized("no")) == 60.0


def test_what_a_cloud_does_not_have_is_asked_for_once_an_hour() -> None:
    assert after_failure(USUAL, None, Unsupported("no such thing")) == 3600.0


def test_what_seldom_changes_is_asked_for_seldom() -> None:
    assert after_answer(pace_of("realms"), None, QUIET) > USUAL.slowest_s
