"""A blob of 256 MiB up to Nimbi and down again, beside nginx putting and serving the same bytes."""

import os
import statistics
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.peers import nginx
from bench.processes import MIB, Server
from bench.table import Line

SIZE_MIB = 256
PEAK_MIB = 32


@dataclass(frozen=True)
class Transfer:
    """One transfer: how fast, and at what cost for the server."""

    mib_per_s: float
    cpu_s_per_gib: float


def lines(
    what: str,
    place: Path,
    ours: Server,
    user: str,
    path: str,
    goals: Mapping[str, float],
    rounds: int,
) -> list[Line]:
    """Put a blob to a path of Nimbi's and fetch it, beside nginx; tell speeds and memory."""
    taken: dict[str, list[Transfer]] = {}
    with random_file(place / "content") as content, nginx(place / f"nginx-{what}") as floor:
        rest = ours.memory_mib()
        for _ in range(rounds):
            for name, server, blob in (("nginx", floor, "/blob"), ("nimbi", ours, path)):
                url = server.url + blob
                up = ["-T", str(content), url]
                taken.setdefault(f"{name} up", []).append(_transfer(server, user, up))
                down = [f"{url}/content" if server is ours else url]
                taken.setdefault(f"{name} down", []).append(_transfer(server, user, down))
        peak = ours.memory_mib("VmHWM")
    return [
        *(_line(what, taken, way, goal) for way, goal in goals.items()),
        _peak(what, rest, peak),
    ]


@contextmanager
def random_file(path: Path, size_mib: int = SIZE_MIB) -> Iterator[Path]:
    """Give a file that nothing can make smaller; it is removed afterwards."""
    with path.open("wb") as file:
        for _ in range(size_mib):
            file.write(os.urandom(MIB))
    try:
        yield path
    finally:
        path.unlink()


def curl(user: str, *arguments: str) -> None:
    """Run curl once; a status that is not 2xx ends the run."""
    subprocess.run(["curl", "-sSf", "-u", user, "-o", os.devnull, *arguments], check=True)


def _transfer(server: Server, user: str, arguments: list[str]) -> Transfer:
    before, began = server.cpu_s(), time.perf_counter()
    curl(user, "-H", "Expect:", *arguments)
    seconds = time.perf_counter() - began
    cpu = server.cpu_s() - before
    return Transfer(SIZE_MIB / seconds, cpu / SIZE_MIB * 1024)


def _line(what: str, taken: dict[str, list[Transfer]], way: str, goal: float) -> Line:
    ours, theirs = taken[f"nimbi {way}"], taken[f"nginx {way}"]
    ratio = statistics.median(a.mib_per_s / b.mib_per_s for a, b in zip(ours, theirs, strict=True))
    a, b = _middle(ours), _middle(theirs)
    note = (
        f"{a.mib_per_s:.0f} of {b.mib_per_s:.0f} MiB/s; "
        f"CPU {a.cpu_s_per_gib:.2f} and {b.cpu_s_per_gib:.2f} s/GiB"
    )
    return Line(
        f"{what}: blob of {SIZE_MIB} MiB {way}, speed, of nginx", ratio, "", goal, note=note
    )


def _middle(transfers: list[Transfer]) -> Transfer:
    return Transfer(
        statistics.median(t.mib_per_s for t in transfers),
        statistics.median(t.cpu_s_per_gib for t in transfers),
    )


def _peak(what: str, rest: float, peak: float) -> Line:
    return Line(
        f"{what}: memory that the transfers added at most",
        peak - rest,
        "MiB",
        PEAK_MIB,
        at_least=False,
        note=f"{peak:.0f} after {rest:.0f} MiB at rest",
    )
