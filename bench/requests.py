"""Requests for each second of the server's CPU time, 32 connections, rounds taken in turn."""

import re
import statistics
import subprocess
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path

from bench.peers import nginx, nimbi, starlette
from bench.processes import Server
from bench.table import Line

CONNECTIONS = 32
ROUNDS = 5
ROUND_S = 2

LOGIN = "Basic " + b64encode(b"mockuser:mockpassword").decode()

# What the original server gave on one core: requests for each second of its CPU time.
ORIGINAL = {"XML": 247, "JSON": 333}

# A list is written once for as long as the cloud gives the very same one; a filtered list is a new
# one each time, so this shows what writing it costs.
ANEW, FILTERED = "XML written anew", "/api/instances?state=running"

GOALS = {"nginx": 0.12, "bare Starlette": 0.35}
ORIGINAL_GOAL = 50


@dataclass(frozen=True)
class Target:
    """One kind of request to one server."""

    name: str
    server: Server
    path: str
    headers: tuple[str, ...] = ()

    def per_cpu_s(self) -> float:
        """Return how many requests the server answered for each second of its CPU time."""
        before = self.server.cpu_s()
        said = subprocess.run(
            ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{ROUND_S}s"]
            + [part for header in self.headers for part in ("-H", header)]
            + [self.server.url + self.path],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        used = self.server.cpu_s() - before
        found = re.search(r"(\d+) requests in", said)
        if found is None or "Non-2xx" in said:
            raise SystemExit(f"{self.name}: not all requests were answered well:\n{said}")
        return int(found[1]) / used


def measure(place: Path) -> list[Line]:
    with nginx(place / "nginx") as floor, starlette() as bare, nimbi(place / "nimbi") as ours:
        login = f"Authorization: {LOGIN}"
        targets = [
            Target("nginx", floor, "/hello"),
            Target("bare Starlette", bare, "/hello"),
            Target("XML", ours, "/api/instances", (login, "Accept: application/xml")),
            Target("JSON", ours, "/api/instances", (login, "Accept: application/json")),
            Target(ANEW, ours, FILTERED, (login, "Accept: application/xml")),
        ]
        rounds = [[target.per_cpu_s() for target in targets] for _ in range(ROUNDS)]
    values = {t.name: [r[i] for r in rounds] for i, t in enumerate(targets)}
    lines = []
    for form in ORIGINAL:
        lines += [_ratio(values, form, peer, goal) for peer, goal in GOALS.items()]
        lines.append(_times_original(values[form], form))
    lines += [_ratio(values, ANEW, peer, goal) for peer, goal in GOALS.items()]
    return lines


def _ratio(values: dict[str, list[float]], form: str, peer: str, goal: float) -> Line:
    # The ratio of each round, as both sides of a round met the same machine.
    ratio = statistics.median(a / b for a, b in zip(values[form], values[peer], strict=True))
    ours, theirs = statistics.median(values[form]), statistics.median(values[peer])
    return Line(
        f"GET /api/instances, {form}, requests per CPU second, of {peer}",
        ratio,
        goal=goal,
        note=f"{ours:,.0f} of {theirs:,.0f}; {1e6 / ours:.0f} µs each",
    )


def _times_original(values: list[float], form: str) -> Line:
    ours = statistics.median(values)
    return Line(
        f"GET /api/instances, {form}, against the original server",
        ours / ORIGINAL[form],
        "times",
        ORIGINAL_GOAL,
        note=f"{ours:,.0f} of {ORIGINAL[form]}",
    )
