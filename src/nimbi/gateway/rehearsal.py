"""What can be checked of a call without making it: that what it names is there, and fits."""

from collections.abc import Callable, Container, Iterator, Mapping
from inspect import signature
from typing import TYPE_CHECKING, Any

import msgspec

from nimbi.driver.blobs import Buckets
from nimbi.driver.capabilities import OPERATIONS, Function
from nimbi.driver.compute import HardwareProfiles, Images, Instances, Keys, Quotas, Realms
from nimbi.driver.network import Firewalls, LoadBalancers, NetworkInterfaces, Networks, Subnets
from nimbi.driver.operation import Collection
from nimbi.driver.storage import Snapshots, Volumes
from nimbi.model.errors import Conflict, NotFound, QuotaExceeded
from nimbi.model.hardware_profiles import HardwareProfile, Sizes
from nimbi.model.instances import Instance
from nimbi.model.quotas import Quota

if TYPE_CHECKING:
    from nimbi.gateway.cloud import Cloud

# Which collection a field names a thing of; a field that ends in s names several.
REFERENCES: Mapping[str, Any] = {
    "boot_volume_id": Volumes.get,
    "bucket_id": Buckets.get,
    "external_network_id": Networks.get,
    "firewall_ids": Firewalls.get,
    "hardware_profile_id": HardwareProfiles.get,
    "image_id": Images.get,
    "instance_id": Instances.get,
    "key_id": Keys.get,
    "load_balancer_id": LoadBalancers.get,
    "network_id": Networks.get,
    "network_ids": Networks.get,
    "network_interface_ids": NetworkInterfaces.get,
    "realm_id": Realms.get,
    "snapshot_id": Snapshots.get,
    "subnet_id": Subnets.get,
    "volume_id": Volumes.get,
}

# What the state of a thing forbids, beside the state machine of instances.
FORBIDDEN: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "addresses.associate": (lambda a: a.instance_id is not None, "points at an instance already"),
    "addresses.destroy": (lambda a: a.instance_id is not None, "points at an instance"),
    "addresses.disassociate": (lambda a: a.instance_id is None, "is free already"),
    "volumes.attach": (lambda v: v.instance_id and not v.shared, "is attached already"),
    "volumes.destroy": (lambda v: v.instance_id is not None, "is attached"),
    "volumes.detach": (lambda v: v.instance_id is None, "is attached nowhere"),
}

# Names are unique in these; their lists are short.
UNIQUE = frozenset({"keys.create", "firewalls.create", "buckets.create"})


async def rehearse(
    cloud: "Cloud", operation: Function, args: tuple[Any, ...], named: Mapping[str, Any]
) -> None:
    """Raise what the cloud would answer, as far as reading tells; nothing is changed.

    The arguments are checked already as such. What may happen between this and the call is not
    foreseen, nor what only the cloud knows: its room, its rules.
    """
    given = signature(operation).bind(None, *args, **named).arguments
    found = OPERATIONS[operation]
    thing = await _thing(cloud, found.interface, given)
    if thing is not None:
        _check_state(cloud, found.id, thing)
    for name, value in given.items():
        await _check_references(cloud, name, value)
    if found.id in UNIQUE:
        await _check_name(cloud, found.interface, given["new"].name)
    if found.id.endswith(".create"):
        await _check_quota(cloud, found.interface.name)


async def _thing(cloud: "Cloud", interface: type[Collection], given: Mapping[str, Any]) -> Any:
    """Return the thing that the operation is about, None when it is about none."""
    get: Any = getattr(interface, "get", None)
    if "id" not in given or get is None or not cloud.supports(get):
        return None
    before = [given["bucket_id"]] if "bucket_id" in given else []
    call: Any = cloud.call
    return await call(get, *before, given["id"])


def _check_state(cloud: "Cloud", operation: str, thing: Any) -> None:
    told = FORBIDDEN.get(operation)
    if told is not None and told[0](thing):
        raise Conflict(f"{thing.id!r} {told[1]}")
    if isinstance(thing, Instance):
        name = operation.partition(".")[2]
        moves = {way.by for way in cloud.instance_states.transitions}
        if name in moves and name not in cloud.instance_operations(thing):
            raise Conflict(f"the instance {thing.id!r} is {thing.state}: {name} is not possible")


async def _check_references(cloud: "Cloud", name: str, value: Any) -> None:
    """Raise NotFound for a thing that is named and is not there, at any depth."""
    profile: HardwareProfile | None = None
    for field, ids in named_in(name, value, REFERENCES):
        get = REFERENCES[field]
        if not cloud.supports(get):
            continue
        for id in ids:
            thing: Any = await cloud.call(get, id)
            if isinstance(thing, HardwareProfile):
                profile = thing
    sizes = getattr(value, "sizes", None)
    if profile is not None and isinstance(sizes, Sizes):
        profile.check(sizes)


def named_in(
    name: str, value: Any, fields: Container[str]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield those of some fields that name things, at any depth, with their ids."""
    if name in fields and value:
        yield name, value if isinstance(value, tuple) else (value,)
    elif isinstance(value, msgspec.Struct):
        for field in value.__struct_fields__:
            yield from named_in(field, getattr(value, field), fields)
    elif isinstance(value, tuple):
        for one in value:
            if isinstance(one, msgspec.Struct):
                yield from named_in("", one, fields)


async def _check_name(cloud: "Cloud", interface: type[Collection], name: str) -> None:
    page: Any = getattr(interface, "page", None)
    if not cloud.supports(page):
        return
    async for thing in cloud.each(page):
        if thing.name == name:
            raise Conflict(f"the name {name!r} is in use")


async def _check_quota(cloud: "Cloud", collection: str) -> None:
    if not cloud.supports(Quotas.get):
        return
    try:
        quota: Quota = await cloud.quotas.get(collection)
    except NotFound:
        return
    if quota.limit is not None and quota.used is not None and quota.used >= quota.limit:
        raise QuotaExceeded(f"{quota.used} of {quota.limit} {collection} are in use")
