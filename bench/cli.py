"""The command `nimbi`: its start against bare Python's, and a copy of 1 GiB against curl's."""

import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.processes import free_port, running
from bench.table import Line
from bench.transfers import random_file

ROUNDS = 10
COPIES = 3
SIZE_MIB = 1024
READY_S = 60

HELP_RATIO, LIST_RATIO, COPY_RATIO = 4, 15, 0.8

PROGRAM = Path(sys.executable).with_name("nimbi")
PATH = "/v1/accounts/local/buckets/bench/blobs/one/content"


@dataclass(frozen=True)
class Up:
    """A running `nimbi up`: where it is, and what its person's commands are told."""

    url: str
    environment: Mapping[str, str]
    token: str

    def nimbi(self, *words: str | Path) -> None:
        subprocess.run(
            [PROGRAM, *words], env=self.environment, check=True, stdout=subprocess.DEVNULL
        )

    def curl(self, *words: str | Path) -> None:
        login = f"Authorization: Bearer {self.token}"
        subprocess.run(
            ["curl", "-sSf", "-H", login, "-H", "Expect:", *words, self.url + PATH],
            check=True,
            stdout=subprocess.DEVNULL,
        )


def measure(place: Path) -> list[Line]:
    with nimbi_up(place / "cli") as up:
        return [*_starts(up), *_copies(up, place)]


@contextmanager
def nimbi_up(home: Path) -> Iterator[Up]:
    """Run `nimbi up` with this machine's own cloud as an account, for a person with this home."""
    home.mkdir()
    environment = os.environ | {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_STATE_HOME": str(home / "state"),
        "XDG_CACHE_HOME": str(home / "cache"),
    }
    port = free_port()
    words = [PROGRAM, "up", "--port", str(port)]
    with running(words, port, environment) as server:
        until = time.monotonic() + READY_S
        ask = [PROGRAM, "accounts", "get", "local"]
        while subprocess.run(ask, check=False, env=environment, capture_output=True).returncode:
            if time.monotonic() > until:
                raise SystemExit("nimbi up has no account")
            time.sleep(0.2)
        token = (home / "state" / "nimbi" / "token").read_text().strip()
        yield Up(server.url, environment, token)


def _starts(up: Up) -> list[Line]:
    commands: dict[str, Sequence[str | Path]] = {
        "bare": [sys.executable, "-c", "pass"],
        "--help": [PROGRAM, "--help"],
        "instances list": [PROGRAM, "instances", "list"],
    }
    # In turn, so that all of a round meet the same machine.
    rounds = [
        {name: _cpu_s(words, up.environment) for name, words in commands.items()}
        for _ in range(ROUNDS)
    ]
    goals = {"--help": HELP_RATIO, "instances list": LIST_RATIO}
    return [_start(name, goal, rounds) for name, goal in goals.items()]


def _start(name: str, goal: float, rounds: list[dict[str, float]]) -> Line:
    middle = {n: statistics.median(one[n] for one in rounds) for n in ("bare", name)}
    return Line(
        f"nimbi {name}, CPU time, of bare Python",
        statistics.median(one[name] / one["bare"] for one in rounds),
        "times",
        goal,
        at_least=False,
        note=f"{middle[name] * 1000:.0f} of {middle['bare'] * 1000:.0f} ms",
    )


def _cpu_s(command: Sequence[str | Path], environment: Mapping[str, str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _copies(up: Up, place: Path) -> list[Line]:
    up.nimbi("buckets", "create", "-a", "local", "bench")
    taken: dict[str, list[float]] = {}
    target = place / "copied"
    with random_file(place / "content", SIZE_MIB) as content:
        for _ in range(COPIES):
            for name, work in (
                ("curl up", lambda: up.curl("-T", content)),
                ("nimbi up", lambda: up.nimbi("cp", content, "local:bench/one")),
                ("curl down", lambda: up.curl("-o", target)),
                ("nimbi down", lambda: up.nimbi("cp", "local:bench/one", target)),
            ):
                began = time.perf_counter()
                work()
                taken.setdefault(name, []).append(time.perf_counter() - began)
                target.unlink(missing_ok=True)
    return [_copy(taken, way) for way in ("up", "down")]


def _copy(taken: dict[str, list[float]], way: str) -> Line:
    ours, theirs = taken[f"nimbi {way}"], taken[f"curl {way}"]
    return Line(
        f"nimbi cp of {SIZE_MIB} MiB {way}, speed, of curl",
        statistics.median(b / a for a, b in zip(ours, theirs, strict=True)),
        "",
        COPY_RATIO,
        note=f"{SIZE_MIB / statistics.median(ours):.0f} of "
        f"{SIZE_MIB / statistics.median(theirs):.0f} MiB/s",
    )
