"""When schedules are due, over changes to daylight saving too."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nimbi.broker.work.times import check_cron, next_due, zone_of
from nimbi.model.errors import Invalid

BERLIN = ZoneInfo("Europe/Berlin")
MINUTE = timedelta(minutes=1)


def times(cron: str, begin: str, count: int, zone: ZoneInfo = BERLIN) -> list[str]:
    """Return the next times, as the clocks there show them."""
    at, found = datetime.fromisoformat(begin), []
    for _ in range(count):
        at = next_due(cron, zone, at)
        found.append(at.astimezone(zone).strftime("%d %H:%M %z"))
    return found


def test_a_time_that_is_left_out_is_at_the_change() -> None:
    found = times("30 2 * * *", "2026-03-28T12:00Z", 2)
    assert found == ["29 03:00 +0200", "30 02:30 +0200"]


def test_several_times_that_are_left_out_are_one() -> None:
    found = times("10,30,50 2 * * *", "2026-03-28T12:00Z", 2)
    assert found == ["29 03:00 +0200", "30 02:10 +0200"]


def test_a_time_that_comes_twice_counts_once() -> None:
    found = times("30 2 * * *", "2026-10-24T12:00Z", 2)
    assert found == ["25 02:30 +0200", "26 02:30 +0100"]


def test_after_the_first_of_two_the_second_does_not_count() -> None:
    assert times("30 2 * * *", "2026-10-25T00:31Z", 1) == ["26 02:30 +0100"]
    assert times("30 2 * * *", "2026-10-25T01:10Z", 1) == ["26 02:30 +0100"]


def test_what_goes_by_time_counts_each_as_it_passes() -> None:
    assert times("*/30 * * * *", "2026-10-25T00:10Z", 4) == [
        "25 02:30 +0200",
        "25 02:00 +0100",
        "25 02:30 +0100",
        "25 03:00 +0100",
    ]
    assert times("*/30 * * * *", "2026-03-29T00:10Z", 3) == [
        "29 01:30 +0100",
        "29 03:00 +0200",
        "29 03:30 +0200",
    ]


def test_what_goes_by_time_skips_an_hour_that_is_left_out() -> None:
    assert times("* 2 * * sun", "2026-03-28T12:00Z", 1) == ["05 02:00 +0200"]


def test_half_an_hour_may_be_left_out_too() -> None:
    lord_howe = ZoneInfo("Australia/Lord_Howe")
    assert times("15 2 * * *", "2026-10-03T12:00Z", 1, lord_howe) == ["04 02:30 +1100"]


@pytest.mark.parametrize(
    "wrong",
    ["", "* * * *", "* * * * * *", "@daily", "H * * * *", "60 * * * *", "*/0 * * * *", "x y z a b"],
)
def test_what_is_no_expression_is_refused(wrong: str) -> None:
    with pytest.raises(Invalid, match="no cron expression"):
        check_cron(wrong)


def test_what_is_never_due_is_refused() -> None:
    for never in ("0 0 30 2 *", "* * 31 4 *"):
        with pytest.raises(Invalid, match="never due"):
            next_due(never, BERLIN, datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    "wrong", ["", "Mars/Olympus", "../../etc/passwd", "/etc/localtime", "a" * 99]
)
def test_what_is_no_time_zone_is_refused(wrong: str) -> None:
    with pytest.raises(Invalid, match="no time zone"):
        zone_of(wrong)


MINUTES = st.integers(0, 59)
HOURS = st.integers(0, 23)
ZONES = st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"])
# Around the changes of these zones, and elsewhere.
MOMENTS = st.sampled_from(
    [
        "2026-03-28T20:00Z",
        "2026-10-24T20:00Z",
        "2026-03-08T00:00Z",
        "2026-11-01T00:00Z",
        "2026-04-04T10:00Z",
        "2026-10-03T10:00Z",
        "2026-06-01T00:00Z",
    ]
)


@settings(max_examples=60, deadline=None)
@given(ZONES, MOMENTS, MINUTES, HOURS, st.integers(0, 1000))
def test_a_daily_time_counts_once_a_day(
    zone: str, begin: str, minute: int, hour: int, later: int
) -> None:
    where = ZoneInfo(zone)
    at = datetime.fromisoformat(begin) + later * MINUTE
    days = []
    for _ in range(3):
        at = next_due(f"{minute} {hour} * * *", where, at)
        days.append(at.astimezone(where).date())
    assert days == [days[0] + timedelta(days=n) for n in range(3)]


@settings(max_examples=60, deadline=None)
@given(ZONES, MOMENTS, st.sampled_from([5, 7, 15, 20]), st.integers(0, 1000))
def test_what_goes_by_time_is_when_clocks_show_it(
    zone: str, begin: str, step: int, later: int
) -> None:
    where = ZoneInfo(zone)
    at = datetime.fromisoformat(begin) + later * MINUTE
    found = next_due(f"*/{step} * * * *", where, at)
    moment = at + MINUTE
    while moment.astimezone(where).minute % step:
        moment += MINUTE
    assert found == moment
