"""Some of the points at which a process may die; `make crash-points` plays all of them."""

import subprocess
import sys

import pytest

WAIT_S = 300
# Far apart, and the distance has no divisor in common with what comes in pairs.
EVERY = 61


@pytest.mark.slow
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_a_job_comes_to_the_same_end_wherever_a_process_dies(database: str) -> None:
    asked = ["--database", database, "--every", str(EVERY), "--scene", "machine with a volume"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.crash", *asked, "--faults", "lost replies"],
        capture_output=True,
        text=True,
        timeout=WAIT_S,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert " leaked 0 doubled 0 " in done.stdout
