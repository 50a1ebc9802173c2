"""`nimbi up` for somebody who never used Nimbi, and the commands without any server."""

import json
import os
import signal
import stat
import urllib.request
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.cli.conftest import Nimbi, Up, own_environment, run_up

from nimbi.cli.here import settings_here
from nimbi.cli.main import main


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the home of somebody for whom no server runs."""
    environment = own_environment(tmp_path)
    for name in set(os.environ) - set(environment):
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return tmp_path


def test_all_that_is_secret_is_for_its_user_alone(up: Up) -> None:
    assert stat.S_IMODE(up.state.stat().st_mode) == 0o700
    for name in ("token", "admin-password", "nimbi.key", "nimbi.db", "up.json"):
        assert stat.S_IMODE((up.state / name).stat().st_mode) == 0o600, name


def test_it_tells_where_all_is_and_no_secret(up: Up) -> None:
    said = (up.home / "up.log").read_text()
    for name in ("token", "admin-password"):
        assert str(up.state / name) in said
        assert (up.state / name).read_text().strip() not in said
    assert f"{up.url()}/v1/docs" in said
    assert "account mock (mock): ok" in said


def test_a_second_one_says_where_the_first_is(nimbi: Nimbi, up: Up) -> None:
    done = nimbi("up")
    assert (done.exit_code, done.output) == (0, f"Nimbi is up already: {up.url()}\n")


def test_commands_find_the_server_that_runs(nimbi: Nimbi) -> None:
    done = nimbi("accounts", "list", "-o", "json")
    assert [account["id"] for account in json.loads(done.output)] == ["mock"]


def test_a_port_in_use_is_told_in_one_line(up: Up, alone: Path) -> None:
    port = up.url().rpartition(":")[2]
    done = CliRunner().invoke(main, ["up", "--port", port])
    assert done.exit_code == 1
    assert done.output == f"cannot listen on 127.0.0.1:{port}: the port is in use\n"


def test_it_ends_by_a_signal_comes_again_and_knows_what_it_knew(tmp_path: Path) -> None:
    first = run_up(tmp_path / "home", "--mock")
    token = (first.state / "token").read_text()
    asks = {"Authorization": f"Bearer {token.strip()}", "Accept": "text/event-stream"}
    request = urllib.request.Request(f"{first.url()}/v1/events", headers=asks)
    # A stream that never ends holds nothing up.
    with urllib.request.urlopen(request, timeout=30) as stream:
        assert stream.readline().startswith(b"id: ")
        first.process.send_signal(signal.SIGINT)
        assert first.process.wait(timeout=30) == 0
    assert not (first.state / "up.json").exists()
    again = run_up(tmp_path / "home")
    try:
        assert (again.state / "token").read_text() == token
        assert "account mock (mock): ok" in (again.home / "up.log").read_text()
    finally:
        again.process.terminate()
        again.process.wait(timeout=30)


def test_without_a_server_commands_do_the_work_themselves(alone: Path) -> None:
    login = alone / "login.json"
    login.write_text('{"user": "mockuser", "password": "mockpassword"}')
    words = ["accounts", "add", "mock", "--driver", "mock", "--credentials", str(login)]
    added = CliRunner().invoke(main, words)
    assert added.exit_code == 0, added.output
    made = CliRunner().invoke(main, ["launch", "web", "--image", "img1", "-o", "name"])
    assert made.exit_code == 0, made.output
    listed = CliRunner().invoke(main, ["instances", "list", "--name", "web", "-o", "name"])
    assert listed.stdout == made.stdout
    assert (alone / "state" / "nimbi" / "nimbi.log").exists()


def test_what_is_told_wins_over_what_is_usual(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (settings_here().host, settings_here().private_endpoints) == ("127.0.0.1", True)
    monkeypatch.setenv("NIMBI_PRIVATE_ENDPOINTS", "false")
    monkeypatch.setenv("API_HOST", "localhost")
    assert (settings_here().host, settings_here().private_endpoints) == ("localhost", False)
    file = alone / "nimbi.toml"
    file.write_text('[drivers.mock]\nstorage = "/elsewhere"\n')
    assert settings_here(config=file).drivers["mock"] == {"storage": "/elsewhere"}


def test_old_keys_are_dropped_once_nothing_is_encrypted_by_them(alone: Path) -> None:
    run, login = CliRunner().invoke, json.dumps({"user": "mockuser", "password": "mockpassword"})
    add = ["accounts", "add", "mine", "--driver", "mock", "--credentials", "-"]
    assert run(main, add, input=login).exit_code == 0
    rotated = run(main, ["operator-key", "rotate", "--drop"])
    assert (rotated.exit_code, "encrypted anew" in rotated.output) == (0, True)
    assert "opens" not in run(main, ["operator-key", "show"]).output
    assert run(main, ["accounts", "test", "mine"]).exit_code == 0
