"""What `make` sets up, and what it says when it cannot."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ROOT / ".ci" / "packages"
TARGETS = {"demo", "test", "check", "bench", "docs", "setup", "help", "clean"}


@pytest.fixture
def someone(tmp_path: Path) -> dict[str, str]:
    """Return the environment of a user who is not root."""
    fake = tmp_path / "id"
    fake.write_text("#!/bin/sh\necho 1000\n")
    fake.chmod(0o755)
    return os.environ | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}


def packages(environment: dict[str, str], *pairs: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([PACKAGES, *pairs], capture_output=True, text=True, env=environment)


def test_missing_packages_are_named_in_one_line(someone: dict[str, str]) -> None:
    done = packages(someone, "no-such-a:package-a", "sh:dash", "no-such-b:b", "no-such-c:b")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "System packages are missing; install them (Debian's names): package-a b"
    ]


def test_nothing_is_said_when_nothing_is_missing(someone: dict[str, str]) -> None:
    done = packages(someone, "sh:dash", "python-json:python3")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_make_alone_lists_its_targets() -> None:
    done = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(re.findall(r"^  make (\w+) +\S", done.stdout, re.MULTILINE)) >= TARGETS


def test_the_ci_runs_the_tests() -> None:
    text = (ROOT / ".ci" / "run").read_text()
    assert re.search(r"^exec make .*\btest$", text, re.MULTILINE)
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
