"""A server of `nimbi up` for the commands under test: one for all tests of a process."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from nimbi.cli.main import main

Nimbi = Callable[..., Result]

START_S = 60


@dataclass(frozen=True)
class Up:
    """A running `nimbi up`: the home that it has, and what it is told by."""

    home: Path
    environment: dict[str, str]
    process: subprocess.Popen[bytes]

    @property
    def state(self) -> Path:
        return self.home / "state" / "nimbi"

    def url(self) -> str:
        return str(json.loads((self.state / "up.json").read_text())["url"])


def own_environment(home: Path) -> dict[str, str]:
    """Return variables of somebody who never used Nimbi before."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("NIMBI_", "API_", "AWS_", "OS_", "DELTACLOUD_", "XDG_"))
    }
    return kept | {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_STATE_HOME": str(home / "state"),
        "XDG_CACHE_HOME": str(home / "cache"),
    }


def run_up(home: Path, *flags: str) -> Up:
    """Start `nimbi up` on a free port, and return once it answers and has made its accounts."""
    home.mkdir(exist_ok=True)
    # Nothing holds up the end of a server: who waited for this would fail.
    environment = own_environment(home) | {"NIMBI_SHUTDOWN_TIMEOUT": "600"}
    program = "import sys; from nimbi.cli.entry import run; sys.argv[0] = 'nimbi'; run()"
    words = [sys.executable, "-c", program, "up", "--port", "0", "--no-local", *flags]
    with (home / "up.log").open("wb") as log:
        process = subprocess.Popen(words, env=environment, stdout=log, stderr=log)
    until = time.monotonic() + START_S
    while "Next, in another terminal" not in (said := (home / "up.log").read_text()):
        if process.poll() is not None or time.monotonic() > until:
            process.kill()
            raise AssertionError(f"nimbi up did not come up: {said}")
        time.sleep(0.05)
    return Up(home, environment, process)


@pytest.fixture(scope="session")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    running = run_up(tmp_path_factory.mktemp("up") / "home", "--mock")
    yield running
    running.process.terminate()
    running.process.wait(timeout=30)


@pytest.fixture
def home(up: Up, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the home of the person for whom the server runs, and let commands see it so."""
    for name in set(os.environ) - set(up.environment):
        monkeypatch.delenv(name)
    for name, value in up.environment.items():
        monkeypatch.setenv(name, value)
    return up.home


@pytest.fixture
def nimbi(home: Path) -> Nimbi:
    """Give what runs a command of the person for whom the server runs."""

    def run(*words: str, input: str | bytes | None = None) -> Result:
        return CliRunner().invoke(main, list(words), input=input)

    return run
