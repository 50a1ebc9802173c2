"""Metrics of the mock cloud: numbers made up, the same ones for the same instance and minute."""

import random
from datetime import UTC, datetime, timedelta

from nimbi.driver.compute import Metrics
from nimbi.drivers.mock.session import OfSession, offered
from nimbi.drivers.mock.table import Table
from nimbi.model.instances import Instance
from nimbi.model.metrics import Metric, Sample, Series, Unit
from nimbi.model.page import Page

# Name, unit, and the largest value.
MEASURED = (
    ("cpuUtilization", Unit.PERCENT, 100),
    ("diskReadRequestCount", Unit.COUNT, 1_000),
    ("diskReadSector", Unit.COUNT, 8_000),
    ("diskWriteRequestCount", Unit.COUNT, 1_000),
    ("diskWriteSector", Unit.COUNT, 8_000),
    ("nicInputByte", Unit.BYTES, 1_000_000),
    ("nicInputPacket", Unit.COUNT, 1_000),
    ("nicOutputByte", Unit.BYTES, 1_000_000),
    ("nicOutputPacket", Unit.COUNT, 1_000),
)
SAMPLES = 6


@offered
class MockMetrics(OfSession, Metrics):
    """Metrics of all instances."""

    async def page(self, marker: str | None, limit: int) -> Page[Metric]:
        instances = self.session.state.instances_of(self.user)
        series = tuple(Series(name=name) for name, _, _ in MEASURED)
        return self.paged(
            Table(_metric(instance, series) for instance in instances.whole.items), marker, limit
        )

    async def get(self, id: str) -> Metric:
        instance = self.session.state.instance_of(self.user, id)
        minute = datetime.now(UTC).replace(second=0, microsecond=0)
        dice = random.Random(f"{id} {minute}")  # noqa: S311  made to be repeated
        return _metric(
            instance,
            tuple(
                Series(name=name, samples=_samples(dice, minute, unit, largest))
                for name, unit, largest in MEASURED
            ),
        )


def _metric(instance: Instance, series: tuple[Series, ...]) -> Metric:
    return Metric(id=instance.id, entity=instance.name or instance.id, series=series)


def _samples(dice: random.Random, end: datetime, unit: Unit, largest: int) -> tuple[Sample, ...]:
    """Return the samples of the last seconds before `end`, one a second."""
    samples = []
    for before_s in range(SAMPLES - 1, -1, -1):
        minimum, maximum = sorted(round(dice.uniform(0, largest), 2) for _ in range(2))
        samples.append(
            Sample(
                at=end - timedelta(seconds=before_s),
                minimum=minimum,
                maximum=maximum,
                average=round((minimum + maximum) / 2, 3),
                unit=unit,
            )
        )
    return tuple(samples)
