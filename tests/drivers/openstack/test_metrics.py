"""Metrics by Nova's diagnostics and by Gnocchi, neither of which every cloud gives."""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.drivers.openstack import stand_in
from tests.drivers.openstack.stand_in import StandIn, fault, standing_in
from tests.drivers.openstack.test_instances import COMPUTE, ID, flavour, logged_in, server

from nimbi.driver.compute import Metrics
from nimbi.model.errors import Forbidden
from nimbi.model.metrics import Metric

METRIC = "/metric/v1"
FLAVOUR = server()["flavor"]["id"]

# Source: https://docs.openstack.org/api-ref/compute/#show-server-diagnostics
DIAGNOSTICS = {
    "state": "running",
    "uptime": 100,
    "num_cpus": 2,
    "cpu_details": [{"id": 0, "time": 40 * 10**9}, {"id": 1, "time": 20 * 10**9}],
    "memory_details": {"maximum": 128, "used": 64},
    "disk_details": [
        {"read_bytes": 1000, "read_requests": 10, "write_bytes": 5, "write_requests": 1},
        {"read_bytes": 24, "read_requests": 2, "write_bytes": 0, "write_requests": 0},
    ],
    "nic_details": [{"rx_octets": 7, "rx_packets": 1, "tx_octets": None, "tx_packets": 2}],
}


@pytest.fixture
async def nova() -> AsyncIterator[StandIn]:
    async with standing_in() as cloud:
        cloud.tell(f"GET {COMPUTE}/servers/{ID}", {"server": server()})
        cloud.tell(f"GET {COMPUTE}/servers/detail", {"servers": [server()]})
        cloud.tell(f"GET {COMPUTE}/flavors/detail", {"flavors": [flavour(FLAVOUR, 128)]})
        cloud.tell("GET /network/v2.0/ports", {"ports": []})
        cloud.tell(f"GET {COMPUTE}/servers/{ID}/diagnostics", DIAGNOSTICS)
        yield cloud


@pytest.fixture
async def gnocchi(nova: StandIn, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """Give a cloud that also has Gnocchi."""
    monkeypatch.setattr(stand_in, "PLACES", {**stand_in.PLACES, "metric": "/metric"})
    nova.services = tuple(stand_in.PLACES)
    nova.tell(
        f"GET {METRIC}/resource/instance/{ID}",
        {"id": ID, "metrics": {"cpu": "m-cpu", "memory.usage": "m-memory"}},
    )
    disks = [{"metrics": {"disk.device.read.bytes": f"m-disk{n}"}} for n in (1, 2)]
    nova.tell(f"POST {METRIC}/search/resource/instance_disk", told(disks))
    nova.tell(f"POST {METRIC}/search/resource/instance_network_interface", fault(404, "x"))
    for name, values in {
        "m-cpu": (0, 150 * 10**9, 300 * 10**9),
        "m-memory": (32, 48, 64),
        "m-disk1": (1000, 3000, 10),
        "m-disk2": (0, 500, 600),
    }.items():
        nova.tell(f"GET {METRIC}/metric/{name}/measures", told(measures(values)))
    return nova


def told(thing: Any) -> web.Response:
    return web.json_response(thing)


def measures(values: tuple[float, ...]) -> list[list[Any]]:
    """Return measures as Gnocchi tells them: coarse ones, too, that say nothing more."""
    coarse = [["2026-05-08T16:00:00+00:00", 3600.0, 1.0]]
    fine = [[f"2026-05-08T16:{5 * n:02d}:00+00:00", 300.0, v] for n, v in enumerate(values)]
    return [*coarse, *fine]


def averages(metric: Metric) -> Mapping[str, list[float]]:
    return {each.name: [s.average for s in each.samples] for each in metric.series if each.samples}


async def test_diagnostics_are_what_a_server_has_used_since_its_start(
    nova: StandIn, tmp_path: Path
) -> None:
    async with logged_in(nova, tmp_path) as cloud:
        metric = await cloud.metrics.get(ID)
    assert metric.entity == "web"
    assert averages(metric) == {
        "cpuUtilization": [30.0],
        "memoryUsage": [64.0 * 2**20],
        "diskReadByte": [1024.0],
        "diskReadRequestCount": [12.0],
        "diskWriteByte": [5.0],
        "diskWriteRequestCount": [1.0],
        "nicInputByte": [7.0],
        "nicInputPacket": [1.0],
        "nicOutputPacket": [2.0],
    }


async def test_a_server_that_does_not_run_has_no_samples(nova: StandIn, tmp_path: Path) -> None:
    nova.tell(f"GET {COMPUTE}/servers/{ID}/diagnostics", fault(409, "conflictingRequest"))
    async with logged_in(nova, tmp_path) as cloud:
        assert not averages(await cloud.metrics.get(ID))


async def test_who_may_not_ask_hosts_has_an_empty_list(nova: StandIn, tmp_path: Path) -> None:
    nova.tell(f"GET {COMPUTE}/servers/{ID}/diagnostics", fault(403, "forbidden"))
    async with logged_in(nova, tmp_path) as cloud:
        assert not [metric async for metric in cloud.each(Metrics.page)]
        with pytest.raises(Forbidden):
            await cloud.metrics.get(ID)


async def test_gnocchi_tells_of_the_last_hour(gnocchi: StandIn, tmp_path: Path) -> None:
    async with logged_in(gnocchi, tmp_path) as cloud:
        (listed,) = [metric async for metric in cloud.each(Metrics.page)]
        metric = await cloud.metrics.get(ID)
    assert listed.id == metric.id == ID
    assert averages(metric) == {
        "cpuUtilization": [50.0, 50.0],
        "memoryUsage": [32.0 * 2**20, 48.0 * 2**20, 64.0 * 2**20],
        # The first disk's total began anew.
        "diskReadByte": [2500.0, 100.0],
    }
    first = metric.series[0].samples[0]
    assert first.at == datetime(2026, 5, 8, 16, 5, tzinfo=UTC)
    assert not gnocchi.requests(f"{COMPUTE}/servers/{ID}/diagnostics")


async def test_a_server_that_gnocchi_does_not_know_has_no_samples(
    gnocchi: StandIn, tmp_path: Path
) -> None:
    gnocchi.tell(f"GET {METRIC}/resource/instance/{ID}", fault(404, "x"))
    async with logged_in(gnocchi, tmp_path) as cloud:
        assert not averages(await cloud.metrics.get(ID))
