"""What holds for metrics on every cloud."""

from itertools import pairwise
from typing import Any, ClassVar

from msgspec.structs import replace

from nimbi.driver.compute import Instances, Metrics
from nimbi.driver.operation import Collection
from nimbi.drivertest.needs import needs
from nimbi.drivertest.reading import LOOKED_AT, ConformsToReading
from nimbi.drivertest.shapes import faults_in, plain
from nimbi.gateway.cloud import Cloud
from nimbi.model.metrics import Metric
from nimbi.model.resource import Resource


class ConformsToMetrics(ConformsToReading):
    interface: ClassVar[type[Collection]] = Metrics
    kind: ClassVar[type[Resource]] = Metric

    def as_listed(self, thing: Any) -> Any:
        return plain(replace(thing, series=tuple(replace(s, samples=()) for s in thing.series)))

    @needs("page", Instances.get)
    async def test_what_is_measured_is_an_instance(self, cloud: Cloud) -> None:
        for metric in (await self.things(cloud, ()))[:LOOKED_AT]:
            instance = await cloud.call(Instances.get, metric.id)
            assert metric.entity == (instance.name or instance.id)

    @needs("page")
    async def test_a_list_has_no_samples(self, cloud: Cloud) -> None:
        for metric in await self.things(cloud, ()):
            assert all(series.samples == () for series in metric.series)

    @needs("page", "get")
    async def test_samples_have_the_type_of_the_model(self, cloud: Cloud) -> None:
        for metric in await self.measured(cloud):
            assert not faults_in(metric, Metric)

    @needs("page", "get")
    async def test_no_property_is_told_twice(self, cloud: Cloud) -> None:
        for metric in await self.measured(cloud):
            names = [series.name for series in metric.series]
            assert sorted(names) == sorted(set(names))

    @needs("page", "get")
    async def test_samples_go_from_the_oldest_to_the_newest(self, cloud: Cloud) -> None:
        for metric in await self.measured(cloud):
            for series in metric.series:
                assert all(one.at < other.at for one, other in pairwise(series.samples))

    @needs("page", "get")
    async def test_an_average_is_between_minimum_and_maximum(self, cloud: Cloud) -> None:
        for metric in await self.measured(cloud):
            for series in metric.series:
                for sample in series.samples:
                    assert sample.minimum <= sample.average <= sample.maximum, series.name

    async def measured(self, cloud: Cloud) -> list[Metric]:
        """Return the first metrics of the list with their samples."""
        listed = (await self.things(cloud, ()))[:LOOKED_AT]
        return [await cloud.call(Metrics.get, metric.id) for metric in listed]
