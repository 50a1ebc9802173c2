"""What drivers measure, among the numbers for Prometheus."""

import asyncio
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.server.test_server import lived

from nimbi.driver.interface import Place
from nimbi.driver.measurements import COUNTER, GAUGE, Measurement
from nimbi.drivers.mock import DRIVER
from nimbi.gateway.registry import Registry
from nimbi.observability import metrics
from nimbi.server import build_app
from nimbi.settings import Settings

LABELS = {"guest": 'a "quoted" one'}


def told(_settings: object, place: Place) -> Iterator[Measurement]:
    assert place.state_dir.name == "mock"
    for guest in ("a", "b"):
        yield Measurement("guest_cpu_seconds", "Time.", COUNTER, {"guest": guest}, 1.5)
    yield Measurement("guest_cpus", "Processors.", GAUGE, LABELS, 2)


def broken(_settings: object, _place: Place) -> Iterator[Measurement]:
    yield Measurement("guest_cpus", "Processors.", GAUGE, {}, 2)
    raise ValueError("password=hunter2")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(driver="mock", log=str(tmp_path / "log"), state_dir=str(tmp_path / "state"))


async def numbers(settings: Settings, measurements: object) -> list[str]:
    driver = dataclasses.replace(DRIVER, measurements=measurements)  # type: ignore[arg-type]
    async with lived(build_app(settings, Registry({"mock": driver}))) as client:
        answer = await client.get("/metrics")
    assert answer.status_code == 200
    return [line for line in answer.text.splitlines() if "guest" in line or "requests" in line]


async def test_each_number_is_told_with_its_kind_and_labels(settings: Settings) -> None:
    assert (await numbers(settings, told))[-7:] == [
        "# HELP nimbi_guest_cpu_seconds_total Time.",
        "# TYPE nimbi_guest_cpu_seconds_total counter",
        'nimbi_guest_cpu_seconds_total{guest="a"} 1.5',
        'nimbi_guest_cpu_seconds_total{guest="b"} 1.5',
        "# HELP nimbi_guest_cpus Processors.",
        "# TYPE nimbi_guest_cpus gauge",
        'nimbi_guest_cpus{guest="a \\"quoted\\" one"} 2.0',
    ]


async def test_a_driver_that_fails_takes_no_other_number_along(settings: Settings) -> None:
    lines = await numbers(settings, broken)
    assert not any("guest" in line for line in lines)
    assert any("nimbi_http_requests" in line for line in lines)
    text = await asyncio.to_thread(Path(settings.log or "").read_text)
    assert "hunter2" not in text


async def test_the_numbers_are_bounded(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "MOST_MEASUREMENTS", 1)
    lines = await numbers(settings, told)
    assert sum(line.startswith("nimbi_guest") for line in lines) == 1
