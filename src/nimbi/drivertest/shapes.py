"""Whether what a cloud reports is what the model says, and where its references lead."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from nimbi.driver.blobs import Buckets
from nimbi.driver.compute import HardwareProfiles, Images, Instances, Keys, Realms
from nimbi.driver.network import Firewalls, NetworkInterfaces, Networks, Subnets
from nimbi.driver.operation import Collection
from nimbi.driver.storage import Snapshots, Volumes
from nimbi.model.page import Page
from nimbi.model.resource import Resource

# Which collection a field's ids belong to. An `owner_id` is the cloud's own business.
REFERENCES: dict[str, type[Collection]] = {
    "bucket_id": Buckets,
    "external_network_id": Networks,
    "firewall_ids": Firewalls,
    "hardware_profile_id": HardwareProfiles,
    "hardware_profile_ids": HardwareProfiles,
    "image_id": Images,
    "instance_id": Instances,
    "instance_ids": Instances,
    "key_id": Keys,
    "network_id": Networks,
    "network_interface_ids": NetworkInterfaces,
    "realm_id": Realms,
    "realm_ids": Realms,
    "snapshot_id": Snapshots,
    "subnet_id": Subnets,
    "subnet_ids": Subnets,
    "volume_id": Volumes,
}


def faults_in(thing: Any, kind: type[Any]) -> list[str]:
    """Return what is wrong with the type of a reported thing, in words; nothing is right.

    Structs are not checked when they are made, so a driver can put anything into them.
    """
    if type(thing) is not kind:
        return [f"it is a {type(thing).__name__}, not a {kind.__name__}"]
    found = list(_walk(plain(thing), kind.__name__))
    try:
        told = msgspec.to_builtins(plain(thing), builtin_types=(datetime, bytes))
        msgspec.convert(told, kind)
    except (msgspec.ValidationError, TypeError) as error:
        found.append(f"{kind.__name__}: {error}")
    if isinstance(thing, Resource) and not thing.id:
        found.append(f"{kind.__name__}.id is empty")
    return found


def page_faults(page: Any) -> list[str]:
    """Return what is wrong with the type of a page, without its items."""
    if not isinstance(page, Page):
        return [f"it is a {type(page).__name__}, not a Page"]
    found: list[str] = []
    if not isinstance(page.items, tuple):
        found.append(f"Page.items is a {type(page.items).__name__}, not a tuple")
    if not isinstance(page.next, str | None):
        found.append(f"Page.next is a {type(page.next).__name__}, not a str or None")
    return found


def plain(thing: Any) -> Any:
    """Return a thing without `extra`, which is the cloud's own and may differ between answers."""
    return msgspec.structs.replace(thing, extra={}) if isinstance(thing, Resource) else thing


def references(thing: msgspec.Struct) -> Iterator[tuple[str, type[Collection], str]]:
    """Yield field, collection and id of all that a thing refers to, at any depth."""
    for field in thing.__struct_fields__:
        value = getattr(thing, field)
        if field in REFERENCES:
            ids = (value,) if isinstance(value, str) else value or ()
            yield from ((field, REFERENCES[field], id) for id in ids)
        elif isinstance(value, msgspec.Struct):
            yield from references(value)
        elif isinstance(value, tuple):
            for item in value:
                if isinstance(item, msgspec.Struct):
                    yield from references(item)


def _walk(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, datetime) and value.utcoffset() != timedelta(0):
        yield f"{path} is {value!r}, not an aware UTC time"
    if isinstance(value, list | set | bytearray):
        yield f"{path} is a {type(value).__name__}, which can be changed"
    for name, part in _parts(value):
        yield from _walk(part, f"{path}{name}")


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, msgspec.Struct):
        yield from ((f".{field}", getattr(value, field)) for field in value.__struct_fields__)
    elif isinstance(value, Mapping):
        yield from ((f"[{key!r}]", part) for key, part in value.items())
    elif isinstance(value, tuple):
        yield from ((f"[{at}]", part) for at, part in enumerate(value))
