"""Users, tenants, roles and grants by the command line, to a token that acts in a project."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Nimbi, Up


def told(nimbi: Nimbi, *words: str, input: str | None = None) -> Any:
    """Return what a command answers as JSON."""
    done = nimbi(*words, "-o", "json", input=input)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def done(nimbi: Nimbi, *words: str, input: str | None = None) -> str:
    """Return what a command says that goes well."""
    ended = nimbi(*words, input=input)
    assert ended.exit_code == 0, ended.output
    return str(ended.stdout)


def test_people_get_roles_sign_in_and_act_in_their_project(
    nimbi: Nimbi, up: Up, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    done(nimbi, "domains", "create", "acme", "--text", "All of ACME.")
    assert told(nimbi, "projects", "create", "web", "--in", "acme")["place"] == "acme/web"
    done(nimbi, "projects", "create", "ops", "--in", "acme")
    ann = told(nimbi, "users", "create", "ann", "--tenant", "acme", input="correct horse\n")
    done(nimbi, "groups", "create", "crew", "--tenant", "acme")
    done(nimbi, "groups", "add", "crew", "ann")
    assert told(nimbi, "groups", "get", "crew")["members"] == [ann["id"]]
    rules = ("--deny", "*.destroy", "--allow", "instances.*", "--allow", "tokens.*")
    done(nimbi, "roles", "create", "starter", *rules, "--allow", "read", "--tenant", "acme")
    done(nimbi, "grants", "create", "starter", "acme", "--group", "crew")
    (grant,) = told(nimbi, "grants", "list", "--user", "ann")
    assert grant["given_by"] == "admin"
    assert "starter" in done(nimbi, "roles", "list")
    # People read places and names, programs ids.
    assert "  acme  " in done(nimbi, "grants", "list")
    assert grant["tenant"] in done(nimbi, "grants", "list", "-o", "csv")
    assert "20" not in done(nimbi, "domains", "list").splitlines()[1]

    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    done(nimbi, "login", up.url(), "--user", "ann", input="correct horse\n")
    assert [one["place"] for one in told(nimbi, "projects", "list")] == ["acme/ops", "acme/web"]
    moved = nimbi("login", "--project", "acme/web")
    assert moved.stderr.splitlines()[-1] == "you are ann, acting in acme/web"
    assert [one["place"] for one in told(nimbi, "projects", "list")] == ["acme/web"]
    assert told(nimbi, "users", "list") == []
    refused = nimbi("users", "create", "bob", "--no-password")
    assert refused.exit_code != 0
    assert "users.create" in refused.stderr
    wrong = nimbi("login", up.url(), "--user", "ann", "--project", "acme/web", input="wrong\n")
    assert wrong.exit_code != 0
    assert nimbi("login", up.url(), "--user", "ann", "--sso").exit_code == 2
    assert nimbi("login", up.url(), "--project", "acme").exit_code == 2
    done(nimbi, "users", "password", input="correct horse\nanother horse\n")
    done(nimbi, "login", up.url(), "--user", "ann", input="another horse\n")


def test_an_account_is_lent_and_given_to_tenants(nimbi: Nimbi) -> None:
    done(nimbi, "domains", "create", "lab")
    done(nimbi, "projects", "create", "one", "--in", "lab")
    done(nimbi, "accounts", "lend", "mock", "--to", "lab/one")
    (lend,) = told(nimbi, "accounts", "lends", "mock")
    assert lend["account"] == "mock"
    done(nimbi, "limits", "set", "lab/one", "mock", "--price", "0.05")
    assert "0.05" in done(nimbi, "limits", "list", "lab/one")
    assert told(nimbi, "limits", "list", "lab/one")[0]["price_hour_micros"] == 50_000
    assert nimbi("limits", "set", "lab/one", "mock", "--price", "dear").exit_code == 2
    quotas = done(nimbi, "quotas", "set", "lab/one", "price_hour=2.50", "instances=3")
    assert ["price_hour", "0", "2.5"] in [line.split() for line in quotas.splitlines()]
    by_name = {each["resource"]: each for each in told(nimbi, "quotas", "of", "lab/one")}
    assert by_name["price_hour_micros"]["limit"] == 2_500_000
    done(nimbi, "quotas", "set", "lab/one", "price_hour=none")
    assert nimbi("quotas", "set", "lab/one", "price_hour=dear").exit_code == 2
    assert done(nimbi, "limits", "list") == ""
    budget = told(nimbi, "budgets", "create", "5", "EUR", "--tenant", "lab/one")
    assert budget["tenant"] == lend["tenant"]
    assert "lab/one" in done(nimbi, "budgets", "list")
    done(nimbi, "budgets", "rm", budget["id"])
    done(nimbi, "limits", "rm", "lab/one", "mock")
    done(nimbi, "accounts", "unlend", "mock", "--to", "lab/one")
    assert told(nimbi, "accounts", "lends", "mock") == []
    lab = told(nimbi, "domains", "get", "lab")["id"]
    assert told(nimbi, "accounts", "move", "mock", "--to", "lab")["tenant"] == lab
    done(nimbi, "accounts", "move", "mock", "--to", "root")
    done(nimbi, "projects", "change", "lab/one", "--name", "two", "--disable")
    done(nimbi, "projects", "move", "lab/two", "--to", "root")
    done(nimbi, "projects", "rm", "two")
    done(nimbi, "domains", "rm", "lab")


def test_a_service_account_has_tokens_and_no_password(nimbi: Nimbi) -> None:
    robot = told(nimbi, "users", "create", "robot", "--service")
    done(nimbi, "grants", "create", "auditor", "root", "--user", "robot")
    made = told(nimbi, "tokens", "create", "robot's", "--user", "robot")
    assert made["token"]["user"] == robot["id"]
    done(nimbi, "users", "change", "robot", "--email", "robots@acme.example")
    done(nimbi, "users", "disable", "robot")
    assert "disabled" in done(nimbi, "users", "list")
    done(nimbi, "users", "enable", "robot")
    done(nimbi, "users", "rm", "robot")
