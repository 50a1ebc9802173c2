"""Tables, forms and values as people read them."""

from datetime import UTC, datetime, timedelta

import pytest

from nimbi.cli.collections import readers
from nimbi.cli.columns import seconds, since, text
from nimbi.cli.forms import as_json, tell_one
from nimbi.cli.table import Table, visible, width


def test_what_a_terminal_would_act_upon_is_told_and_not_done() -> None:
    hostile = "\x1b]0;title\x07\x9b31m\u202egpj\r\n"
    assert visible(hostile).isprintable()
    [_, row] = Table(["NAME"]).lines([[hostile]])
    assert "\x1b" not in row
    assert all(c.isprintable() or c in "\n " for c in as_json({"name": hostile}))


def test_wide_characters_take_two_columns() -> None:
    assert width("日本") == 4
    lines = Table(["A", "B"]).lines([["日本", "x"], ["abcd", "y"]])
    assert [line[-1] for line in lines] == ["B", "x", "y"]
    assert width(lines[1]) == width(lines[2])


def test_a_line_does_not_end_in_blanks() -> None:
    assert Table(["A", "B"]).lines([["x", ""]])[1] == "x"


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, "-"),
        ([], "-"),
        (True, "yes"),
        (["a", "b"], "a, b"),
        ({"a": 1, "b": None}, "a=1"),
        ({"a": None}, "-"),
    ],
)
def test_values_read_well(value: object, told: str) -> None:
    assert text(value) == told


@pytest.mark.parametrize(
    ("count", "told"), [(0.4, "0s"), (119, "119s"), (120, "2m"), (7200, "2h"), (200_000, "2d")]
)
def test_time_spans_read_well(count: float, told: str) -> None:
    assert seconds(count) == told


def test_times_are_told_by_how_long_ago_they_are() -> None:
    assert since((datetime.now(UTC) - timedelta(hours=5)).isoformat()) == "5h"
    assert since(None) == "-"
    assert since("a while ago") == "a while ago"


def test_a_key_keeps_its_lines(capsys: pytest.CaptureFixture[str]) -> None:
    tell_one({"id": "k", "private_key": "-----\nabc\n-----\n"}, "table")
    assert "\nabc\n-----\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("told", "read"),
    [
        ("0-99", {"first": 0, "last": 99}),
        ("100-", {"first": 100, "last": None}),
        ("-5", {"first": -5, "last": None}),
    ],
)
def test_ranges_are_read(told: str, read: object) -> None:
    assert readers.byte_range(told) == read


@pytest.mark.parametrize(
    ("told", "kind"), [("10.0.0.0/8", "address"), ("::/0", "address"), ("group:web", "group")]
)
def test_sources_are_read(told: str, kind: str) -> None:
    assert readers.source(told)["type"] == kind


def test_times_are_read_as_moments_or_as_how_long_ago() -> None:
    assert datetime.fromisoformat(readers.moment("2h")) < datetime.now(UTC) - timedelta(minutes=119)
    assert readers.moment("2030-01-31T12:00:00+00:00") == "2030-01-31T12:00:00+00:00"
    with pytest.raises(ValueError, match="no time"):
        readers.moment("soon")
