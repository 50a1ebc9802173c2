"""What an account holds at moto, asked by boto3 and so without a line of ours."""

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

import boto3
from botocore.config import Config

Census = Mapping[str, frozenset[str]]


# Making one takes boto3 a second: it reads its description of the whole service.
@cache
def clients(url: str, region: str) -> Mapping[str, Any]:
    """Return boto3's clients for a server that stands in for AWS."""
    session = boto3.Session("AKIATESTTESTTESTTEST", "secret", region_name=region)
    config = Config(proxies={}, retries={"total_max_attempts": 1})
    return {
        name: session.client(name, endpoint_url=url, config=config)
        for name in ("ec2", "elbv2", "s3")
    }


def _ids(items: Iterable[Mapping[str, Any]], name: str) -> frozenset[str]:
    return frozenset(item[name] for item in items)


def _instances(ec2: Any) -> frozenset[str]:
    return frozenset(
        instance["InstanceId"]
        for reservation in ec2.describe_instances(MaxResults=1000)["Reservations"]
        for instance in reservation["Instances"]
        if instance["State"]["Name"] not in ("terminated", "shutting-down")
    )


def _rules(ec2: Any) -> frozenset[str]:
    rules = ec2.describe_security_group_rules()["SecurityGroupRules"]
    return _ids(rules, "SecurityGroupRuleId")


def _balancers(elb: Any) -> list[Mapping[str, Any]]:
    pages = elb.get_paginator("describe_load_balancers").paginate()
    return [balancer for page in pages for balancer in page["LoadBalancers"]]


def _listeners(elb: Any) -> frozenset[str]:
    return frozenset(
        listener["ListenerArn"]
        for balancer in _balancers(elb)
        for listener in elb.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])[
            "Listeners"
        ]
    )


def _uploads(s3: Any) -> frozenset[str]:
    return frozenset(
        upload["UploadId"]
        for bucket in s3.list_buckets()["Buckets"]
        for upload in s3.list_multipart_uploads(Bucket=bucket["Name"]).get("Uploads", ())
    )


def _blobs(s3: Any) -> frozenset[str]:
    return frozenset(
        f"{bucket['Name']}/{blob['Key']}"
        for bucket in s3.list_buckets()["Buckets"]
        for blob in s3.list_objects_v2(Bucket=bucket["Name"]).get("Contents", ())
    )


KINDS: Mapping[str, tuple[str, Callable[[Any], frozenset[str]]]] = {
    "instances": ("ec2", _instances),
    "volumes": ("ec2", lambda c: _ids(c.describe_volumes()["Volumes"], "VolumeId")),
    "snapshots": (
        "ec2",
        lambda c: _ids(c.describe_snapshots(OwnerIds=["self"])["Snapshots"], "SnapshotId"),
    ),
    "images": ("ec2", lambda c: _ids(c.describe_images(Owners=["self"])["Images"], "ImageId")),
    "keys": ("ec2", lambda c: _ids(c.describe_key_pairs()["KeyPairs"], "KeyPairId")),
    "firewalls": ("ec2", lambda c: _ids(c.describe_security_groups()["SecurityGroups"], "GroupId")),
    "rules": ("ec2", _rules),
    "addresses": ("ec2", lambda c: _ids(c.describe_addresses()["Addresses"], "AllocationId")),
    "networks": ("ec2", lambda c: _ids(c.describe_vpcs()["Vpcs"], "VpcId")),
    "subnets": ("ec2", lambda c: _ids(c.describe_subnets()["Subnets"], "SubnetId")),
    "gateways": (
        "ec2",
        lambda c: _ids(c.describe_internet_gateways()["InternetGateways"], "InternetGatewayId"),
    ),
    "network_interfaces": (
        "ec2",
        lambda c: _ids(c.describe_network_interfaces()["NetworkInterfaces"], "NetworkInterfaceId"),
    ),
    "load_balancers": (
        "elbv2",
        lambda c: _ids(_balancers(c), "LoadBalancerArn"),
    ),
    "target_groups": (
        "elbv2",
        lambda c: _ids(c.describe_target_groups()["TargetGroups"], "TargetGroupArn"),
    ),
    "listeners": ("elbv2", _listeners),
    "buckets": ("s3", lambda c: _ids(c.list_buckets()["Buckets"], "Name")),
    "blobs": ("s3", _blobs),
    "uploads": ("s3", _uploads),
}


def census(of: Mapping[str, Any], *, with_snapshots: bool = True) -> Census:
    """Return the ids of all that there is, by kind.

    moto has hundreds of snapshots from its start, and is slow to list them.
    """
    return {
        kind: look(of[client])
        for kind, (client, look) in KINDS.items()
        if with_snapshots or kind != "snapshots"
    }


def gained(before: Census, after: Census) -> dict[str, int]:
    """Return how many things of each kind are new; raises AssertionError when one is gone."""
    for kind, ids in before.items():
        assert ids <= after[kind], f"{kind} are gone: {ids - after[kind]}"
    return {kind: len(after[kind] - ids) for kind, ids in before.items() if after[kind] - ids}
