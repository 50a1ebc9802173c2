"""The command `deltacloudd` takes what the original took."""

import os
import select
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from nimbi.cli import daemon
from nimbi.cli.daemon import Daemon, DaemonError, ids
from nimbi.cli.deltacloudd import OPTIONS, main
from nimbi.cli.yaml_config import read_config
from nimbi.settings import SETTINGS, SettingsError

PROGRAM = Path(sys.executable).with_name("deltacloudd")

# The original's flags, from its own help.
FLAGS = (
    "-i --driver -r --hostname -p --port -P --provider -f --frontends -c --config -e --env "
    "-d --daemon -u --user -g --group -b --pid -l --drivers -L --log --logdir -s --ssl "
    "-k --ssl-key -C --ssl-cert -t --timeout -V --verbose -w --webrick"
)


@pytest.fixture(autouse=True)
def _own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for setting in SETTINGS.values():
        monkeypatch.delenv(setting.env, raising=False)
    monkeypatch.setenv("NIMBI_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("HOME", str(tmp_path))


def deltacloudd(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def test_it_has_the_flags_of_the_original() -> None:
    assert sorted(flag for option in OPTIONS for flag in option.opts) == sorted(FLAGS.split())


def test_drivers_are_listed() -> None:
    done = deltacloudd("-l")
    assert done.exit_code == 0
    assert done.output.splitlines()[0] == "Available drivers:"
    assert "mock" in done.output


def test_a_driver_is_needed() -> None:
    done = deltacloudd()
    assert done.exit_code == 1
    assert done.output == "You need to specify a driver to use (-i <driver>)\n"


def test_an_unknown_front_end_is_refused() -> None:
    done = deltacloudd("-i", "mock", "-f", "deltacloud,nope")
    assert done.exit_code == 1
    assert "unknown front end 'nope'" in done.output


def test_https_needs_key_and_certificate() -> None:
    done = deltacloudd("-i", "mock", "-s", "-k", "key.pem")
    assert done.exit_code == 1
    assert "a key (-k) and a certificate (-C)" in done.output


def test_only_root_becomes_another_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(DaemonError, match="only root"):
        ids("nobody", None)


def test_root_becomes_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert ids(None, None)[2] == daemon.LESSER_USER


def test_an_unknown_user_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(DaemonError, match="no such user"):
        ids("no-such-user", None)


def test_a_pid_file_of_a_running_process_is_respected(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    pid_file.write_text(f"{os.getpid()}\n")
    made = Daemon(os.geteuid(), os.getegid(), "", tmp_path / "log", pid_file)
    with pytest.raises(DaemonError, match=f"already running with process id {os.getpid()}"):
        made.check()


def config(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "config"
    file.write_text(text)
    return file


def test_the_configuration_file_is_a_map_of_drivers(tmp_path: Path) -> None:
    file = config(tmp_path, "mock:\n  user: u\n  password: 12\nec2:\n  provider: eu-west-1\n")
    assert read_config(file) == {
        "mock": {"user": "u", "password": "12"},
        "ec2": {"provider": "eu-west-1"},
    }


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (":mock:\n  user: u\n", "must be a string, not a symbol"),
        ("mock:\n  :user: u\n", "must be a string, not a symbol"),
        ("- mock\n", "must be a map"),
        ("mock: 1\n", "must be a map"),
        ("mock:\n  usr: u\n", "unknown key 'usr'"),
        ("mock:\n  user: [u]\n", "user must be text"),
        ("mock: {password: hunter2\n", "not a YAML file"),
        ("!!python/object/apply:os.system ['true']\n", "not a YAML file"),
    ],
)
def test_a_wrong_configuration_file_is_refused(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(SettingsError, match=told) as refused:
        read_config(config(tmp_path, text))
    assert "hunter2" not in str(refused.value)


def test_a_symbol_ends_the_command(tmp_path: Path) -> None:
    done = deltacloudd("-i", "mock", "-c", str(config(tmp_path, ":mock:\n  user: u\n")))
    assert done.exit_code == 1


def test_the_start_line_is_that_of_the_original(tmp_path: Path) -> None:
    flags = ["-i", "mock", "-p", "0", "-r", "127.0.0.1", "-P", "eu", "-w", "-L", tmp_path / "log"]
    with subprocess.Popen([PROGRAM, *flags], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.terminate()
    assert line.startswith("Starting Deltacloud API :: mock :: eu :: http://127.0.0.1:")
    assert line.endswith("/api\n")
    assert process.returncode == 0


def test_a_daemon_serves_in_the_background_until_it_is_ended(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    user = ["-u", "root", "-g", "root"] if os.geteuid() == 0 else []
    place = ["-b", pid_file, "--logdir", tmp_path / "logs"]
    flags = ["-i", "mock", "-p", "0", "-r", "127.0.0.1", "-d", *place, *user]
    done = subprocess.run([PROGRAM, *flags], capture_output=True, text=True, check=True, timeout=30)
    url = done.stdout.strip().rpartition(" ")[2].removesuffix("/api")
    running = int(pid_file.read_text())
    try:
        with urllib.request.urlopen(f"{url}/healthz") as answer:
            assert answer.status == 200
    finally:
        os.kill(running, signal.SIGTERM)
    ended(running)
    assert not pid_file.exists()
    assert "/healthz" in (tmp_path / "logs" / "deltacloudd.log").read_text()


def ended(pid: int) -> None:
    handle = os.pidfd_open(pid)
    try:
        assert select.select([handle], [], [], 20)[0], "the daemon did not end"
    finally:
        os.close(handle)
