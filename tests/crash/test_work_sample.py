"""Some of the points at which a process may die that does a job of the broker."""

import subprocess
import sys

import pytest

WAIT_S = 300
# Few of each: `make crash-points` plays all of them.
EVERY = 41


@pytest.mark.slow
@pytest.mark.parametrize("scene", ["launch of three, missing", "bulk", "copy"])
def test_a_job_of_the_broker_comes_to_the_same_end(scene: str) -> None:
    asked = ["--database", "sqlite", "--every", str(EVERY), "--scene", scene]
    done = subprocess.run(
        [sys.executable, "-m", "tests.crash", *asked, "--processes", "1", "--faults", "none"],
        capture_output=True,
        text=True,
        timeout=WAIT_S,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert " leaked 0 doubled 0 " in done.stdout
