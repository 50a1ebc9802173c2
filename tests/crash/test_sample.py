"""Some of the points at which a process may die; `make crash-points` plays all of them."""

import subprocess
import sys

import pytest

WAIT_S = 600
# One of each kind.
KINDS = (
    "machine with a volume, cancelled",
    "launch of three, missing",
    "bulk",
    "copy",
    "restart",
    "replacement, cancelled",
    "evacuation",
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scenes", "database", "processes", "faults"),
    [
        (KINDS, "sqlite", "1", "none"),
        (("launch of three, missing",), "postgresql", "1", "stale lists"),
        (("evacuation",), "postgresql", "3", "lost replies"),
    ],
    ids=["every kind", "stale lists", "lost replies"],
)
def test_a_job_comes_to_the_same_end_wherever_a_process_dies(
    scenes: tuple[str, ...], database: str, processes: str, faults: str
) -> None:
    place = ["--database", database, "--processes", processes, "--faults", faults]
    done = subprocess.run(
        [sys.executable, "-m", "tests.crash", "--most", "2", *place, "--scene", *scenes],
        capture_output=True,
        text=True,
        timeout=WAIT_S,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert " leaked 0 doubled 0 " in done.stdout
