"""From the start of a server to its first answer, and its memory at rest."""

import statistics
import time
import urllib.request
from pathlib import Path

from bench.peers import nimbi
from bench.table import Line

ROUNDS = 5
START_CPU_S = 0.5
REST_MIB = 60


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
    ]
