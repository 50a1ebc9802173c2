"""Jobs and schedules on the command line."""

import json

from tests.cli.conftest import Nimbi

from nimbi.cli.errors import INCOMPLETE, STATUSES

IMAGE = ("--image", "img1", "--no-key")


def test_a_launch_of_several_is_a_job(nimbi: Nimbi) -> None:
    made = nimbi("launch", "row", *IMAGE, "--count", "3", "--wait", "--lease", "8h", "-o", "json")
    assert made.exit_code == 0, made.output
    assert sorted(item["name"] for item in json.loads(made.stdout)) == ["row-1", "row-2", "row-3"]
    listed = json.loads(nimbi("jobs", "list", "--kind", "launch", "-o", "json").stdout)
    assert listed[0]["title"] == "launch row x 3"
    assert nimbi("jobs", "show", listed[0]["id"][:6]).exit_code == 0
    assert "made row-1 (" in nimbi("jobs", "log", listed[0]["id"][:6]).stdout
    shown = nimbi("jobs", "list")
    assert "100%" in shown.stdout
    assert "done" in shown.stdout
    lease = json.loads(nimbi("schedules", "list", "-o", "json").stdout)[-1]
    assert lease["at"]
    ended = nimbi("schedules", "run", lease["id"], "-o", "json")
    job = json.loads(ended.stdout)["id"]
    assert nimbi("jobs", "wait", job).exit_code == 0
    names = {i["name"] for i in json.loads(nimbi("instances", "list", "-o", "json").stdout)}
    assert not names & {"row-1", "row-2", "row-3"}
    assert "3 things" in nimbi("jobs", "log", job).stdout
    assert nimbi("schedules", "rm", lease["id"]).exit_code == 0


def test_a_job_that_is_left_to_the_server_is_waited_for_later(nimbi: Nimbi) -> None:
    left = nimbi("launch", "left", *IMAGE, "--answers", "agent", "--patience", "1", "--detach")
    assert left.exit_code == 0, left.output
    id = left.stderr.rsplit(maxsplit=1)[-1]
    waited = nimbi("jobs", "wait", id)
    assert waited.exit_code == STATUSES["timeout"]
    assert nimbi("jobs", "watch", id).exit_code == STATUSES["timeout"]
    assert id in nimbi("jobs", "watch").stdout
    bulk = {"action": "instances.destroy", "choice": {"filters": {"name_prefix": "left"}}}
    done = nimbi("jobs", "start", "bulk", json.dumps(bulk), "--wait", "-o", "json")
    assert len(json.loads(done.stdout)["result"]["done"]) == 1


def test_one_thing_is_done_to_many(nimbi: Nimbi) -> None:
    assert nimbi("launch", "many", *IMAGE, "--count", "2", "--wait").exit_code == 0
    done = nimbi("jobs", "bulk", "instances.destroy", "--name-prefix", "many", "--wait")
    assert done.exit_code == 0, done.output
    assert "title:" in done.stdout
    assert "many" not in nimbi("instances", "list").stdout
    assert nimbi("jobs", "bulk", "instances.destroy").exit_code == 2


def test_what_is_partly_done_says_so(nimbi: Nimbi) -> None:
    account = json.loads(nimbi("accounts", "list", "-o", "json").stdout)[0]["id"]
    bulk = {"action": "instances.stop", "targets": [{"account": account, "id": "none"}]}
    done = nimbi("jobs", "start", "bulk", json.dumps(bulk), "--wait")
    assert done.exit_code == INCOMPLETE


def test_a_job_is_cancelled(nimbi: Nimbi) -> None:
    left = nimbi("launch", "gone", *IMAGE, "--answers", "agent", "--detach")
    id = left.stderr.rsplit(maxsplit=1)[-1]
    done = nimbi("jobs", "cancel", id, "--wait", "-o", "json")
    assert json.loads(done.stdout)["state"] == "cancelled"
    assert "gone" not in nimbi("instances", "list").stdout


def test_off_at_night_is_two_schedules(nimbi: Nimbi) -> None:
    words = ("--from", "19:30", "--days", "mon-fri", "--zone", "Europe/Berlin", "--tag", "env=dev")
    made = json.loads(nimbi("schedules", "off-at-night", *words, "-o", "json").stdout)
    assert [item["cron"] for item in made] == ["30 19 * * mon-fri", "0 7 * * mon-fri"]
    times = nimbi("schedules", "times", made[0]["id"], "--count", "2").stdout.splitlines()
    assert [line[15:20] for line in times] == ["19:30", "19:30"]
    assert nimbi("schedules", "pause", made[0]["id"]).exit_code == 0
    assert "paused" in nimbi("schedules", "list").stdout
    assert nimbi("schedules", "resume", made[0]["id"]).exit_code == 0
    later = nimbi("schedules", "update", made[0]["id"], "--cron", "0 22 * * *", "-o", "json")
    assert json.loads(later.stdout)["cron"] == "0 22 * * *"
    assert nimbi("schedules", "rm", *(item["id"] for item in made)).exit_code == 0


def test_what_cannot_be_meant_is_refused(nimbi: Nimbi) -> None:
    for words in (
        ("schedules", "off-at-night"),
        ("schedules", "off-at-night", "--all", "--from", "25:00"),
        ("schedules", "update", "x"),
        ("jobs", "start", "bulk", "{"),
        ("launch", "x", *IMAGE, "--answers", "telnet"),
        ("launch", "x", *IMAGE, "--lease", "soon"),
    ):
        assert nimbi(*words).exit_code == 2, words
    assert nimbi("jobs", "show", "none").exit_code == STATUSES["not_found"]
    assert nimbi("jobs", "kinds").exit_code == 0
