"""The same answers of AWS, read by boto3 and by the driver, give the same neutral fields.

The answers are made up from AWS's own machine description, and taken from its documentation.
"""

import json
import random
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import botocore
import msgspec
import pytest
from botocore.parsers import create_parser
from tests.drivers.ec2 import boto3_fields as fields
from tests.drivers.ec2.conftest import LOGIN, REGION
from tests.targets.answers import answer_of
from tests.targets.exchange import Asked, Reply, served
from tests.targets.proxy import error_reply
from tests.targets.service_models import answer, service

from nimbi.driver.blobs import Blobs, Buckets
from nimbi.driver.capabilities import collection_classes
from nimbi.driver.compute import HardwareProfiles, Images, Instances, Keys, Realms
from nimbi.driver.network import (
    Addresses,
    Firewalls,
    LoadBalancers,
    NetworkInterfaces,
    Networks,
    Subnets,
)
from nimbi.driver.storage import Snapshots, Volumes
from nimbi.drivers.ec2 import DRIVER
from nimbi.drivertest import opened
from nimbi.gateway.cloud import Cloud
from nimbi.model.firewalls import Rule
from nimbi.model.images import ImageFilter
from nimbi.model.resource import Resource

ANSWERS = 40
SERIES = tuple(fields.UNITS)
EXAMPLES = Path(botocore.__file__).parent / "data" / "ec2" / "2016-11-15" / "examples-1.json"

Told = Mapping[str, Any]
Answers = Mapping[str, Told]


@dataclass(frozen=True)
class Kind:
    """How a list is asked for, the actions that answer, and what boto3's answers mean."""

    operation: Any
    actions: tuple[str, ...]
    expected: Callable[..., Iterable[fields.Fields | None]]
    id: str
    items: str
    where: msgspec.Struct | None = None
    args: tuple[str, ...] = ()
    related: Callable[..., None] = lambda _rng, *_told: None


def each(read: Callable[[Told], fields.Fields | None], key: str) -> Callable[..., Any]:
    return lambda told: [read(item) for item in told.get(key, ())]


def instances(told: Told) -> Iterable[fields.Fields]:
    for reservation in told.get("Reservations", ()):
        for instance in reservation.get("Instances", ()):
            yield fields.instance(instance, reservation.get("OwnerId"))


def networks(told: Told, subnets: Told) -> Iterable[fields.Fields]:
    return [fields.network(vpc, subnets.get("Subnets", ())) for vpc in told.get("Vpcs", ())]


def within(rng: random.Random, vpcs: Any, subnets: Any) -> None:
    """Put subnets into networks of the same answer."""
    ids = [vpc["VpcId"] for vpc in vpcs["Vpcs"]] or ["vpc-none"]
    for subnet in subnets["Subnets"]:
        subnet["VpcId"] = rng.choice(ids)


def balanced(rng: random.Random, _told: Any, listeners: Any, groups: Any, health: Any) -> None:
    """Let listeners send to target groups of the same answer, and targets be instances."""
    arns = ["none"]
    for number, group in enumerate(groups["TargetGroups"]):
        group["TargetGroupArn"] = f"arn:aws:elasticloadbalancing:::targetgroup/{number}"
        arns.append(group["TargetGroupArn"])
    for listener in listeners["Listeners"]:
        for action in listener.get("DefaultActions", ()):
            if "TargetGroupArn" in action:
                action["TargetGroupArn"] = rng.choice(arns)
            for group in action.get("ForwardConfig", {}).get("TargetGroups", ()):
                group["TargetGroupArn"] = rng.choice(arns)
    for number, target in enumerate(health["TargetHealthDescriptions"]):
        target["Target"] = {"Id": f"i-{number // 2:017x}"}


def load_balancers(
    told: Told, listeners: Told, groups: Told, health: Told
) -> Iterable[fields.Fields]:
    for balancer in told["LoadBalancers"]:
        yield fields.load_balancer(
            balancer,
            listeners.get("Listeners", ()),
            groups.get("TargetGroups", ()),
            health.get("TargetHealthDescriptions", ()),
        )


def blobs(told: Told) -> Iterable[fields.Fields]:
    return [fields.blob(item, BUCKET) for item in told.get("Contents", ())]


# Of actions that are not EC2's own: the service, and how a request for one is seen.
BUCKET = "bucket-1"
SERVICES = {
    "DescribeLoadBalancers": "elbv2",
    "DescribeListeners": "elbv2",
    "DescribeTargetGroups": "elbv2",
    "DescribeTargetHealth": "elbv2",
    "GetMetricData": "cloudwatch",
    "ListBuckets": "s3",
    "ListObjectsV2": "s3",
}
PROTOCOLS = {"ec2": "ec2", "elbv2": "query", "cloudwatch": "query", "s3": "rest-xml"}
SEEN = {"ListBuckets": "GET /", "ListObjectsV2": f"GET /{BUCKET}"}

KINDS: Mapping[str, Kind] = {
    "realms": Kind(
        Realms.page,
        ("DescribeAvailabilityZones",),
        each(fields.realm, "AvailabilityZones"),
        "ZoneName",
        "AvailabilityZones",
    ),
    "hardware_profiles": Kind(
        HardwareProfiles.page,
        ("DescribeInstanceTypes",),
        each(fields.hardware_profile, "InstanceTypes"),
        "InstanceType",
        "InstanceTypes",
    ),
    "images": Kind(
        Images.page,
        ("DescribeImages",),
        each(fields.image, "Images"),
        "ImageId",
        "Images",
        ImageFilter(owner_id="self"),
    ),
    "instances": Kind(Instances.page, ("DescribeInstances",), instances, "InstanceId", "Instances"),
    "keys": Kind(
        Keys.page, ("DescribeKeyPairs",), each(fields.key, "KeyPairs"), "KeyName", "KeyPairs"
    ),
    "firewalls": Kind(
        Firewalls.page,
        ("DescribeSecurityGroups",),
        each(fields.firewall, "SecurityGroups"),
        "GroupId",
        "SecurityGroups",
    ),
    "addresses": Kind(
        Addresses.page,
        ("DescribeAddresses",),
        each(fields.address, "Addresses"),
        "AllocationId",
        "Addresses",
    ),
    "networks": Kind(
        Networks.page,
        ("DescribeVpcs", "DescribeSubnets"),
        networks,
        "VpcId",
        "Vpcs",
        related=within,
    ),
    "load_balancers": Kind(
        LoadBalancers.page,
        (
            "DescribeLoadBalancers",
            "DescribeListeners",
            "DescribeTargetGroups",
            "DescribeTargetHealth",
        ),
        load_balancers,
        "LoadBalancerName",
        "LoadBalancers",
        related=balanced,
    ),
    "buckets": Kind(
        Buckets.page, ("ListBuckets",), each(fields.bucket, "Buckets"), "Name", "Buckets"
    ),
    "blobs": Kind(Blobs.page, ("ListObjectsV2",), blobs, "Key", "Contents", args=(BUCKET,)),
    "subnets": Kind(
        Subnets.page, ("DescribeSubnets",), each(fields.subnet, "Subnets"), "SubnetId", "Subnets"
    ),
    "network_interfaces": Kind(
        NetworkInterfaces.page,
        ("DescribeNetworkInterfaces",),
        each(fields.network_interface, "NetworkInterfaces"),
        "NetworkInterfaceId",
        "NetworkInterfaces",
    ),
    "volumes": Kind(
        Volumes.page, ("DescribeVolumes",), each(fields.volume, "Volumes"), "VolumeId", "Volumes"
    ),
    "snapshots": Kind(
        Snapshots.page,
        ("DescribeSnapshots",),
        each(fields.snapshot, "Snapshots"),
        "SnapshotId",
        "Snapshots",
    ),
}


@asynccontextmanager
async def cloud_that_says(answers: Mapping[str, bytes], place: Path) -> AsyncIterator[Cloud]:
    """Give a login to an AWS that knows these answers and no others."""

    async def handler(asked: Asked) -> Reply:
        if asked.action in answers:
            return Reply(body=answers[asked.action])
        return error_reply(asked, 400, "InvalidAction", f"nobody told {asked.action}")

    async with served(handler) as url:
        settings = {"endpoint_url": url}
        async with opened(
            DRIVER, place, credentials=LOGIN, provider=REGION, settings=settings
        ) as cloud:
            yield cloud


def by_boto3(action: str, body: bytes) -> Told:
    """Return what boto3 makes of an answer."""
    name = SERVICES.get(action, "ec2")
    shape = service(name).operation_model(action).output_shape
    told: Told = create_parser(PROTOCOLS[name]).parse(
        {"status_code": 200, "headers": {}, "body": body}, shape
    )
    return told


def complete(kind: Kind, told: Any, serial: Iterable[int]) -> None:
    """Give every thing in an answer an id of its own, as AWS does."""
    if isinstance(told, dict):
        for name, value in told.items():
            for item in value if name == kind.items and isinstance(value, list) else ():
                item[kind.id] = f"{kind.id.lower()[:6]}-{next(iter(serial)):017x}"
            complete(kind, value, serial)
    elif isinstance(told, list):
        for item in told:
            complete(kind, item, serial)


async def compared(kind: Kind, told: Answers, place: Path) -> int:
    """Return how many fields were compared; each must be the same."""
    bodies = {a: answer(SERVICES.get(a, "ec2"), a, told[a]) for a in kind.actions}
    read = [by_boto3(action, body) for action, body in bodies.items()]
    expected = {item["id"]: item for item in kind.expected(*read) if item is not None}
    said = {SEEN.get(action, action): body for action, body in bodies.items()}
    async with cloud_that_says(said, place) as cloud:
        listed = cloud.each(kind.operation, *kind.args, where=kind.where)
        found = {thing.id: thing async for thing in listed}
    assert found.keys() == expected.keys()
    return sum(same(found[id], wanted) for id, wanted in expected.items())


def same(thing: Resource, wanted: fields.Fields) -> int:
    assert {*wanted, "extra"} == set(thing.__struct_fields__)
    count = 0
    for name, value in wanted.items():
        assert seen(getattr(thing, name)) == value, f"{name} of {thing.id}"
        count += leaves(value)
    return count


def seen(value: Any) -> Any:
    """Return a field as boto3_fields tells it: rules have ids of the driver's own making."""
    if isinstance(value, tuple) and value and isinstance(value[0], Rule):
        return tuple(
            {name: getattr(rule, name) for name in rule.__struct_fields__ if name != "id"}
            for rule in value
        )
    return value


def leaves(value: Any) -> int:
    """Return how many single values are in a field; a missing or empty one is one, too."""
    if isinstance(value, Mapping):
        return max(1, sum(map(leaves, value.values())))
    if isinstance(value, (list, tuple)):
        return max(1, sum(map(leaves, value)))
    return 1


@pytest.mark.parametrize("name", KINDS)
async def test_boto3_and_the_driver_read_the_same_from_any_answer(
    name: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    kind, serial, count = KINDS[name], iter(range(1_000_000)), 0
    for seed in range(ANSWERS):
        rng = random.Random(f"{name} {seed}")
        told = {a: answer_of(SERVICES.get(a, "ec2"), a, rng) for a in kind.actions}
        complete(kind, told, serial)
        kind.related(rng, *told.values())
        count += await compared(kind, told, tmp_path)
    record_property("fields", count)
    print(f"{name}: {count} fields")  # noqa: T201  with -rP
    assert count > 100


def documented() -> Iterable[tuple[str, str, Told]]:
    """Yield the kind, the name and the answer of each of AWS's published examples."""
    examples = json.loads(EXAMPLES.read_text())["examples"]
    for name, kind in KINDS.items():
        for example in examples.get(kind.actions[0], ()):
            if example.get("output"):
                yield name, example["id"], example["output"]


DOCUMENTED = {id: (name, told) for name, id, told in documented()}


@pytest.mark.parametrize("example", DOCUMENTED)
async def test_boto3_and_the_driver_read_the_same_from_what_aws_documents(
    example: str, tmp_path: Path
) -> None:
    name, told = DOCUMENTED[example]
    kind = KINDS[name]
    others: Answers = {action: {} for action in kind.actions[1:]}
    assert await compared(kind, {kind.actions[0]: told, **others}, tmp_path) > 0


def measured(rng: random.Random) -> Told:
    """Make up an answer of GetMetricData: samples at some of the minutes of an hour, or none."""
    results = []
    for name in (*SERIES, "notAsked"):
        at = sorted(rng.sample(range(60), rng.randrange(8)))
        for statistic in ("Minimum", "Maximum", "Average"):
            seen = [minute for minute in at if rng.random() < 0.9]
            results.append(
                {
                    "Id": f"{name}_{statistic}",
                    "Timestamps": [datetime(2026, 11, 20, 9, m, tzinfo=UTC) for m in seen],
                    "Values": [fields.bounded(rng.uniform(0, 9), statistic) for _ in seen],
                    "StatusCode": "Complete",
                }
            )
    return {"MetricDataResults": rng.sample(results, len(results))}


async def test_boto3_and_the_driver_read_the_same_samples(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    id, count = "i-0123456789abcdef0", 0
    one = {"Reservations": [{"Instances": [{"InstanceId": id, "State": {"Name": "running"}}]}]}
    for seed in range(ANSWERS):
        body = answer("cloudwatch", "GetMetricData", measured(random.Random(f"metrics {seed}")))
        wanted = fields.metric(by_boto3("GetMetricData", body))
        said = {"DescribeInstances": answer("ec2", "DescribeInstances", one), "GetMetricData": body}
        async with cloud_that_says(said, tmp_path) as cloud:
            metric = await cloud.metrics.get(id)
        assert {series.name for series in metric.series} == set(SERIES)
        assert {s.name: s.samples for s in metric.series if s.samples} == wanted
        count += sum(5 * len(samples) for samples in wanted.values())
    record_property("fields", count)
    print(f"metrics: {count} fields")  # noqa: T201  with -rP
    assert count > 100


def test_every_kind_of_thing_is_compared() -> None:
    assert {interface.name for interface in collection_classes(DRIVER)} == {*KINDS, "metrics"}
