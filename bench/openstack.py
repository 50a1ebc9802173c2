"""Lists of 100 servers: the driver's CPU and the time through Nimbi, against openstacksdk."""

import asyncio
import re
import statistics
import subprocess
import sys
import time
import warnings
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvloop

import openstack
from bench.canned_openstack import SERVERS
from bench.peers import nimbi
from bench.processes import Server, free_port, running
from bench.requests import ROUND_S, ROUNDS
from bench.table import Line
from nimbi.driver.interface import Account, Place
from nimbi.drivers.openstack.instances import OpenStackInstances
from nimbi.drivers.openstack.login import Login
from nimbi.drivers.openstack.session import Settings, open_session, start

# design: performance budget.
CPU_OF_SDK, WALL_OF_SDK = 1 / 100, 1 / 10

LISTS, DIRECT_LISTS = 100, 3
ALONE = {"NO_PROXY": "*", "OS_CLIENT_CONFIG_FILE": "/dev/null"}
USER = "user+project"


def measure(place: Path) -> list[Line]:
    with canned() as cloud:
        connection = connected(cloud.url)
        with connection:
            by_cpu = [
                (uvloop.run(driver_cpu(cloud.url, place)), sdk_cpu(connection))
                for _ in range(ROUNDS)
            ]
            with through_nimbi(place / "nimbi-openstack", cloud) as ours:
                by_wall = [(wall(ours), sdk_wall(connection)) for _ in range(ROUNDS)]
    return [
        _line("CPU of the driver, of openstacksdk's servers()", by_cpu, CPU_OF_SDK),
        _line("median time of one client, of openstacksdk called directly", by_wall, WALL_OF_SDK),
    ]


@contextmanager
def canned() -> Iterator[Server]:
    port = free_port()
    command = [sys.executable, "-m", "bench.canned_openstack", str(port)]
    with running(command, port, ALONE) as server:
        yield server


@contextmanager
def through_nimbi(state: Path, cloud: Server) -> Iterator[Server]:
    with nimbi(state, "openstack", ALONE | {"API_PROVIDER": f"{cloud.url}/v3"}) as server:
        yield server


def connected(url: str) -> Any:
    """Return openstacksdk, logged in."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return openstack.connect(
            auth_url=f"{url}/v3",
            username="user",
            password="password",
            project_name="project",
            user_domain_id="default",
            project_domain_id="default",
            region_name="RegionOne",
            load_yaml_config=False,
            load_envvars=False,
        )


def listed(connection: Any) -> None:
    found = list(connection.compute.servers(limit=SERVERS, paginated=False))
    if len(found) != SERVERS:
        raise SystemExit(f"openstacksdk has listed {len(found)} servers")


def sdk_cpu(connection: Any) -> float:
    """Return the CPU seconds of a list by openstacksdk, connected and logged in before."""
    listed(connection)
    before = time.process_time()
    for _ in range(DIRECT_LISTS):
        listed(connection)
    return (time.process_time() - before) / DIRECT_LISTS


def sdk_wall(connection: Any) -> float:
    taken = []
    for _ in range(DIRECT_LISTS):
        began = time.perf_counter()
        listed(connection)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


async def driver_cpu(url: str, place: Path) -> float:
    """Return the CPU seconds of a list by the driver, every neutral field read."""
    account = Account(Login(USER, "password"), f"{url}/v3")
    async with start(Settings(), Place(place)) as backend, open_session(backend, account) as login:
        instances = OpenStackInstances(login)
        await asyncio.gather(*(_page(instances) for _ in range(2)))
        before = time.process_time()
        for _ in range(LISTS):
            await _page(instances)
        return (time.process_time() - before) / LISTS


async def _page(instances: OpenStackInstances) -> None:
    page = await instances.page(None, 1000)
    if len(page.items) != SERVERS or not all(i.firewall_ids and i.subnet_id for i in page.items):
        raise SystemExit(f"the driver has listed {len(page.items)} servers")


def wall(ours: Server) -> float:
    """Return the median time, in seconds, of a list through Nimbi."""
    login = "Basic " + b64encode(f"{USER}:password".encode()).decode()
    headers = ["-H", f"Authorization: {login}", "-H", "Accept: application/json"]
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


def _line(what: str, rounds: list[tuple[float, float]], goal: float) -> Line:
    ours = statistics.median(r[0] for r in rounds)
    theirs = statistics.median(r[1] for r in rounds)
    return Line(
        f"list of {SERVERS} servers of OpenStack, {what}",
        statistics.median(a / b for a, b in rounds),
        goal=goal,
        at_least=False,
        note=f"{ours * 1e3:,.2f} of {theirs * 1e3:,.0f} ms",
    )
