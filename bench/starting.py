"""From the start of a server to its first answer, its memory at rest, and the command's start."""

import resource
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from bench.peers import nimbi
from bench.table import Line

ROUNDS = 5
START_CPU_S = 0.5
REST_MIB = 60
COMMAND_RATIO = 4


def measure(place: Path) -> list[Line]:
    walls, cpus, rests = [], [], []
    for number in range(ROUNDS):
        began = time.perf_counter()
        with nimbi(place / f"start-{number}") as server:
            # The port is there before the server is ready: the first answer counts.
            urllib.request.urlopen(f"{server.url}/healthz").close()
            walls.append(time.perf_counter() - began)
            cpus.append(server.cpu_s())
            time.sleep(1)
            rests.append(server.memory_mib())
    bare = _command_cpu_s([sys.executable, "-c", "pass"])
    command = _command_cpu_s([Path(sys.executable).with_name("nimbi"), "--version"])
    return [
        Line(
            "start to first answer, CPU time",
            statistics.median(cpus),
            "s",
            START_CPU_S,
            at_least=False,
            note=f"{statistics.median(walls):.2f} s by the clock",
        ),
        Line("memory at rest", statistics.median(rests), "MiB", REST_MIB, at_least=False),
        Line(
            "start of the command nimbi, CPU time, of bare Python",
            command / bare,
            "times",
            COMMAND_RATIO,
            at_least=False,
            note=f"{command * 1000:.0f} of {bare * 1000:.0f} ms",
        ),
    ]


def _command_cpu_s(command: list[str | Path]) -> float:
    """Return the CPU time of a command, the mean of several runs."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for _ in range(ROUNDS):
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return used / ROUNDS
