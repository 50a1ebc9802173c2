"""Many clouds, one API."""

import importlib
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nimbi.model.errors import (
    CloudError,
    CloudUnavailable,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    OutOfCapacity,
    QuotaExceeded,
    Throttled,
    Timeout,
    Unauthorized,
    UnknownOutcome,
    Unsupported,
)

if TYPE_CHECKING:
    from nimbi.driver.blobs import Blobs as Blobs
    from nimbi.driver.blobs import Buckets as Buckets
    from nimbi.driver.compute import HardwareProfiles as HardwareProfiles
    from nimbi.driver.compute import Images as Images
    from nimbi.driver.compute import Instances as Instances
    from nimbi.driver.compute import Keys as Keys
    from nimbi.driver.compute import Metrics as Metrics
    from nimbi.driver.compute import Quotas as Quotas
    from nimbi.driver.compute import Realms as Realms
    from nimbi.driver.interface import Driver
    from nimbi.driver.network import Addresses as Addresses
    from nimbi.driver.network import Firewalls as Firewalls
    from nimbi.driver.network import LoadBalancers as LoadBalancers
    from nimbi.driver.network import NetworkInterfaces as NetworkInterfaces
    from nimbi.driver.network import Networks as Networks
    from nimbi.driver.network import Routers as Routers
    from nimbi.driver.network import Subnets as Subnets
    from nimbi.driver.storage import Snapshots as Snapshots
    from nimbi.driver.storage import Volumes as Volumes
    from nimbi.gateway.audit import Hooks
    from nimbi.gateway.cloud import Cloud as Cloud
    from nimbi.model.addresses import NewAddress as NewAddress
    from nimbi.model.buckets import BlobCondition as BlobCondition
    from nimbi.model.buckets import BlobFilter as BlobFilter
    from nimbi.model.buckets import BlobPlace as BlobPlace
    from nimbi.model.buckets import ByteRange as ByteRange
    from nimbi.model.buckets import NewBlob as NewBlob
    from nimbi.model.buckets import NewBucket as NewBucket
    from nimbi.model.consoles import ConsoleKind as ConsoleKind
    from nimbi.model.firewalls import AddressSource as AddressSource
    from nimbi.model.firewalls import GroupSource as GroupSource
    from nimbi.model.firewalls import NewFirewall as NewFirewall
    from nimbi.model.firewalls import NewRule as NewRule
    from nimbi.model.firewalls import PrefixListSource as PrefixListSource
    from nimbi.model.firewalls import Protocol as Protocol
    from nimbi.model.hardware_profiles import Sizes as Sizes
    from nimbi.model.images import ImageFilter as ImageFilter
    from nimbi.model.images import NewImage as NewImage
    from nimbi.model.images import NewUpload as NewUpload
    from nimbi.model.images import Visibility as Visibility
    from nimbi.model.instances import Command as Command
    from nimbi.model.instances import InstanceFilter as InstanceFilter
    from nimbi.model.instances import InstanceState as InstanceState
    from nimbi.model.instances import NewAttachment as NewAttachment
    from nimbi.model.instances import NewInstance as NewInstance
    from nimbi.model.instances import UserFile as UserFile
    from nimbi.model.keys import NewKey as NewKey
    from nimbi.model.load_balancers import Listener as Listener
    from nimbi.model.load_balancers import ListenerProtocol as ListenerProtocol
    from nimbi.model.load_balancers import NewLoadBalancer as NewLoadBalancer
    from nimbi.model.networks import NewNetwork as NewNetwork
    from nimbi.model.networks import NewNetworkInterface as NewNetworkInterface
    from nimbi.model.networks import NewSubnet as NewSubnet
    from nimbi.model.routers import NewRouter as NewRouter
    from nimbi.model.snapshots import NewSnapshot as NewSnapshot
    from nimbi.model.volumes import NewVolume as NewVolume
    from nimbi.model.volumes import VolumeTarget as VolumeTarget

__all__ = [
    "AddressSource",
    "Addresses",
    "BlobCondition",
    "BlobFilter",
    "BlobPlace",
    "Blobs",
    "Buckets",
    "ByteRange",
    "Cloud",
    "CloudError",
    "CloudUnavailable",
    "Command",
    "Conflict",
    "ConsoleKind",
    "Firewalls",
    "Forbidden",
    "GroupSource",
    "HardwareProfiles",
    "ImageFilter",
    "Images",
    "InstanceFilter",
    "InstanceState",
    "Instances",
    "Invalid",
    "Keys",
    "Listener",
    "ListenerProtocol",
    "LoadBalancers",
    "Metrics",
    "NetworkInterfaces",
    "Networks",
    "NewAddress",
    "NewAttachment",
    "NewBlob",
    "NewBucket",
    "NewFirewall",
    "NewImage",
    "NewInstance",
    "NewKey",
    "NewLoadBalancer",
    "NewNetwork",
    "NewNetworkInterface",
    "NewRouter",
    "NewRule",
    "NewSnapshot",
    "NewSubnet",
    "NewUpload",
    "NewVolume",
    "NotFound",
    "OutOfCapacity",
    "PrefixListSource",
    "Protocol",
    "QuotaExceeded",
    "Quotas",
    "Realms",
    "Routers",
    "Sizes",
    "Snapshots",
    "Subnets",
    "Throttled",
    "Timeout",
    "Unauthorized",
    "UnknownOutcome",
    "Unsupported",
    "UserFile",
    "Visibility",
    "VolumeTarget",
    "Volumes",
    "connect",
]

# Every module of the package imports this one first, so it must stay light: what a program may
# name is imported at its first use.
WHERE = {
    "Blobs": "nimbi.driver.blobs",
    "Buckets": "nimbi.driver.blobs",
    "HardwareProfiles": "nimbi.driver.compute",
    "Images": "nimbi.driver.compute",
    "Instances": "nimbi.driver.compute",
    "Keys": "nimbi.driver.compute",
    "Metrics": "nimbi.driver.compute",
    "Quotas": "nimbi.driver.compute",
    "Realms": "nimbi.driver.compute",
    "Addresses": "nimbi.driver.network",
    "Firewalls": "nimbi.driver.network",
    "LoadBalancers": "nimbi.driver.network",
    "NetworkInterfaces": "nimbi.driver.network",
    "Networks": "nimbi.driver.network",
    "Routers": "nimbi.driver.network",
    "Subnets": "nimbi.driver.network",
    "Snapshots": "nimbi.driver.storage",
    "Volumes": "nimbi.driver.storage",
    "Cloud": "nimbi.gateway.cloud",
    "NewAddress": "nimbi.model.addresses",
    "BlobCondition": "nimbi.model.buckets",
    "BlobFilter": "nimbi.model.buckets",
    "BlobPlace": "nimbi.model.buckets",
    "ByteRange": "nimbi.model.buckets",
    "NewBlob": "nimbi.model.buckets",
    "NewBucket": "nimbi.model.buckets",
    "ConsoleKind": "nimbi.model.consoles",
    "AddressSource": "nimbi.model.firewalls",
    "GroupSource": "nimbi.model.firewalls",
    "NewFirewall": "nimbi.model.firewalls",
    "NewRule": "nimbi.model.firewalls",
    "PrefixListSource": "nimbi.model.firewalls",
    "Protocol": "nimbi.model.firewalls",
    "Sizes": "nimbi.model.hardware_profiles",
    "ImageFilter": "nimbi.model.images",
    "NewImage": "nimbi.model.images",
    "NewUpload": "nimbi.model.images",
    "Visibility": "nimbi.model.images",
    "Command": "nimbi.model.instances",
    "InstanceFilter": "nimbi.model.instances",
    "InstanceState": "nimbi.model.instances",
    "NewAttachment": "nimbi.model.instances",
    "NewInstance": "nimbi.model.instances",
    "UserFile": "nimbi.model.instances",
    "NewKey": "nimbi.model.keys",
    "Listener": "nimbi.model.load_balancers",
    "ListenerProtocol": "nimbi.model.load_balancers",
    "NewLoadBalancer": "nimbi.model.load_balancers",
    "NewNetwork": "nimbi.model.networks",
    "NewNetworkInterface": "nimbi.model.networks",
    "NewSubnet": "nimbi.model.networks",
    "NewRouter": "nimbi.model.routers",
    "NewSnapshot": "nimbi.model.snapshots",
    "NewVolume": "nimbi.model.volumes",
    "VolumeTarget": "nimbi.model.volumes",
}


def __getattr__(name: str) -> Any:
    if name in WHERE:
        return getattr(importlib.import_module(WHERE[name]), name)
    raise AttributeError(f"module 'nimbi' has no attribute {name!r}")


@asynccontextmanager
async def connect(
    driver: "str | Driver[Any, Any]",
    provider: str | None = None,
    user: str | None = None,
    password: str | None = None,
    *,
    credentials: Any | None = None,
    settings: Mapping[str, Any] | None = None,
    state_dir: str | os.PathLike[str] | None = None,
    hooks: "Hooks | None" = None,
) -> AsyncIterator["Cloud"]:
    """Log in to a cloud from a program: `async with nimbi.connect("local") as cloud`. No server.

    `driver` is the name of an installed one, or the driver itself. The login is `credentials` (the
    driver's own Struct), or a user and password, or what the cloud gives to whoever owns its state
    directory. `settings` are those of the driver's part of a settings file; state is kept under
    `state_dir`, which is NIMBI_STATE_DIR by default. Raises CloudErrors:
    `nimbi.gateway.registry.UnknownDriver` when there is no such driver.
    """
    from nimbi.gateway.clouds import Clouds, credentials_from_basic
    from nimbi.gateway.registry import Registry
    from nimbi.settings import Settings

    told = state_dir if state_dir is not None else os.environ.get("NIMBI_STATE_DIR")
    place = Settings(state_dir=None if told is None else str(Path(told))).state_path()
    registry = Registry() if isinstance(driver, str) else Registry({driver.name: driver})
    name = driver if isinstance(driver, str) else driver.name
    clouds = Clouds(registry, {name: settings or {}}, place, hooks)
    try:
        login = credentials
        if login is None and user is not None:
            login = credentials_from_basic(registry.driver(name), user, password or "")
        elif login is None:
            login = clouds.own_login(name)
        async with clouds.use(name, provider, login) as cloud:
            yield cloud
    finally:
        await clouds.aclose()
