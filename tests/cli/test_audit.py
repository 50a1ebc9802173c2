"""`nimbi audit`: what the server has written down, as people and programs read it."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from click import UsageError
from tests.cli.conftest import Nimbi

from nimbi.cli.audit import moment


def test_what_was_done_is_listed_the_newest_first(nimbi: Nimbi) -> None:
    assert nimbi("tokens", "create", "seen-by-audit").exit_code == 0
    listed = nimbi("audit", "list", "--operation", "tokens.*", "--limit", "1")
    assert listed.exit_code == 0, listed.output
    assert "tokens.create" in listed.output
    (found,) = json.loads(nimbi("audit", "list", "--limit", "1", "-o", "json").output)
    assert (found["operation"], found["result"]) == ("tokens.create", "ok")
    assert found["address"]
    assert found["request_id"]
    assert found["details"]["name"] == "seen-by-audit"
    by_name = nimbi("audit", "list", "--user", found["name"], "--limit", "1", "-o", "json")
    assert json.loads(by_name.output) == [found]
    assert nimbi("audit", "list", "--limit", "1", "-o", "name").output.strip() == str(found["seq"])


def test_filters_that_nothing_fits_list_nothing(nimbi: Nimbi) -> None:
    assert nimbi("audit", "list", "--user", "nobody", "-o", "json").output.strip() == "[]"
    assert nimbi("audit", "list", "--since", "soon").exit_code == 2
    assert nimbi("audit", "list", "--until", "1d", "-o", "json").output.strip() == "[]"


def test_an_export_is_lines_of_json_or_cloud_events(nimbi: Nimbi) -> None:
    assert nimbi("tokens", "create", "exported").exit_code == 0
    plain = [json.loads(line) for line in nimbi("audit", "export").output.splitlines()]
    assert [each["seq"] for each in plain] == sorted(each["seq"] for each in plain)
    told = nimbi("audit", "export", "--form", "cloudevents").output
    assert {json.loads(line)["specversion"] for line in told.splitlines()} == {"1.0"}


def test_a_verification_tells_a_head_that_the_next_one_takes(nimbi: Nimbi) -> None:
    assert nimbi("tokens", "create", "verified").exit_code == 0
    head = nimbi("audit", "verify", "-o", "name")
    assert head.exit_code == 0
    assert nimbi("audit", "verify", "--expect", head.output.strip()).exit_code == 0
    number = head.output.partition(":")[0]
    other = nimbi("audit", "verify", "--expect", f"{number}:{'0' * 64}")
    assert other.exit_code == 1
    assert f"entry {number} has another hash than expected" in other.output


def test_the_young_is_not_removed(nimbi: Nimbi) -> None:
    assert nimbi("audit", "prune", "--before", "10d").exit_code == 14
    assert "removed: 0" in nimbi("audit", "prune", "--before", "31d").output


def test_times_are_read_as_people_write_them() -> None:
    ago = datetime.now(UTC) - datetime.fromisoformat(moment("90m"))
    assert timedelta(minutes=89) < ago < timedelta(minutes=91)
    assert moment("2030-01-31T12:00Z") == "2030-01-31T12:00:00+00:00"
    assert datetime.fromisoformat(moment("2030-01-31")).tzinfo is not None
    with pytest.raises(UsageError):
        moment("tomorrow")
