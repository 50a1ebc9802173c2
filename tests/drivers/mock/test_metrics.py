"""Metrics: made up, but the instance's own and the same for all who ask."""

import itertools

import pytest

from nimbi.drivers.mock.instances import MockInstances
from nimbi.drivers.mock.metrics import MockMetrics
from nimbi.drivers.mock.session import Session
from nimbi.model.errors import NotFound

NAMES = [
    "cpuUtilization",
    "diskReadRequestCount",
    "diskReadSector",
    "diskWriteRequestCount",
    "diskWriteSector",
    "nicInputByte",
    "nicInputPacket",
    "nicOutputByte",
    "nicOutputPacket",
]


async def test_the_list_tells_names_without_samples(session: Session) -> None:
    page = await MockMetrics(session).page(None, 100)
    assert [metric.id for metric in page.items] == ["inst0", "inst1", "inst2", "inst3"]
    assert [metric.entity for metric in page.items][1:] == [
        "MockUserInstance",
        "AnotherInstance",
        "inst3",
    ]
    assert [(s.name, s.samples) for s in page.items[0].series] == [(name, ()) for name in NAMES]


async def test_six_samples_a_second_apart_are_of_the_instance_asked(session: Session) -> None:
    metrics = MockMetrics(session)
    metric = await metrics.get("inst1")
    assert (metric.id, metric.entity) == ("inst1", "MockUserInstance")
    for series in metric.series:
        times = [sample.at for sample in series.samples]
        steps = {(b - a).total_seconds() for a, b in itertools.pairwise(times)}
        assert (len(times), steps) == (6, {1.0})
        assert all(s.minimum <= s.average <= s.maximum for s in series.samples)
    other = await metrics.get("inst2")
    assert other.series[0].samples != metric.series[0].samples


async def test_a_destroyed_instance_is_not_measured(session: Session) -> None:
    await MockInstances(session).stop("inst0")
    await MockInstances(session).destroy("inst0")
    with pytest.raises(NotFound):
        await MockMetrics(session).get("inst0")
