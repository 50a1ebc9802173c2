"""A value for each optional field of a request, to see it honoured or refused."""

from datetime import UTC, datetime
from typing import Any, get_type_hints

import msgspec

from nimbi.driver.capabilities import OPERATIONS
from nimbi.driver.operation import Collection
from nimbi.model.features import Feature, features_of
from nimbi.model.images import Visibility
from nimbi.model.instances import InstanceState, NewAttachment, UserFile
from nimbi.model.resource import NewResource

# Of a key pair of RFC 8032, section 7.1, test 1.
PUBLIC_KEY = (
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea nimbi-test"
)

# By type of request and field; what is not here gets ANY.
ANY = "nimbi-test"
VALUES: dict[str, Any] = {
    "user_data": b"#!/bin/sh\ntrue\n",
    "user_files": (UserFile("/etc/nimbi-test", b"a file\n"),),
    "user_iso": b"\x1f\x8b\x08\x00",
    "firewall_ids": (ANY,),
    "device": "/dev/sdz",
    "metrics": True,
    "sandbox": True,
    "public_key": PUBLIC_KEY,
    "state": InstanceState.RUNNING,
    "tags": {ANY: ANY},
    "volumes": (NewAttachment(device="/dev/sdz", size_gib=1),),
    "spot": True,
    "open_metadata": True,
    "iops": 3000,
    "throughput_mib": 125,
    "encrypted": True,
    "direction": "egress",
    "visibility": Visibility.SHARED,
    "properties": {ANY: ANY},
    "network_ids": (ANY,),
    "network_interface_ids": (ANY,),
    "fixed_address": "10.77.1.7",
    "config_drive": True,
    "scheduler_hints": {ANY: ANY},
    "changed_since": datetime(2026, 1, 1, tzinfo=UTC),
    "shared": True,
    "unattached": True,
}


def requests(interface: type[Collection]) -> tuple[tuple[str, type[msgspec.Struct]], ...]:
    """Return verb and request type of all operations of a collection that have features."""
    return tuple(
        (operation.id.partition(".")[2], hint)
        for operation in OPERATIONS.values()
        if operation.interface is interface
        for name, hint in get_type_hints(operation.function).items()
        if name != "return"
        and isinstance(hint, type)
        and issubclass(hint, msgspec.Struct)
        and (issubclass(hint, NewResource) or features_of(hint))
    )


def undeclared(
    request: type[msgspec.Struct], declared: frozenset[str]
) -> dict[str, tuple[Feature, Any]]:
    """Return the fields that a driver does not honour, each with a value to ask for."""
    return {
        field: (feature, VALUES.get(field, ANY))
        for field, feature in features_of(request).items()
        if feature.name not in declared
    }
