"""OpenStack: Keystone, Nova, Glance, Cinder, Neutron, Octavia and Swift."""

from nimbi.driver.interface import Driver
from nimbi.drivers.openstack.addresses import OpenStackAddresses
from nimbi.drivers.openstack.backend import Backend, start
from nimbi.drivers.openstack.discovery import found_logins
from nimbi.drivers.openstack.errors import to_error
from nimbi.drivers.openstack.firewalls import OpenStackFirewalls
from nimbi.drivers.openstack.hardware_profiles import OpenStackHardwareProfiles
from nimbi.drivers.openstack.images import OpenStackImages
from nimbi.drivers.openstack.instances import STATES, OpenStackInstances
from nimbi.drivers.openstack.keys import OpenStackKeys
from nimbi.drivers.openstack.load_balancers import OpenStackLoadBalancers
from nimbi.drivers.openstack.login import Login, own_login
from nimbi.drivers.openstack.metrics import OpenStackMetrics
from nimbi.drivers.openstack.narrowing import narrow, notes, providers
from nimbi.drivers.openstack.network_interfaces import OpenStackNetworkInterfaces
from nimbi.drivers.openstack.networks import OpenStackNetworks
from nimbi.drivers.openstack.objects.blobs import SwiftBlobs
from nimbi.drivers.openstack.objects.buckets import SwiftBuckets
from nimbi.drivers.openstack.places import urls_of
from nimbi.drivers.openstack.quotas import OpenStackQuotas
from nimbi.drivers.openstack.realms import OpenStackRealms
from nimbi.drivers.openstack.routers import OpenStackRouters
from nimbi.drivers.openstack.session import Session, open_session
from nimbi.drivers.openstack.settings import Settings
from nimbi.drivers.openstack.snapshots import OpenStackSnapshots
from nimbi.drivers.openstack.subnets import OpenStackSubnets
from nimbi.drivers.openstack.volumes import OpenStackVolumes

DRIVER: Driver[Backend, Session] = Driver(
    name="openstack",
    title="OpenStack",
    settings=Settings,
    credentials=Login,
    start=start,
    open=open_session,
    collections=(
        OpenStackRealms,
        OpenStackHardwareProfiles,
        OpenStackImages,
        OpenStackInstances,
        OpenStackKeys,
        OpenStackFirewalls,
        OpenStackAddresses,
        OpenStackNetworks,
        OpenStackSubnets,
        OpenStackRouters,
        OpenStackNetworkInterfaces,
        OpenStackLoadBalancers,
        OpenStackVolumes,
        OpenStackSnapshots,
        SwiftBuckets,
        SwiftBlobs,
        OpenStackMetrics,
        OpenStackQuotas,
    ),
    to_error=to_error,
    instance_states=STATES,
    own_login=own_login,
    found_logins=found_logins,
    urls_of=urls_of,
    narrow=narrow,
    notes=notes,
    providers=providers,
)
