"""The collections by their names on the wire, with their features."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nimbi.driver.blobs import Buckets
from nimbi.driver.capabilities import Function
from nimbi.driver.compute import HardwareProfiles, Images, Instances, Keys, Metrics, Realms
from nimbi.driver.network import (
    Addresses,
    Firewalls,
    LoadBalancers,
    NetworkInterfaces,
    Networks,
    Subnets,
)
from nimbi.driver.operation import Collection
from nimbi.driver.storage import Snapshots, Volumes
from nimbi.frontends.deltacloud.render_json import compute as json_compute
from nimbi.frontends.deltacloud.render_json import instances as json_instances
from nimbi.frontends.deltacloud.render_json import network as json_network
from nimbi.frontends.deltacloud.render_json import networks as json_networks
from nimbi.frontends.deltacloud.render_json import storage as json_storage
from nimbi.frontends.deltacloud.render_xml import compute as xml_compute
from nimbi.frontends.deltacloud.render_xml import instances as xml_instances
from nimbi.frontends.deltacloud.render_xml import network as xml_network
from nimbi.frontends.deltacloud.render_xml import networks as xml_networks
from nimbi.frontends.deltacloud.render_xml import storage as xml_storage
from nimbi.frontends.deltacloud.view import View


@dataclass(frozen=True)
class Kind:
    """One kind of thing on the wire: its names, and how it is written.

    `name` and `singular` are the elements of XML and the keys of JSON.
    """

    name: str
    singular: str
    interface: type[Collection]
    page: Function
    get: Function
    xml: Callable[[Any, View], str]
    json: Callable[[Any, View], dict[str, Any]]
    text: str


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "addresses",
            "address",
            Addresses,
            Addresses.page,
            Addresses.get,
            xml_network.address,
            json_network.address,
            "Public addresses that an account holds and points at instances.",
        ),
        Kind(
            "firewalls",
            "firewall",
            Firewalls,
            Firewalls.page,
            Firewalls.get,
            xml_network.firewall,
            json_network.firewall,
            "Named sets of rules that let traffic in.",
        ),
        Kind(
            "hardware_profiles",
            "hardware_profile",
            HardwareProfiles,
            HardwareProfiles.page,
            HardwareProfiles.get,
            xml_compute.hardware_profile,
            json_compute.hardware_profile,
            "The sizes of machines.",
        ),
        Kind(
            "images",
            "image",
            Images,
            Images.page,
            Images.get,
            xml_compute.image,
            json_compute.image,
            "What instances are started from.",
        ),
        Kind(
            "instances",
            "instance",
            Instances,
            Instances.page,
            Instances.get,
            xml_instances.instance,
            json_instances.instance,
            "The virtual machines.",
        ),
        Kind(
            "keys",
            "key",
            Keys,
            Keys.page,
            Keys.get,
            xml_compute.key,
            json_compute.key,
            "What opens a login to an instance.",
        ),
        Kind(
            "load_balancers",
            "load_balancer",
            LoadBalancers,
            LoadBalancers.page,
            LoadBalancers.get,
            xml_network.load_balancer,
            json_network.load_balancer,
            "One address in front of several instances.",
        ),
        Kind(
            "metrics",
            "metric",
            Metrics,
            Metrics.page,
            Metrics.get,
            xml_compute.metric,
            json_compute.metric,
            "What the cloud measured of its instances.",
        ),
        Kind(
            "network_interfaces",
            "network_interface",
            NetworkInterfaces,
            NetworkInterfaces.page,
            NetworkInterfaces.get,
            xml_networks.network_interface,
            json_networks.network_interface,
            "Cards by which instances join networks.",
        ),
        Kind(
            "networks",
            "network",
            Networks,
            Networks.page,
            Networks.get,
            xml_networks.network,
            json_networks.network,
            "Private networks.",
        ),
        Kind(
            "realms",
            "realm",
            Realms,
            Realms.page,
            Realms.get,
            xml_compute.realm,
            json_compute.realm,
            "Places within the cloud.",
        ),
        Kind(
            "storage_snapshots",
            "storage_snapshot",
            Snapshots,
            Snapshots.page,
            Snapshots.get,
            xml_storage.storage_snapshot,
            json_storage.storage_snapshot,
            "What volumes held at one moment.",
        ),
        Kind(
            "storage_volumes",
            "storage_volume",
            Volumes,
            Volumes.page,
            Volumes.get,
            xml_storage.storage_volume,
            json_storage.storage_volume,
            "Disks that live apart from instances.",
        ),
        Kind(
            "subnets",
            "subnet",
            Subnets,
            Subnets.page,
            Subnets.get,
            xml_networks.subnet,
            json_networks.subnet,
            "Parts of networks.",
        ),
        Kind(
            "buckets",
            "bucket",
            Buckets,
            Buckets.page,
            Buckets.get,
            xml_storage.bucket,
            json_storage.bucket,
            "Named containers of blobs.",
        ),
    )
}
