"""What CloudWatch has measured of instances."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from nimbi.driver.compute import Metrics
from nimbi.drivers.ec2.instance_facts import LIVE, fetch, find
from nimbi.drivers.ec2.pages import paged
from nimbi.drivers.ec2.query import items, text
from nimbi.drivers.ec2.session import Element, OfSession
from nimbi.model.errors import CloudError
from nimbi.model.instances import Instance
from nimbi.model.metrics import Metric, Sample, Series, Unit
from nimbi.model.page import Page


@dataclass(frozen=True)
class Property:
    """One thing that is measured: Deltacloud's name for it, CloudWatch's, and what it counts."""

    name: str
    metric: str
    unit: Unit


# Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/viewing_metrics_with_cloudwatch.html
# Disks that belong to the instance's host, then those of EBS; machines of today have only these.
PROPERTIES = (
    Property("cpuUtilization", "CPUUtilization", Unit.PERCENT),
    Property("diskReadByte", "DiskReadBytes", Unit.BYTES),
    Property("diskReadRequestCount", "DiskReadOps", Unit.COUNT),
    Property("diskWriteByte", "DiskWriteBytes", Unit.BYTES),
    Property("diskWriteRequestCount", "DiskWriteOps", Unit.COUNT),
    Property("volumeReadByte", "EBSReadBytes", Unit.BYTES),
    Property("volumeReadRequestCount", "EBSReadOps", Unit.COUNT),
    Property("volumeWriteByte", "EBSWriteBytes", Unit.BYTES),
    Property("volumeWriteRequestCount", "EBSWriteOps", Unit.COUNT),
    Property("nicInputByte", "NetworkIn", Unit.BYTES),
    Property("nicInputPacket", "NetworkPacketsIn", Unit.COUNT),
    Property("nicOutputByte", "NetworkOut", Unit.BYTES),
    Property("nicOutputPacket", "NetworkPacketsOut", Unit.COUNT),
    Property("statusCheckFailed", "StatusCheckFailed", Unit.COUNT),
)
STATISTICS = ("Minimum", "Maximum", "Average")

# Seconds between samples of an instance that is measured in detail, and of any other.
IN_DETAIL_S, USUAL_S = 60, 300
SPAN = timedelta(hours=1)

# The samples of one statistic, by time.
Values = Mapping[datetime, float]


class Ec2Metrics(OfSession, Metrics):
    """Every instance is measured; the samples are those of the last hour."""

    async def page(self, marker: str | None, limit: int) -> Page[Metric]:
        wanted = {"instance-state-name": LIVE}
        found = await paged(fetch(self.session, wanted), marker, limit)
        series = tuple(Series(name=each.name) for each in PROPERTIES)
        return Page(tuple(_metric(instance, series) for instance in found.items), found.next)

    async def get(self, id: str) -> Metric:
        instance = await find(self.session, id)
        found: dict[str, dict[datetime, float]] = {}
        asked = _asked(instance, datetime.now(UTC))
        token: str | None = None
        while True:
            root = await self.session.cloudwatch("GetMetricData", {**asked, "NextToken": token})
            for result in items(root, "MetricDataResults/member"):
                found.setdefault(text(result, "Id") or "", {}).update(_values(result))
            token = text(root, "NextToken")
            if token is None:
                return _metric(instance, tuple(_series(found)))


def _metric(instance: Instance, series: tuple[Series, ...]) -> Metric:
    return Metric(id=instance.id, entity=instance.name or instance.id, series=series)


def _asked(instance: Instance, now: datetime) -> dict[str, Any]:
    """Return the parameters that ask for all properties at once.

    Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html
    """
    monitoring = instance.extra.get("monitoring") or {}
    period_s = IN_DETAIL_S if monitoring.get("state") == "enabled" else USUAL_S
    dimensions = [{"Name": "InstanceId", "Value": instance.id}]
    queries = [
        {
            "Id": _id(each, statistic),
            "MetricStat": {
                "Metric": {
                    "Namespace": "AWS/EC2",
                    "MetricName": each.metric,
                    "Dimensions": dimensions,
                },
                "Period": period_s,
                "Stat": statistic,
            },
        }
        for each in PROPERTIES
        for statistic in STATISTICS
    ]
    return {
        "MetricDataQueries": queries,
        "StartTime": now - SPAN,
        "EndTime": now,
        "ScanBy": "TimestampAscending",
    }


def _id(each: Property, statistic: str) -> str:
    return f"{each.name}_{statistic}"


def _series(found: Mapping[str, Values]) -> Iterator[Series]:
    for each in PROPERTIES:
        low, high, mean = (found.get(_id(each, statistic), {}) for statistic in STATISTICS)
        samples = tuple(
            Sample(
                at=at,
                minimum=low[at],
                maximum=high[at],
                # Sums of floating point numbers may end up just beside their bounds.
                average=min(max(mean[at], low[at]), high[at]),
                unit=each.unit,
            )
            for at in sorted(low.keys() & high.keys() & mean.keys())
        )
        yield Series(name=each.name, samples=samples)


def _values(result: Element) -> dict[datetime, float]:
    times = [time.text or "" for time in items(result, "Timestamps/member")]
    values = [value.text or "" for value in items(result, "Values/member")]
    try:
        return {
            datetime.fromisoformat(time).astimezone(UTC): float(value)
            for time, value in zip(times, values, strict=True)
        }
    except ValueError:
        raise CloudError("CloudWatch gave samples that are no times and numbers") from None
