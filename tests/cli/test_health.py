"""`nimbi checks`, `objectives`, `alerts`, `replace` and `evacuate`, against a server."""

import json

from tests.cli.conftest import Nimbi


def test_a_check_and_its_objective_are_made_listed_and_removed(nimbi: Nimbi) -> None:
    asked = ("-a", "mock", "--instance", "inst0", "--state", "-o", "json")
    made = nimbi("checks", "create", "web", *asked)
    assert made.exit_code == 0, made.output
    id = json.loads(made.stdout)["id"]
    listed = nimbi("checks", "list")
    assert id in listed.stdout
    assert "mock:inst0" in listed.stdout
    goal = nimbi("objectives", "create", "shop", id, "--target", "99", "-o", "json")
    objective = json.loads(goal.stdout)["id"]
    assert "99 % over 30 days" in nimbi("objectives", "list").stdout
    assert nimbi("checks", "disable", id, "-o", "name").stdout.strip() == f"mock:{id}"
    assert nimbi("checks", "actions", id, "-o", "json").stdout.strip() == "[]"
    assert nimbi("objectives", "rm", objective).exit_code == 0
    assert nimbi("checks", "rm", f"mock:{id}").exit_code == 0
    assert nimbi("checks", "show", id).exit_code != 0


def test_a_check_is_asked_for_in_one_way(nimbi: Nimbi) -> None:
    for told in ((), ("--ssh", "--tcp")):
        refused = nimbi("checks", "create", "web", "-a", "mock", "--instance", "inst0", *told)
        assert refused.exit_code == 2
        assert "one way to ask" in refused.output


def test_alerts_are_silenced_and_the_silence_is_ended(nimbi: Nimbi) -> None:
    made = nimbi("alerts", "silence", "-a", "mock", "--comment", "we move", "-o", "json")
    assert made.exit_code == 0, made.output
    assert "we move" in nimbi("alerts", "silences").stdout
    assert nimbi("alerts", "list", "-o", "json").stdout.strip() == "[]"
    assert nimbi("alerts", "unsilence", json.loads(made.stdout)["id"]).exit_code == 0
    assert "we move" not in nimbi("alerts", "silences").stdout


def test_an_evacuation_needs_names_in_pairs(nimbi: Nimbi) -> None:
    refused = nimbi("evacuate", "-a", "mock", "--to", "other", "--image", "img1")
    assert (refused.exit_code, "OLD=NEW" in refused.output) == (2, True)
