"""The commands of collections, against a server with the mock cloud as an account."""

import csv
import io
import json
import re
from pathlib import Path

import click
import pytest
import yaml
from tests.cli.conftest import Nimbi

from nimbi.api.routes import ROUTES, ApiRoute
from nimbi.cli.collections.inputs import inputs_of
from nimbi.cli.collections.listing import part_text, tell_parts
from nimbi.cli.collections.operations import command_name, command_of, names_of
from nimbi.cli.collections.texts import SPECIAL, details_of, summary_of
from nimbi.cli.columns import COLUMNS
from nimbi.cli.errors import STATUSES
from nimbi.driver.capabilities import INTERFACES
from nimbi.model.errors import ERRORS

EVERY = pytest.mark.parametrize("route", list(ROUTES.values()), ids=lambda route: route.id)


@EVERY
def test_every_operation_is_a_command_that_teaches(route: ApiRoute) -> None:
    name = command_name(route)
    assert name in names_of(route.collection)
    command = command_of(route.collection, name)
    assert command is not None
    said = command.get_help(click.Context(command, info_name=name))
    assert summary_of(route).endswith(".")
    assert not re.match(r"(Return|Raises|Open) ", summary_of(route))
    assert "Examples:" in said
    assert "--server URL" in said


@EVERY
def test_no_flag_is_without_words_and_none_comes_twice(route: ApiRoute) -> None:
    assert [one.key for one in inputs_of(route) if not one.text and not one.in_path] == []
    command = command_of(route.collection, command_name(route))
    assert command is not None
    flags = [flag for p in command.params for flag in (*p.opts, *p.secondary_opts)]
    assert len(set(flags)) == len(flags)


def test_texts_and_columns_are_of_what_there_is() -> None:
    assert set(SPECIAL) <= set(ROUTES)
    assert set(COLUMNS) == {interface.name for interface in INTERFACES}


def test_the_help_tells_errors_by_their_status() -> None:
    told = " ".join(details_of(ROUTES["volumes.attach"]))
    assert f"conflict (status {STATUSES['conflict']})" in told


def test_every_error_has_a_status_of_its_own() -> None:
    codes = [error.code for error in ERRORS]
    assert set(codes) <= set(STATUSES)
    assert len({STATUSES[code] for code in codes}) == len(codes)


def test_a_list_lines_up_and_names_the_account(nimbi: Nimbi) -> None:
    head, *rows = nimbi("images", "list").output.splitlines()
    assert head.split()[:3] == ["ACCOUNT", "NAME", "ID"]
    at = head.index("ID")
    assert {row[at - 1] for row in rows} == {" "}
    assert all(row.startswith("mock") for row in rows)
    assert "\x1b" not in head


def test_a_list_is_told_in_all_forms(nimbi: Nimbi) -> None:
    told = json.loads(nimbi("images", "list", "-o", "json").output)
    ids = [item["id"] for item in told]
    assert yaml.safe_load(nimbi("images", "list", "-o", "yaml").output) == told
    assert nimbi("images", "list", "-o", "name").output.split() == [f"mock:{id}" for id in ids]
    rows = list(csv.DictReader(io.StringIO(nimbi("images", "list", "-o", "csv").output)))
    assert [row["id"] for row in rows] == ids


@pytest.mark.parametrize(("form", "empty"), [("json", "[]\n"), ("yaml", "[]\n"), ("name", "")])
def test_an_empty_list_is_one_in_its_form(nimbi: Nimbi, form: str, empty: str) -> None:
    done = nimbi("instances", "list", "--id", "nothing", "-o", form)
    assert (done.exit_code, done.stdout) == (0, empty)


def test_lists_are_filtered_sorted_and_cut(nimbi: Nimbi) -> None:
    done = nimbi("images", "list", "--name", "img*", "--sort", "-id", "--limit", "2", "-o", "name")
    assert done.stdout.split() == ["mock:img3", "mock:img2"]
    assert "more images than the 2 shown" in done.stderr


def test_an_instance_is_made_found_by_its_name_and_gone(nimbi: Nimbi) -> None:
    made = nimbi(
        "instances", "create", "--image", "img1", "--name", "shelf", "--wait", "-o", "json"
    )
    assert made.exit_code == 0, made.output
    item = json.loads(made.stdout)
    assert (item["account"], item["state"], item["image_id"]) == ("mock", "running", "img1")
    shown = nimbi("instances", "get", "shelf").output
    assert re.search(rf"^id: +{item['id']}$", shown, re.MULTILINE)
    assert nimbi("instances", "stop", "shelf", "--wait").exit_code == 0
    assert nimbi("instances", "destroy", f"mock:{item['id']}").exit_code == 0
    assert nimbi("instances", "get", item["id"], "-a", "mock").exit_code == STATUSES["not_found"]


def test_an_address_is_told_by_what_it_is(nimbi: Nimbi) -> None:
    made = nimbi("addresses", "create", "-a", "mock", "-o", "json")
    ip = json.loads(made.stdout)["ip"]
    assert json.loads(nimbi("addresses", "get", ip, "-o", "json").stdout)["ip"] == ip
    assert nimbi("addresses", "destroy", ip).exit_code == 0
    assert nimbi("addresses", "get", "-a", "mock", ip).exit_code == STATUSES["not_found"]


def test_several_things_are_done_one_by_one_and_the_first_failure_counts(nimbi: Nimbi) -> None:
    done = nimbi("instances", "reboot", "inst0", "nope", "inst1", "-a", "mock")
    assert done.exit_code == STATUSES["not_found"]
    assert [line for line in done.stderr.splitlines() if "not found" in line] == [
        line for line in done.stderr.splitlines() if line.startswith("nope:")
    ]


def test_a_rehearsal_changes_nothing(nimbi: Nimbi) -> None:
    before = nimbi("instances", "list", "-o", "name", "--fresh").output
    done = nimbi("instances", "create", "--image", "img1", "--name", "never", "--dry-run")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "nothing was done" in done.stderr
    assert nimbi("instances", "list", "-o", "name", "--fresh").output == before
    wrong = nimbi("instances", "create", "--image", "nope", "--dry-run")
    assert wrong.exit_code == STATUSES["not_found"]


def test_the_same_key_twice_makes_one_thing(nimbi: Nimbi) -> None:
    words = ("volumes", "create", "--size-gib", "1", "--idempotency-key", "k1", "-o", "name")
    assert nimbi(*words).output == nimbi(*words).output


def test_rules_are_written_as_people_say_them(nimbi: Nimbi) -> None:
    assert nimbi("firewalls", "create", "door", "--description", "x").exit_code == 0
    words = ("firewalls", "create-rule", "door", "--protocol", "tcp", "--port", "8000-8010")
    done = nimbi(*words, "--source", "10.0.0.0/8", "--source", "any", "-o", "json")
    assert done.exit_code == 0, done.output
    [rule] = json.loads(done.stdout)["rules"]
    assert (rule["port_from"], rule["port_to"]) == (8000, 8010)
    assert [s["address"] for s in rule["sources"]] == ["10.0.0.0", "0.0.0.0"]
    assert "tcp 8000-8010 from 10.0.0.0/8+0.0.0.0/0" in nimbi("firewalls", "list").output


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["instances", "create", "--nmae", "x"], "--name"),
        (["instances", "create", "--cpus", "many"], "many"),
        (["instances", "strat", "x"], "start"),
        (["instances", "create", "--volume", "dvice=/dev/vdb"], "there is no 'dvice' in it"),
        (["instances", "create", "--tag", "x"], "not NAME=VALUE"),
        (["firewalls", "create-rule", "x", "--protocol", "tcp", "--source", "there"], "no source"),
        (["load-balancers", "create", "x", "--listener", "http"], "no listener"),
        (["blobs", "read", "b", "k", "--range", "1,2"], "no range"),
        (["instances", "list", "--tag", "x"], "not NAME=VALUE"),
        (["images", "list", "-o", "xml"], "xml"),
    ],
)
def test_wrong_use_is_told_with_what_is_right(nimbi: Nimbi, words: list[str], told: str) -> None:
    done = nimbi(*words)
    assert done.exit_code == 2
    assert told in done.output


def test_refusals_end_with_the_status_of_their_kind_and_one_line(nimbi: Nimbi) -> None:
    done = nimbi("instances", "destroy", "inst0")
    assert done.exit_code == STATUSES["conflict"]
    assert done.output.startswith("conflict: ")
    assert len(done.output.splitlines()) == 1


def test_an_account_that_is_not_there_is_not_found(nimbi: Nimbi) -> None:
    assert nimbi("instances", "list", "-a", "nowhere").exit_code == STATUSES["not_found"]


def test_contents_are_written_and_read_in_parts(nimbi: Nimbi, tmp_path: Path) -> None:
    file = tmp_path / "in.txt"
    file.write_bytes(b"0123456789")
    words = ("blobs", "write", "bucket1", "some/key", str(file), "--metadata", "Of=tests")
    done = nimbi(*words, "--content-type", "text/x-test", "-o", "json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["size_bytes"], told["content_type"]) == (10, "text/x-test")
    into = tmp_path / "out.txt"
    assert nimbi("blobs", "read", "bucket1", "some/key", "--into", str(into)).exit_code == 0
    assert into.read_bytes() == b"0123456789"
    assert nimbi("blobs", "read", "bucket1", "some/key", "--range", "2-4").output == "234"
    listed = nimbi("blobs", "list", "mock:bucket1", "--prefix", "some/", "-o", "json").output
    assert [item["id"] for item in json.loads(listed)] == ["some/key"]
    assert nimbi("blobs", "destroy", "bucket1", "some/key").exit_code == 0


def part(account: str, state: str, code: str | None = None) -> dict[str, object]:
    problem = {"code": code, "message": "words"} if code else None
    return {"account": account, "state": state, "problem": problem, "age_s": 200.0}


@pytest.mark.parametrize(
    ("parts", "status"),
    [
        ([part("a", "ok"), part("b", "stale", "timeout")], 3),
        ([part("a", "ok"), part("b", "failed", "throttled")], 3),
        ([part("a", "failed", "timeout"), part("b", "failed", "throttled")], 3),
        ([part("a", "failed", "timeout"), part("b", "failed", "timeout")], STATUSES["timeout"]),
        ([part("a", "partial", "timeout")], 3),
    ],
)
def test_a_list_that_lacks_something_says_so_by_its_status(
    parts: list[dict[str, object]], status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        tell_parts({str(one["account"]): one for one in parts})
    assert ended.value.code == status
    bad = [one for one in parts if one["state"] != "ok"]
    assert len(capsys.readouterr().err.splitlines()) == len(bad)


def test_a_whole_list_ends_well() -> None:
    tell_parts({"a": part("a", "ok")})


def test_a_stale_part_tells_its_age() -> None:
    assert part_text(part("a", "stale", "timeout")) == "a is stale, 3m old: timeout: words"
