"""Lists of EC2's instances through Nimbi, against boto3 and against bytes passed through."""

import re
import statistics
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

from bench.canned import INSTANCES
from bench.gateways import REGION, client_of
from bench.peers import nimbi
from bench.processes import Server, free_port, running
from bench.requests import CONNECTIONS, ROUND_S, ROUNDS, Target
from bench.table import Line

TENANTS = 1000
# More than Nimbi remembers, so that each answer is read as if it never came before.
ANSWERS = 400
DIRECT_CALLS = 150

# design: performance budget.
OF_BOTO3, OF_THREADS, OF_FLOOR, TENANTS_MIB = 1 / 4, 1 / 12, 4, 20

# An answer that came before, word for word, is not read again.
OURS = {"ours": "all as before", "anew": "all changed"}

# Nothing but the stand-in may be asked: no profile, no instance's own role, no proxy.
ALONE = {
    "AWS_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "NO_PROXY": "*",
}


@dataclass(frozen=True)
class Place:
    """Everything that runs: the stand-in for EC2 and three gateways to it.

    `anew` is Nimbi before another stand-in, whose answers are never those of just before.
    """

    canned: Server
    ours: Server
    anew: Server
    threads: Server
    unparsed: Server


def measure(place: Path) -> list[Line]:
    with servers(place / "nimbi-ec2") as running_servers:
        rounds = [Round.of(running_servers) for _ in range(ROUNDS)]
        tenants = memory_of_tenants(running_servers.ours)
    lines = []
    for ours in OURS:
        lines += [
            _latency(rounds, ours),
            _cpu(rounds, ours, "the same gateway on boto3 in threads", "threads", OF_THREADS),
            _cpu(rounds, ours, "bytes passed through unparsed", "unparsed", OF_FLOOR),
        ]
    return [*lines, tenants]


@contextmanager
def servers(state: Path) -> Iterator[Place]:
    with ExitStack() as stack:

        def start(module: str, *arguments: str) -> Server:
            port = free_port()
            command = [sys.executable, "-m", module, *arguments]
            command.insert(3 + (module == "bench.gateways"), str(port))
            return stack.enter_context(running(command, port, ALONE))

        def before(stand_in: Server, name: str) -> Server:
            environment = ALONE | {"AWS_ENDPOINT_URL": stand_in.url}
            return stack.enter_context(nimbi(state.with_name(name), "ec2", environment))

        canned = start("bench.canned")
        yield Place(
            canned,
            before(canned, state.name),
            before(start("bench.canned", str(ANSWERS)), f"{state.name}-anew"),
            start("bench.gateways", "threads", canned.url),
            start("bench.gateways", "unparsed", canned.url),
        )


def login_of(tenant: int) -> str:
    return "Basic " + b64encode(f"AKIDTENANT{tenant:06d}:secret{tenant}".encode()).decode()


@dataclass(frozen=True)
class Round:
    """One look at all: seconds of a list at one connection, and of CPU at many, by gateway."""

    walls: dict[str, float]
    cpus: dict[str, float]

    @classmethod
    def of(cls, place: Place) -> "Round":
        login = f"Authorization: {login_of(0)}"
        targets = [
            *(
                Target(name, server, "/api/instances", (login, "Accept: application/json"))
                for name, server in (("ours", place.ours), ("anew", place.anew))
            ),
            *(
                Target(name, server, "/instances", (login,))
                for name, server in (("threads", place.threads), ("unparsed", place.unparsed))
            ),
        ]
        return cls(
            walls={
                "ours": through(place.ours),
                "anew": through(place.anew),
                "direct": direct(place.canned.url),
            },
            cpus={target.name: 1 / target.per_cpu_s() for target in targets},
        )


def through(ours: Server) -> float:
    """Return the median time, in seconds, of a list through Nimbi at one connection."""
    headers = ["-H", f"Authorization: {login_of(0)}", "-H", "Accept: application/json"]
    said = subprocess.run(
        ["wrk", "-t1", "-c1", f"-d{ROUND_S}s", "--latency", *headers, f"{ours.url}/api/instances"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found = re.search(r"50%\s+([\d.]+)(us|ms|s)", said)
    if found is None or "Non-2xx" in said:
        raise SystemExit(f"not all requests were answered well:\n{said}")
    return float(found[1]) * {"us": 1e-6, "ms": 1e-3, "s": 1}[found[2]]


def direct(endpoint: str) -> float:
    client = client_of(endpoint, "AKIDTENANT000000", "secret0")
    client.describe_instances()
    taken = []
    for _ in range(DIRECT_CALLS):
        began = time.perf_counter()
        client.describe_instances()
        taken.append(time.perf_counter() - began)
    client.close()
    return statistics.median(taken)


def memory_of_tenants(ours: Server) -> Line:
    """Let every tenant log in and list once, and tell what that added."""
    rest = ours.memory_mib()
    connection = HTTPConnection(ours.url.removeprefix("http://"))
    for tenant in range(TENANTS):
        headers = {"Authorization": login_of(tenant), "Accept": "application/json"}
        connection.request("GET", "/api/instances", headers=headers)
        answer = connection.getresponse()
        if answer.status != 200:
            raise SystemExit(f"tenant {tenant} was answered {answer.status}: {answer.read()!r}")
        answer.read()
    connection.close()
    full = ours.memory_mib()
    return Line(
        f"memory that the login of {TENANTS:,} tenants of EC2 adds",
        full - rest,
        "MiB",
        TENANTS_MIB,
        at_least=False,
        note=f"{full:.0f} after {rest:.0f} MiB",
    )


def _latency(rounds: list[Round], ours: str) -> Line:
    mine, theirs = ([r.walls[name] for r in rounds] for name in (ours, "direct"))
    return _line(
        ours, "median time of one client, of boto3 called directly", mine, theirs, OF_BOTO3
    )


def _cpu(rounds: list[Round], ours: str, peer: str, name: str, goal: float) -> Line:
    mine, theirs = ([r.cpus[name] for r in rounds] for name in (ours, name))
    return _line(ours, f"CPU at {CONNECTIONS} connections, of {peer}", mine, theirs, goal)


def _line(ours: str, what: str, mine: list[float], theirs: list[float], goal: float) -> Line:
    a, b = statistics.median(mine), statistics.median(theirs)
    return Line(
        f"list of {INSTANCES} EC2 instances, {OURS[ours]}, {what}",
        # The ratio of each round, as both sides of a round met the same machine.
        statistics.median(a / b for a, b in zip(mine, theirs, strict=True)),
        goal=goal,
        at_least=False,
        note=f"{a * 1e6:,.0f} of {b * 1e6:,.0f} µs",
    )
