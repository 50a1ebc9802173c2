"""Blobs of the driver openstack: down and up against the store itself, their checksums compared."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.peers import nimbi
from bench.processes import MIB, Server, free_port, running
from bench.table import Line
from bench.transfers import SIZE_MIB, random_file

ROUNDS = 5
GOAL = 0.8
MEMORY_MIB = 32
LOGIN = "bench+bench:secret"


def measure(place: Path) -> list[Line]:
    with store(SIZE_MIB * MIB) as there, random_file(place / "swift-content") as content:
        settings = {"OS_AUTH_URL": f"{there.url}/v3"}
        with nimbi(place / "nimbi-swift", "openstack", settings) as ours:
            return _lines(there, ours, content)


def _lines(there: Server, ours: Server, content: Path) -> list[Line]:
    direct = f"{there.url}/v1/AUTH_bench/bench/blob"
    passed = f"{ours.url}/api/buckets/bench/blob"
    ways = {
        "down": ([direct], [f"{passed}/content"]),
        "up": (["-T", str(content), direct], ["-T", str(content), passed]),
    }
    _curl(*ways["down"][1])
    rest = ours.memory_mib()
    lines = []
    for way, (without, through) in ways.items():
        walls = [(_curl(*without), _curl(*through)) for _ in range(ROUNDS)]
        speeds = [SIZE_MIB / statistics.median(each) for each in zip(*walls, strict=True)]
        lines.append(
            Line(
                f"Swift: blob of {SIZE_MIB} MiB {way}, speed, of direct",
                statistics.median(a / b for a, b in walls),
                "",
                GOAL,
                note=f"{speeds[1]:.0f} of {speeds[0]:.0f} MiB/s",
            )
        )
    peak = ours.memory_mib("VmHWM")
    return [
        *lines,
        Line(
            "Swift: memory that the transfers added at most",
            peak - rest,
            "MiB",
            MEMORY_MIB,
            at_least=False,
            note=f"{peak:.0f} after {rest:.0f} MiB",
        ),
    ]


@contextmanager
def store(size_bytes: int) -> Iterator[Server]:
    """Run a Swift whose blobs have so many bytes, and which forgets what it gets."""
    port = free_port()
    program = Path(__file__).with_name("swift_store.py")
    with running([sys.executable, program, str(port), str(size_bytes)], port) as server:
        yield server


def _curl(*arguments: str) -> float:
    """Run curl, and return its seconds; a status that is not 2xx ends it."""
    command = ["curl", "-sSf", "-u", LOGIN, "-H", "Expect:", "-o", os.devnull, *arguments]
    began = time.perf_counter()
    subprocess.run(command, check=True)
    return time.perf_counter() - began


if __name__ == "__main__":
    import tempfile

    from bench.table import show

    with tempfile.TemporaryDirectory() as name:
        show(measure(Path(name)))
