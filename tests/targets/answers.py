"""Answers made up from AWS's own machine description: any member may be there, or missing."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape
from tests.targets.service_models import service

# Words for members of which the description says only that they are text.
WORDS: dict[str, tuple[str, ...]] = {
    "CidrBlock": ("10.0.0.0/16", "10.1.0.0/24", "172.31.16.0/20"),
    "CidrIp": ("0.0.0.0/0", "10.0.0.0/8", "192.0.2.7/32"),
    "CidrIpv6": ("::/0", "2001:db8::/32", "2001:db8::7/128"),
    "CreationDate": ("2026-01-31T12:34:56.000Z", "2013-06-11T00:00:00.000Z"),
    "ETag": ('"9b2cf535f27731c974343645a3985328"', '"9b2cf535f27731c974343645a3985328-2"'),
    "IpProtocol": ("tcp", "udp", "icmp", "icmpv6", "-1", "50"),
    "Ipv6Address": ("2001:db8::1", "2001:db8:0:1::abcd"),
    "Ipv6CidrBlock": ("2001:db8::/56", "2001:db8:1::/64"),
    "Key": ("Name", "owner", "nimbi:token", "aws:cloudformation:stack-name"),
    "PrivateIpAddress": ("10.0.0.4", "172.31.16.5"),
    "PublicIp": ("198.51.100.7", "203.0.113.9"),
    "PublicIpAddress": ("198.51.100.7", "203.0.113.9"),
    "Value": ("", "web", "grün & <bold>", "a  b\tc", "'\"]]>"),
}
# Text that a careless reader would change.
TEXTS = ("plain", "with  two spaces", " edges ", "ü€😀", "a<b>&c;\"d'", "line\none", "0", "None")
NUMBERS: dict[str, tuple[Any, ...]] = {
    "boolean": (True, False),
    "integer": (0, 1, 80, 443, 1024, 65535),
    "long": (0, 1, 80, 443, 1024, 65535, 2**40),
    "float": (0.0, 0.5, 2.25, 1e6),
    "double": (0.0, 0.5, 2.25, 1e6),
}
NOT_IN_WHOLE_LISTS = {
    "ContinuationToken",
    "EncodingType",
    "IsTruncated",
    "NextContinuationToken",
    "NextMarker",
    "NextToken",
}
# Members without which a thing would be none.
ALWAYS = {"CidrIp", "CidrIpv6", "Size"}
PRESENT = 0.85
LENGTHS = (0, 1, 1, 2, 3, 4)
BEGAN = datetime(2006, 8, 25, tzinfo=UTC)


def answer_of(service_name: str, action: str, random: random.Random) -> dict[str, Any]:
    """Return an answer to an action as boto3 gives it."""
    shape = service(service_name).operation_model(action).output_shape
    return {
        name: _value(name, member, random)
        for name, member in shape.members.items()
        if name not in NOT_IN_WHOLE_LISTS and "location" not in member.serialization
    }


def _structure(shape: StructureShape, random: random.Random) -> dict[str, Any]:
    told = {}
    for name, member in shape.members.items():
        if name in ALWAYS or random.random() < PRESENT:
            told[name] = _value(name, member, random)
    return told


def _value(name: str, shape: Shape, random: random.Random) -> Any:
    if isinstance(shape, StructureShape):
        return _structure(shape, random)
    if isinstance(shape, ListShape):
        items = [_value(name, shape.member, random) for _ in range(random.choice(LENGTHS))]
        return _without_doubles(shape.member, items)
    if isinstance(shape, MapShape):
        return {}
    return _leaf(name, shape, random)


def _leaf(name: str, shape: Shape, random: random.Random) -> Any:
    if shape.type_name in NUMBERS:
        return random.choice(NUMBERS[shape.type_name])
    if shape.type_name == "timestamp":
        return BEGAN + timedelta(milliseconds=random.randrange(0, 700_000_000_000))
    if shape.type_name == "blob":
        return bytes(random.randrange(256) for _ in range(20))
    if shape.enum:
        return random.choice(shape.enum)
    if name in WORDS:
        return random.choice(WORDS[name])
    if name.endswith("Id"):
        return f"{name[:-2].lower()[:8] or 'id'}-{random.getrandbits(68):017x}"
    return random.choice(TEXTS)


def _without_doubles(shape: Shape, items: list[Any]) -> list[Any]:
    """Return the items, tags with one value for each key."""
    if isinstance(shape, StructureShape) and set(shape.members) == {"Key", "Value"}:
        return list({item["Key"]: item for item in items if len(item) == 2}.values())
    return items
