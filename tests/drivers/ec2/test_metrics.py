"""Metrics: CloudWatch's numbers by time."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import web
from tests.drivers.ec2.answers import INSTANCE_ID, clouds, instance, reservations
from tests.drivers.ec2.services import Asked, good

from nimbi.gateway.cloud import Cloud
from nimbi.model.errors import CloudError, NotFound
from nimbi.model.instances import NewInstance
from nimbi.model.metrics import Sample, Unit

ANSWER = (
    '<GetMetricDataResponse xmlns="http://monitoring.amazonaws.com/doc/2010-08-01/">'
    "<GetMetricDataResult><MetricDataResults>{}</MetricDataResults>{}</GetMetricDataResult>"
    "</GetMetricDataResponse>"
)


def result(id: str, **values: float) -> str:
    times = "".join(f"<member>2026-11-20T{at[1:]}:00:00Z</member>" for at in values)
    numbers = "".join(f"<member>{value}</member>" for value in values.values())
    return (
        f"<member><Id>{id}</Id><Timestamps>{times}</Timestamps><Values>{numbers}</Values></member>"
    )


def measured(more: str = "", monitoring: str = "disabled"):
    seen = f"<monitoring><state>{monitoring}</state></monitoring>"
    first = (
        result("cpuUtilization_Minimum", _10=1.0, _11=2.0)
        + result("cpuUtilization_Maximum", _10=5.0, _11=2.0)
        + result("cpuUtilization_Average", _10=3.0, _11=2.0000001)
        + more
    )

    def handle(asked: Asked) -> web.Response:
        if asked.form["Action"] == "DescribeInstances":
            return good(reservations(instance(more=seen)))
        if "NextToken" in asked.form:
            rest = "".join(
                result(f"cpuUtilization_{of}", _12=4.0) for of in ("Minimum", "Maximum", "Average")
            )
            return web.Response(text=ANSWER.format(rest, ""))
        return web.Response(text=ANSWER.format(first, "<NextToken>more</NextToken>"))

    return handle


async def test_samples_are_put_together_by_their_time(tmp_path: Path) -> None:
    async with clouds(measured(), tmp_path) as (cloud, _):
        metric = await cloud.metrics.get(INSTANCE_ID)
    series = {each.name: each.samples for each in metric.series}
    assert metric.entity == INSTANCE_ID
    assert series["cpuUtilization"] == tuple(
        Sample(
            at=datetime(2026, 11, 20, hour, tzinfo=UTC),
            minimum=low,
            maximum=high,
            average=mean,
            unit=Unit.PERCENT,
        )
        for hour, low, high, mean in ((10, 1.0, 5.0, 3.0), (11, 2.0, 2.0, 2.0), (12, 4.0, 4.0, 4.0))
    )
    assert series["nicInputByte"] == ()


@pytest.mark.parametrize(("monitoring", "period"), [("enabled", "60"), ("disabled", "300")])
async def test_samples_are_as_close_as_the_instance_is_measured(
    tmp_path: Path, monitoring: str, period: str
) -> None:
    async with clouds(measured(monitoring=monitoring), tmp_path) as (cloud, aws):
        await cloud.metrics.get(INSTANCE_ID)
    form = next(a.form for a in aws.asked if a.form["Action"] == "GetMetricData")
    first = "MetricDataQueries.member.1."
    assert form[f"{first}MetricStat.Period"] == period
    assert form[f"{first}MetricStat.Stat"] == "Minimum"
    metric = f"{first}MetricStat.Metric."
    assert form[f"{metric}MetricName"] == "CPUUtilization"
    assert form[f"{metric}Dimensions.member.1.Value"] == INSTANCE_ID


async def test_samples_that_are_no_numbers_are_the_clouds_fault(tmp_path: Path) -> None:
    wrong = result("nicInputByte_Minimum", _10=1.0).replace("1.0", "many")
    async with clouds(measured(wrong), tmp_path) as (cloud, _):
        with pytest.raises(CloudError):
            await cloud.metrics.get(INSTANCE_ID)


async def test_what_is_gone_is_measured_no_more(cloud: Cloud) -> None:
    wish = NewInstance(image_id="ami-a1000000a00000000", hardware_profile_id="t3.micro")
    new = await cloud.instances.create(wish)
    assert (await cloud.metrics.get(new.id)).series
    await cloud.instances.destroy(new.id)
    with pytest.raises(NotFound):
        await cloud.metrics.get(new.id)
    assert not (await cloud.metrics.page(None, 10)).items
