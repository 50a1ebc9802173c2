"""Accounts, tokens, webhooks, events, and all that concerns the server as a whole."""

import json
import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.conftest import Nimbi

from nimbi.cli.columns import NONE
from nimbi.cli.errors import STATUSES
from nimbi.cli.events import line
from nimbi.cli.following import read_events
from nimbi.cli.ssh import endpoint, ssh_words
from nimbi.cli.top import busy_of

LOGIN = '{"user": "mockuser", "password": "mockpassword"}'
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ3PqxVrfUTzNJwxKVmvUTzG0mLMjBVUK0lO2YCTHjCa"


@pytest.fixture
def other(nimbi: Nimbi) -> Iterator[str]:
    """Give the name of an account beside the first one."""
    words = ("accounts", "add", "other", "--driver", "mock", "--credentials", "-")
    assert nimbi(*words, input=LOGIN).exit_code == 0
    yield "other"
    assert nimbi("accounts", "rm", "other", "--force", "--yes").exit_code == 0


def test_a_login_that_the_cloud_refuses_is_not_kept(nimbi: Nimbi) -> None:
    words = ("accounts", "add", "bad", "--driver", "mock", "--credentials", "-")
    done = nimbi(*words, input='{"user": "mockuser", "password": "s3cret-of-mine"}')
    assert done.exit_code in {STATUSES["invalid"], STATUSES["unauthorized"]}
    assert "s3cret-of-mine" not in done.output
    assert nimbi("accounts", "get", "bad").exit_code == STATUSES["not_found"]


def test_a_login_that_is_no_json_is_not_repeated(nimbi: Nimbi) -> None:
    words = ("accounts", "add", "bad", "--driver", "mock", "--credentials", "-")
    done = nimbi(*words, input="password=s3cret-of-mine")
    assert done.exit_code == 2
    assert "s3cret-of-mine" not in done.output


def test_one_account_is_meant_when_there_is_one_and_told_when_there_are_two(
    nimbi: Nimbi, other: str
) -> None:
    done = nimbi("volumes", "create", "--size-gib", "1")
    assert done.exit_code == 2
    assert "mock, other" in done.output
    assert nimbi("volumes", "create", "--size-gib", "1", "-a", other).exit_code == 0


def test_a_thing_of_several_accounts_is_told_with_them(nimbi: Nimbi, other: str) -> None:
    done = nimbi("instances", "get", "inst0", "--output", "name")
    assert done.exit_code == STATUSES["conflict"]
    assert "mock:inst0" in done.output
    assert "other:inst0" in done.output
    assert nimbi("instances", "get", "other:inst0", "-o", "name").output == "other:inst0\n"


def test_a_list_is_over_all_accounts_or_those_named(nimbi: Nimbi, other: str) -> None:
    every = nimbi("images", "list", "-o", "name").output.split()
    assert {name.partition(":")[0] for name in every} == {"mock", "other"}
    named = nimbi("images", "list", "-a", other, "-o", "name").output.split()
    assert named == [name for name in every if name.startswith("other:")]


def test_a_disabled_account_is_not_used(nimbi: Nimbi, other: str) -> None:
    assert "disabled" in nimbi("accounts", "disable", other).output
    assert nimbi("instances", "get", "other:inst0").exit_code == STATUSES["conflict"]
    assert "disabled" not in nimbi("accounts", "enable", other).output


def test_launching_in_several_accounts_tells_those_that_failed(nimbi: Nimbi, other: str) -> None:
    words = ("launch", "-a", "mock", "-a", other, "-a", "nowhere", "--image", "img1")
    done = nimbi(*words, "--wait", "-o", "json")
    assert done.exit_code == STATUSES["not_found"]
    assert "nowhere: not found" in done.stderr
    started = json.loads(done.stdout)
    assert [(item["account"], item["state"]) for item in started] == [
        ("mock", "running"),
        ("other", "running"),
    ]


def test_launching_without_an_image_tells_which_there_are(nimbi: Nimbi) -> None:
    done = nimbi("launch", "web")
    assert done.exit_code == 2
    assert "img1" in done.output
    assert nimbi("launch", "web", "--image", "img*").exit_code == STATUSES["conflict"]
    assert nimbi("launch", "web", "--image", "no*").exit_code == STATUSES["not_found"]


def test_one_s_own_key_may_log_in_to_what_one_launches(nimbi: Nimbi, home: Path) -> None:
    folder = home / ".ssh"
    folder.mkdir()
    (folder / "id_ed25519.pub").write_text(f"{PUBLIC_KEY} me@here\n")
    words = ("launch", "--image", "img1", "-o", "json")
    try:
        before = nimbi("keys", "list", "--fresh", "-o", "name").output
        assert nimbi(*words, "--dry-run").exit_code == 0
        assert nimbi("keys", "list", "--fresh", "-o", "name").output == before
        keys = {json.loads(nimbi(*words).stdout)[0]["login"]["key_id"] for _ in range(2)}
        (key,) = keys
        assert key.startswith("id_ed25519-")
        assert json.loads(nimbi(*words, "--no-key").stdout)[0]["login"] is None
    finally:
        shutil.rmtree(folder)


def test_a_token_may_do_what_it_is_for_until_it_is_revoked(nimbi: Nimbi, tmp_path: Path) -> None:
    file = tmp_path / "ci.token"
    assert nimbi("tokens", "create", "ci", "--scope", "read", "--into", str(file)).exit_code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert nimbi("instances", "list", "--token-file", str(file)).exit_code == 0
    words = ("volumes", "create", "--size-gib", "1", "--token-file", str(file))
    assert nimbi(*words).exit_code == STATUSES["forbidden"]
    told = nimbi("tokens", "list", "-o", "json").output
    assert file.read_text().strip() not in told
    [id] = [token["id"] for token in json.loads(told) if token["name"] == "ci"]
    assert nimbi("tokens", "revoke", id).exit_code == 0
    done = nimbi("instances", "list", "--token-file", str(file))
    assert done.exit_code == STATUSES["unauthorized"]


def test_a_login_elsewhere_is_kept_once_the_server_takes_it(nimbi: Nimbi, home: Path) -> None:
    url = json.loads((home / "state" / "nimbi" / "up.json").read_text())["url"]
    token = (home / "state" / "nimbi" / "token").read_text()
    config = home / "config" / "nimbi" / "config.toml"
    assert nimbi("login", url, input="nimbi_wrong").exit_code == STATUSES["unauthorized"]
    assert not config.exists()
    try:
        assert nimbi("login", url, "--account", "mock", input=token).exit_code == 0
        assert stat.S_IMODE(config.stat().st_mode) == 0o600
        assert token.strip() not in config.read_text()
        assert nimbi("instances", "get", "inst0", "-o", "name").output == "mock:inst0\n"
        assert nimbi("login", "--forget").exit_code == 0
        assert "server" not in config.read_text()
    finally:
        config.unlink(missing_ok=True)


def test_a_config_file_that_is_wrong_is_told_in_one_line(nimbi: Nimbi, home: Path) -> None:
    config = home / "config" / "nimbi" / "config.toml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text('sever = "x"\n')
    try:
        done = nimbi("instances", "list")
        assert done.exit_code == 1
        assert re.fullmatch(r".*unknown key 'sever'; there are: .*\n", done.output)
    finally:
        config.unlink()


def test_a_server_that_is_not_there_is_unavailable(nimbi: Nimbi) -> None:
    done = nimbi("instances", "list", "--server", "http://127.0.0.1:1")
    assert done.exit_code == STATUSES["cloud_unavailable"]
    assert len(done.output.splitlines()) == 1


def test_events_tell_what_was_made(nimbi: Nimbi) -> None:
    assert nimbi("buckets", "create", "told-of").exit_code == 0
    lines = nimbi("events", "--no-follow", "--collection", "buckets").output.splitlines()
    assert any("buckets told-of told-of appeared" in line for line in lines)


def test_events_of_a_stream_are_read_whole_however_they_come() -> None:
    stream = b'retry: 2000\n\n: nothing new\n\nid: 7\nevent: changed\ndata: {"id":7}\n\n'
    pieces = iter([stream[:40], stream[40:50], stream[50:]])
    assert list(read_events(pieces)) == [{"id": 7}]


def test_an_event_is_one_line() -> None:
    event = {
        "at": "2030-01-31T12:00:03Z",
        "account": "aws",
        "collection": "instances",
        "thing_id": "i-1",
        "kind": "changed",
        "state": "running",
        "body": {"name": "web\x1b[2J"},
    }
    assert line(event) == "12:00:03 aws instances i-1 web\\x1b[2J changed running"


def test_top_shows_accounts_and_machines(nimbi: Nimbi) -> None:
    said = nimbi("top", "--once").output
    assert re.search(r"^mock +ok ", said, re.MULTILINE)
    assert "inst0" in said
    assert re.search(r"inst0 .* \d+%$", said, re.MULTILINE)


def test_how_busy_a_machine_is_is_its_last_sample_of_percent() -> None:
    series = [{"unit": "percent", "average": 3.0}, {"unit": "percent", "average": 41.7}]
    assert busy_of({"series": [{"name": "cpu", "samples": series}]}) == "42%"
    assert busy_of({"series": []}) == NONE


@pytest.mark.parametrize(
    ("item", "told"),
    [
        ({"public_addresses": [{"address": "a", "kind": "ipv4", "port": None}]}, ("a", 22)),
        (
            {
                "public_addresses": [{"address": "a", "kind": "ipv4", "port": 8080}],
                "login": {"port": 2222},
            },
            ("a", 2222),
        ),
        (
            {
                "public_addresses": [{"address": "a", "kind": "ipv4", "port": 8080}],
                "private_addresses": [{"address": "b", "kind": "ipv4", "port": None}],
            },
            ("b", 22),
        ),
        ({"public_addresses": [{"address": "m", "kind": "mac", "port": None}]}, (None, 22)),
    ],
)
def test_ssh_goes_where_an_instance_takes_it(
    item: dict[str, object], told: tuple[str | None, int]
) -> None:
    assert endpoint(item) == told


def test_an_address_cannot_be_an_option_of_ssh() -> None:
    words = ssh_words("aws:i-1", "-oProxyCommand=evil", 22, "root", None)
    assert words[-2:] == ["--", "-oProxyCommand=evil"]


def test_a_backup_is_for_its_user_alone_and_can_be_restored(nimbi: Nimbi, tmp_path: Path) -> None:
    file = tmp_path / "nimbi.backup"
    assert nimbi("backup", str(file)).exit_code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    database = f"sqlite:///{tmp_path / 'other.db'}"
    assert nimbi("restore", "--database", database, str(file)).exit_code == 0
    again = nimbi("restore", "--database", database, str(file))
    assert (again.exit_code, "say --yes" in again.output) == (2, True)
    missing = nimbi("restore", "--yes", "--database", database, str(tmp_path / "none"))
    assert (missing.exit_code, len(missing.output.splitlines())) == (1, 1)


def test_the_operator_s_key_is_rotated_while_the_server_runs(nimbi: Nimbi, home: Path) -> None:
    file = home / "state" / "nimbi" / "nimbi.key"
    before = file.read_text()
    assert nimbi("operator-key", "rotate").exit_code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text().endswith(before)
    assert nimbi("accounts", "test", "mock").exit_code == 0
    shown = nimbi("operator-key", "show").output
    assert f"current  {file.read_text().partition(':')[0]}" in shown
    assert file.read_text().partition(":")[2].splitlines()[0] not in shown


def test_completion_has_live_names(nimbi: Nimbi) -> None:
    from nimbi.cli.completion import account_names, place_names, thing_names

    assert account_names("mo") == ["mock"]
    assert place_names("mo") == ["mock:"]
    assert "mock:bucket1/" in place_names("mock:buck")
    assert "img2" in thing_names("images", ("mock",), "img")
    for shell in ("bash", "zsh", "fish"):
        assert "_NIMBI_COMPLETE" in nimbi("completion", shell).output


def test_completion_is_silent_when_nothing_answers(
    nimbi: Nimbi, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nimbi.cli.completion import account_names

    monkeypatch.setenv("NIMBI_SERVER", "http://127.0.0.1:1")
    assert account_names("") == []
