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

from bench.gateways import REGION, client_of
from bench.peers import nimbi
from bench.processes import Server, free_port, running
from bench.requests import CONNECTIONS, ROUND_S, ROUNDS, Target
from bench.table import Line

TENANTS = 1000
DIRECT_CALLS = 150

# design: performance budget.
OF_BOTO3, OF_THREADS, OF_FLOOR, TENANTS_MIB = 1 / 4, 1 / 12, 4, 20

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
    """Everything that runs: the stand-in for EC2 and three gateways to it."""

    canned: Server
    ours: Server
    threads: Server
    unparsed: Server


def measure(place: Path) -> list[Line]:
    with servers(place / "nimbi-ec2") as running_servers:
        by_latency = [latencies(running_servers) for _ in range(ROUNDS)]
        by_cpu = [costs(running_servers) for _ in range(ROUNDS)]
        tenants = memory_of_tenants(running_servers.ours)
    return [
        _latency(by_latency),
        _cpu(by_cpu, "the same gateway on boto3 in threads", 1, OF_THREADS),
        _cpu(by_cpu, "bytes passed through unparsed", 2, OF_FLOOR),
        tenants,
    ]


@contextmanager
def servers(state: Path) -> Iterator[Place]:
    with ExitStack() as stack:

        def start(module: str, *arguments: str) -> Server:
            port = free_port()
            command = [sys.executable, "-m", module, *arguments]
            command.insert(3 + (module == "bench.gateways"), str(port))
            return stack.enter_context(running(command, port, ALONE))

        canned = start("bench.canned")
        ours = stack.enter_context(
            nimbi(state, "ec2", ALONE | {"AWS_ENDPOINT_URL": canned.url}),
        )
        yield Place(
            canned,
            ours,
            start("bench.gateways", "threads", canned.url),
            start("bench.gateways", "unparsed", canned.url),
        )


def login_of(tenant: int) -> str:
    return "Basic " + b64encode(f"AKIDTENANT{tenant:06d}:secret{tenant}".encode()).decode()


def latencies(place: Place) -> tuple[float, float]:
    """Return the median time, in seconds, of a list through Nimbi and of one by boto3."""
    url = f"{place.ours.url}/api/instances"
    headers = ["-H", f"Authorization: {login_of(0)}", "-H", "Accept: application/json"]
    said = subprocess.run(
        ["wrk", "-t1", "-c1", f"-d{ROUND_S}s", "--latency", *headers, url],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found = re.search(r"50%\s+([\d.]+)(us|ms|s)", said)
    if found is None or "Non-2xx" in said:
        raise SystemExit(f"not all requests were answered well:\n{said}")
    ours = float(found[1]) * {"us": 1e-6, "ms": 1e-3, "s": 1}[found[2]]
    return ours, direct(place.canned.url)


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


def costs(place: Place) -> tuple[float, float, float]:
    """Return the CPU seconds for a list: Nimbi's, boto3's in threads, and of the floor."""
    login = f"Authorization: {login_of(0)}"
    targets = (
        Target("nimbi", place.ours, "/api/instances", (login, "Accept: application/json")),
        Target("boto3 in threads", place.threads, "/instances", (login,)),
        Target("unparsed", place.unparsed, "/instances", (login,)),
    )
    ours, threads, floor = (1 / target.per_cpu_s() for target in targets)
    return ours, threads, floor


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


def _latency(rounds: list[tuple[float, float]]) -> Line:
    ours = statistics.median(r[0] for r in rounds)
    theirs = statistics.median(r[1] for r in rounds)
    return Line(
        "list of 10 EC2 instances, median time of one client, of boto3 called directly",
        statistics.median(a / b for a, b in rounds),
        goal=OF_BOTO3,
        at_least=False,
        note=f"{ours * 1e6:,.0f} of {theirs * 1e6:,.0f} µs",
    )


def _cpu(rounds: list[tuple[float, float, float]], peer: str, index: int, goal: float) -> Line:
    ours = statistics.median(r[0] for r in rounds)
    theirs = statistics.median(r[index] for r in rounds)
    return Line(
        f"list of 10 EC2 instances, CPU at {CONNECTIONS} connections, of {peer}",
        statistics.median(r[0] / r[index] for r in rounds),
        goal=goal,
        at_least=False,
        note=f"{ours * 1e6:,.0f} of {theirs * 1e6:,.0f} µs",
    )
