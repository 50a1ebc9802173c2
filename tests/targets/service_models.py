"""AWS's own machine description of its services: what may be asked, and how answers are written."""

import base64
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from typing import Any
from xml.sax.saxutils import escape

from botocore.loaders import Loader
from botocore.model import ListShape, OperationModel, ServiceModel, Shape, StructureShape

# By the version that every request of the query protocols carries.
SERVICES = {
    "2016-11-15": "ec2",
    "2015-12-01": "elbv2",
    "2010-08-01": "cloudwatch",
    "2011-06-15": "sts",
}
S3_ROOTS = {"ListBuckets": "ListAllMyBucketsResult", "ListObjectsV2": "ListBucketResult"}
NOT_OF_AN_OPERATION = {"Action", "Version"}


@cache
def service(name: str) -> ServiceModel:
    """Return the model of `ec2`, `elbv2`, `cloudwatch`, `sts` or `s3`."""
    return ServiceModel(Loader().load_service_model(name, "service-2"), name)


def operation(form: Mapping[str, str]) -> OperationModel:
    """Return the operation that a request of a query protocol asks for."""
    found: OperationModel = service(SERVICES[form["Version"]]).operation_model(form["Action"])
    return found


def unknown_parameters(form: Mapping[str, str]) -> list[str]:
    """Return the parameters of a request that its operation does not have."""
    shape = operation(form).input_shape
    is_ec2 = form["Version"] == "2016-11-15"
    names = [name for name in form if name not in NOT_OF_AN_OPERATION]
    return [name for name in names if _leaf(shape, name.split("."), is_ec2) is None]


def missing_parameters(form: Mapping[str, str]) -> list[str]:
    """Return the parameters that an operation requires and that a request lacks."""
    shape = operation(form).input_shape
    is_ec2 = form["Version"] == "2016-11-15"
    if shape is None:
        return []
    wanted = [_asked_name(name, shape.members[name], is_ec2) for name in shape.required_members]
    return [w for w in wanted if not any(n == w or n.startswith(f"{w}.") for n in form)]


def has_pages(form: Mapping[str, str]) -> bool:
    """Return whether what a request asks for is a list that AWS may give in parts."""
    shape = operation(form).output_shape
    return shape is not None and "NextToken" in shape.members


def _asked_name(name: str, shape: Shape, is_ec2: bool) -> str:
    """Return the name of a member in requests.

    Source: the serializers of botocore, which follow AWS's query and EC2 protocols.
    """
    if not is_ec2:
        return str(shape.serialization.get("name", name))
    if "queryName" in shape.serialization:
        return str(shape.serialization["queryName"])
    told = str(shape.serialization.get("name", name))
    return told[0].upper() + told[1:]


def _leaf(shape: Shape | None, path: list[str], is_ec2: bool) -> Shape | None:
    """Return the shape of `Filter.1.Value.2` in a request, None when there is no such thing."""
    if shape is None or not path:
        return shape if shape is not None and shape.type_name not in ("structure", "list") else None
    if isinstance(shape, StructureShape):
        for name, member in shape.members.items():
            if _asked_name(name, member, is_ec2) == path[0]:
                return _leaf(member, path[1:], is_ec2)
        return None
    if isinstance(shape, ListShape):
        if not is_ec2 and not shape.serialization.get("flattened"):
            if path[0] != shape.member.serialization.get("name", "member"):
                return None
            path = path[1:]
        return _leaf(shape.member, path[1:], is_ec2) if path and path[0].isdigit() else None
    return None


def answer(service_name: str, action: str, told: Mapping[str, Any]) -> bytes:
    """Return an answer of a service as XML, from a dict as boto3 gives it."""
    model = service(service_name)
    shape = model.operation_model(action).output_shape
    inside = "".join(_members(shape, told)) if shape is not None else ""
    if service_name == "s3":
        root = S3_ROOTS[action]
        return f'<{root} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{inside}</{root}>'.encode()
    if service_name == "ec2":
        inside += "<requestId>59dbff89-35bd-4eac-99ed-be587EXAMPLE</requestId>"
    else:
        inside = f"<{action}Result>{inside}</{action}Result><ResponseMetadata/>"
    space = model.metadata.get("xmlNamespace", f"http://ec2.amazonaws.com/doc/{model.api_version}/")
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<{action}Response xmlns="{space}">'
        f"{inside}</{action}Response>"
    ).encode()


def _members(shape: StructureShape, told: Mapping[str, Any]) -> Iterator[str]:
    unknown = set(told) - set(shape.members)
    assert not unknown, f"{shape.name} has no {unknown}"
    for name, member in shape.members.items():
        if name in told and "location" not in member.serialization:
            yield from _written(member.serialization.get("name", name), member, told[name])


def _written(name: str, shape: Shape, value: Any) -> Iterator[str]:
    if isinstance(shape, StructureShape):
        yield f"<{name}>{''.join(_members(shape, value))}</{name}>"
    elif isinstance(shape, ListShape):
        is_flat = bool(shape.serialization.get("flattened"))
        each = name if is_flat else shape.member.serialization.get("name", "member")
        items = "".join(part for item in value for part in _written(each, shape.member, item))
        yield items if is_flat else f"<{name}>{items}</{name}>"
    else:
        yield f"<{name}>{escape(_text(shape, value))}</{name}>"


def _text(shape: Shape, value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03}Z"
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value)
