"""A blob of 256 MiB up and down, against nginx putting and serving the same bytes."""

import statistics
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from bench.peers import nginx, nimbi
from bench.processes import MIB, Server
from bench.table import Line

SIZE_MIB = 256
ROUNDS = 3
LOGIN = "mockuser:mockpassword"

# Of what nginx does with the disk's own files; design: facts on streaming.
GOALS = {"up": 0.75, "down": 0.8}
PEAK_MIB = 32


@dataclass(frozen=True)
class Transfer:
    """One transfer: how fast, and at what cost for the server."""

    mib_per_s: float
    cpu_s_per_gib: float


def measure(place: Path) -> list[Line]:
    content = place / "content"
    with content.open("wb") as file:
        for _ in range(SIZE_MIB):
            file.write(bytes(range(256)) * (MIB // 256))
    taken: dict[str, list[Transfer]] = {}
    with nginx(place / "nginx-blobs") as floor, nimbi(place / "nimbi-blobs") as ours:
        rest = ours.memory_mib()
        for _ in range(ROUNDS):
            for name, server, path in (
                ("nginx", floor, "/blob"),
                ("nimbi", ours, "/api/buckets/bucket1/big"),
            ):
                up = ["-T", str(content), server.url + path]
                taken.setdefault(f"{name} up", []).append(transfer(server, up))
                down = [server.url + path + ("/content" if name == "nimbi" else "")]
                taken.setdefault(f"{name} down", []).append(transfer(server, down))
        peak = ours.memory_mib("VmHWM")
    content.unlink()
    return [*(_line(taken, way) for way in GOALS), _peak(rest, peak)]


def transfer(server: Server, arguments: list[str]) -> Transfer:
    """Run curl once; a status that is not 2xx ends the run."""
    before, began = server.cpu_s(), time.perf_counter()
    subprocess.run(
        ["curl", "-sSf", "-u", LOGIN, "-H", "Expect:", "-o", "/dev/null", *arguments],
        check=True,
    )
    seconds = time.perf_counter() - began
    cpu = server.cpu_s() - before
    return Transfer(SIZE_MIB / seconds, cpu / SIZE_MIB * 1024)


def _line(taken: dict[str, list[Transfer]], way: str) -> Line:
    ours, theirs = taken[f"nimbi {way}"], taken[f"nginx {way}"]
    ratio = statistics.median(a.mib_per_s / b.mib_per_s for a, b in zip(ours, theirs, strict=True))
    a, b = _middle(ours), _middle(theirs)
    note = (
        f"{a.mib_per_s:.0f} of {b.mib_per_s:.0f} MiB/s; "
        f"CPU {a.cpu_s_per_gib:.2f} and {b.cpu_s_per_gib:.2f} s/GiB"
    )
    return Line(f"blob of {SIZE_MIB} MiB {way}, speed, of nginx", ratio, "", GOALS[way], note=note)


def _middle(transfers: list[Transfer]) -> Transfer:
    return Transfer(
        statistics.median(t.mib_per_s for t in transfers),
        statistics.median(t.cpu_s_per_gib for t in transfers),
    )


def _peak(rest: float, peak: float) -> Line:
    return Line(
        "memory that the transfers added at most",
        peak - rest,
        "MiB",
        PEAK_MIB,
        at_least=False,
        note=f"{peak:.0f} after {rest:.0f} MiB at rest",
    )
