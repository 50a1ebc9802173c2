"""The same answers, read by openstacksdk and by the driver, give the same neutral fields."""

import asyncio
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from openstack.connection import Connection
from tests.drivers.openstack import samples
from tests.drivers.openstack import sdk_fields as fields
from tests.drivers.openstack.stand_in import LOGIN, PROJECT, Asked, StandIn, standing_in
from tests.targets.openstack.projects import quiet

import openstack
from nimbi.driver.blobs import Blobs, Buckets
from nimbi.driver.capabilities import collection_classes
from nimbi.driver.compute import HardwareProfiles, Images, Instances, Keys, Realms
from nimbi.driver.network import (
    Addresses,
    Firewalls,
    NetworkInterfaces,
    Networks,
    Routers,
    Subnets,
)
from nimbi.driver.storage import Snapshots, Volumes
from nimbi.drivers.openstack import DRIVER
from nimbi.drivertest import opened
from nimbi.model.resource import Resource

ANSWERS = 12
MOST = 6
BUCKET = "bucket"

Json = dict[str, Any]
Lists = Mapping[str, list[Json]]


@dataclass(frozen=True)
class Kind:
    """How a list is asked for, the lists that answer, and what openstacksdk's objects mean."""

    operation: Any
    shapes: Mapping[str, Any]
    expected: Callable[[Connection], Iterable[fields.Fields]]
    args: tuple[str, ...] = ()


def each(list_of: Callable[[Connection], Iterable[Any]], read: Any, *others: Any) -> Any:
    """Return what reads each object of a list, with whole lists beside it."""

    def expected(sdk: Connection) -> list[fields.Fields]:
        beside = [list(other(sdk)) for other in others]
        found = [read(told, *beside) for told in list_of(sdk)]
        return [each for each in found if each is not None]

    return expected


# Where the lists of services are, by the name of their items.
PATHS: Mapping[str, str] = {
    "availabilityZoneInfo": "/compute/v2.1/os-availability-zone",
    "flavors": "/compute/v2.1/flavors/detail",
    "servers": "/compute/v2.1/servers/detail",
    "keypairs": "/compute/v2.1/os-keypairs",
    "images": "/image/v2/images",
    "volumes": f"/volume/v3/{PROJECT}/volumes/detail",
    "snapshots": f"/volume/v3/{PROJECT}/snapshots/detail",
    "networks": "/network/v2.0/networks",
    "subnets": "/network/v2.0/subnets",
    "routers": "/network/v2.0/routers",
    "ports": "/network/v2.0/ports",
    "floatingips": "/network/v2.0/floatingips",
    "security_groups": "/network/v2.0/security-groups",
    "containers": f"/v1/AUTH_{PROJECT}",
    "objects": f"/v1/AUTH_{PROJECT}/{BUCKET}",
}
# What services tell of themselves: path, and the newest microversion.
VERSIONS: Mapping[str, tuple[str, str]] = {
    "/compute/v2.1": ("v2.1", "2.90"),
    "/image/v2": ("v2.16", ""),
    "/volume/v3": ("v3.0", "3.59"),
    "/network/v2.0": ("v2.0", ""),
}
# Swift's lists have no name, and go on until one is empty.
UNNAMED = ("containers", "objects")


def owned(device_owner: str) -> Json:
    return {**samples.PORT, "device_owner": device_owner}


KINDS: Mapping[str, Kind] = {
    "realms": Kind(
        Realms.page,
        {"availabilityZoneInfo": samples.ZONE},
        each(lambda sdk: sdk.compute.availability_zones(), fields.realm),
    ),
    "hardware_profiles": Kind(
        HardwareProfiles.page,
        {"flavors": samples.FLAVOUR},
        each(lambda sdk: sdk.compute.flavors(), fields.hardware_profile),
    ),
    "images": Kind(
        Images.page,
        {"images": samples.IMAGE},
        each(lambda sdk: sdk.image.images(), fields.image),
    ),
    "instances": Kind(
        Instances.page,
        {
            "servers": {**samples.SERVER, "id": samples.one(*samples.SERVERS)},
            "ports": owned("compute:nova"),
        },
        each(lambda sdk: sdk.compute.servers(), fields.instance, lambda sdk: sdk.network.ports()),
    ),
    "keys": Kind(
        Keys.page,
        {"keypairs": samples.KEYPAIR},
        each(lambda sdk: sdk.compute.keypairs(), fields.key),
    ),
    "firewalls": Kind(
        Firewalls.page,
        {"security_groups": samples.GROUP},
        each(
            lambda sdk: sdk.network.security_groups(),
            fields.firewall,
            lambda sdk: sdk.network.security_groups(),
        ),
    ),
    "addresses": Kind(
        Addresses.page,
        {"floatingips": samples.FLOATING_IP},
        each(lambda sdk: sdk.network.ips(), fields.address),
    ),
    "networks": Kind(
        Networks.page,
        {"networks": samples.NETWORK, "subnets": samples.SUBNET},
        each(lambda sdk: sdk.network.networks(), fields.network, lambda sdk: sdk.network.subnets()),
    ),
    "subnets": Kind(
        Subnets.page,
        {"subnets": samples.SUBNET, "networks": samples.NETWORK},
        each(lambda sdk: sdk.network.subnets(), fields.subnet, lambda sdk: sdk.network.networks()),
    ),
    "routers": Kind(
        Routers.page,
        {
            "routers": {**samples.ROUTER, "id": samples.one(*samples.SERVERS)},
            "ports": {
                **owned("network:router_interface"),
                "device_id": samples.one(*samples.SERVERS),
            },
        },
        each(lambda sdk: sdk.network.routers(), fields.router, lambda sdk: sdk.network.ports()),
    ),
    "network_interfaces": Kind(
        NetworkInterfaces.page,
        {"ports": samples.PORT},
        each(lambda sdk: sdk.network.ports(), fields.network_interface),
    ),
    "volumes": Kind(
        Volumes.page,
        {"volumes": samples.VOLUME},
        each(lambda sdk: sdk.block_storage.volumes(), fields.volume),
    ),
    "snapshots": Kind(
        Snapshots.page,
        {"snapshots": samples.SNAPSHOT},
        each(lambda sdk: sdk.block_storage.snapshots(), fields.snapshot),
    ),
    "buckets": Kind(
        Buckets.page,
        {"containers": samples.CONTAINER},
        each(lambda sdk: sdk.object_store.containers(), fields.bucket),
    ),
    "blobs": Kind(
        Blobs.page,
        {"objects": samples.OBJECT},
        lambda sdk: [fields.blob(told, BUCKET) for told in sdk.object_store.objects(BUCKET)],
        (BUCKET,),
    ),
}
# Those of which openstacksdk makes no objects that could be compared, or that are many lists.
APART = {"quotas", "metrics", "load_balancers"}


def lists_of(kind: Kind, rng: random.Random) -> Lists:
    """Return lists without doubles, as services give them: in the order of ids."""
    found = {}
    for name, shape in kind.shapes.items():
        things = [samples.made(shape, rng) for _ in range(rng.randrange(1, MOST + 1))]
        found[name] = [
            thing for _, thing in sorted({_id(thing): thing for thing in things}.items())
        ]
    if "networks" in found and "subnets" in found:
        ids = [network["id"] for network in found["networks"]]
        for subnet in found["subnets"]:
            subnet["network_id"] = rng.choice(ids)
    if "routers" in found:
        ids = [router["id"] for router in found["routers"]]
        found["ports"] = [port for port in found["ports"] if port["device_id"] in ids]
    return found


def _id(thing: Json) -> str:
    inner = thing.get("keypair", thing)
    return str(inner.get("id") or inner.get("name") or inner.get("zoneName") or "")


def answering(name: str, items: list[Json]) -> Callable[[Asked], web.Response]:
    """Return what answers with a list: whole, then empty; by what Neutron sifts networks by."""

    def answer(asked: Asked) -> web.Response:
        shown = [] if "marker" in asked.query else items
        if "router:external" in asked.query:
            shown = [item for item in shown if item["router:external"]]
        return web.json_response(shown if name in UNNAMED else {name: shown})

    return answer


def introduce(cloud: StandIn) -> None:
    """Let services tell of themselves what openstacksdk wants to know before it asks."""
    for path, (id, newest) in VERSIONS.items():
        told = {
            "id": id,
            "status": "CURRENT",
            "version": newest,
            "min_version": newest and f"{id[1]}.1",
            "links": [{"rel": "self", "href": f"{cloud.url}{path}/"}],
        }
        for place in (path, f"{path}/"):
            cloud.tell(
                f"GET {place}", {"versions": [told]} if "volume" in path else {"version": told}
            )


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    """Give openstacksdk, which looks up no versions."""
    with quiet():
        connection = openstack.connect(
            auth_type="v3password",
            auth_url=f"{url}/identity/v3",
            username="me",
            password="a secret",
            project_name="mine",
            user_domain_id="default",
            project_domain_id="default",
            region_name="here",
            load_yaml_config=False,
            load_envvars=False,
            compute_endpoint_override=f"{url}/compute/v2.1",
            image_endpoint_override=f"{url}/image/v2",
            network_endpoint_override=f"{url}/network/v2.0",
            block_storage_endpoint_override=f"{url}/volume/v3/{PROJECT}",
            volume_endpoint_override=f"{url}/volume/v3/{PROJECT}",
            object_store_endpoint_override=f"{url}/v1/AUTH_{PROJECT}",
        )
        with connection:
            yield connection


async def compared(kind: Kind, lists: Lists, cloud: StandIn, sdk: Connection, place: Path) -> int:
    """Return how many fields were compared; each must be the same."""
    for name, items in lists.items():
        for path in (PATHS[name], f"{PATHS[name]}/"):
            cloud.tell(f"GET {path}", answering(name, items))
    expected = {item["id"]: item for item in await asyncio.to_thread(_read, kind, sdk)}
    async with opened(DRIVER, place, credentials=LOGIN, provider=cloud.auth_url) as ours:
        found = {thing.id: thing async for thing in ours.each(kind.operation, *kind.args)}
    assert found.keys() == expected.keys()
    return sum(same(found[id], wanted) for id, wanted in expected.items())


def _read(kind: Kind, sdk: Connection) -> list[fields.Fields]:
    with quiet():
        return list(kind.expected(sdk))


def same(thing: Resource, wanted: fields.Fields) -> int:
    assert {*wanted, "extra"} == set(thing.__struct_fields__)
    count = 0
    for name, value in wanted.items():
        assert seen(name, getattr(thing, name)) == value, f"{name} of {thing!r}"
        count += leaves(value)
    return count


def seen(name: str, value: Any) -> Any:
    """Return a field as sdk_fields tells it: rules without ids, of which one may stand for two."""
    if name != "rules":
        return value
    return {
        (r.protocol, r.port_from, r.port_to, r.sources, r.direction, r.description) for r in value
    }


def leaves(value: Any) -> int:
    """Return how many single values are in a field; a missing or empty one is one, too."""
    if isinstance(value, Mapping):
        return max(1, sum(map(leaves, value.values())))
    if isinstance(value, (list, tuple, set)):
        return max(1, sum(map(leaves, value)))
    return 1


@pytest.mark.parametrize("name", KINDS)
async def test_openstacksdk_and_the_driver_read_the_same_from_any_answer(
    name: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    kind, count = KINDS[name], 0
    async with standing_in() as cloud:
        introduce(cloud)
        with connected(cloud.url) as sdk:
            for seed in range(ANSWERS):
                lists = lists_of(kind, random.Random(f"{name} {seed}"))
                count += await compared(kind, lists, cloud, sdk, tmp_path)
    record_property("fields", count)
    print(f"{name}: {count} fields")  # noqa: T201  with -rP
    assert count > 50


def test_every_kind_of_thing_is_compared() -> None:
    assert {interface.name for interface in collection_classes(DRIVER)} - APART == set(KINDS)
