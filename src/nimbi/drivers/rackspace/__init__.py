"""Rackspace: Cloud Servers, Cloud Block Storage and Cloud Files, an OpenStack in a dialect."""

from nimbi.driver.interface import Driver
from nimbi.drivers.openstack.backend import Backend, start
from nimbi.drivers.openstack.errors import to_error
from nimbi.drivers.openstack.hardware_profiles import OpenStackHardwareProfiles
from nimbi.drivers.openstack.keys import OpenStackKeys
from nimbi.drivers.openstack.narrowing import narrow
from nimbi.drivers.openstack.objects.blobs import SwiftBlobs
from nimbi.drivers.openstack.objects.buckets import SwiftBuckets
from nimbi.drivers.openstack.places import urls_of
from nimbi.drivers.openstack.quotas import OpenStackQuotas
from nimbi.drivers.openstack.snapshots import OpenStackSnapshots
from nimbi.drivers.rackspace.images import RackspaceImages
from nimbi.drivers.rackspace.instances import STATES, RackspaceInstances
from nimbi.drivers.rackspace.login import ApiKey, found_logins, own_login
from nimbi.drivers.rackspace.realms import RackspaceRealms
from nimbi.drivers.rackspace.session import Session, open_session
from nimbi.drivers.rackspace.settings import Settings
from nimbi.drivers.rackspace.volumes import RackspaceVolumes

# Source: https://docs.rackspace.com/docs/cloud-servers/v2/general-api-info/service-access-endpoints
REGIONS = ("DFW", "HKG", "IAD", "LON", "ORD", "SYD")

DRIVER: Driver[Backend, Session] = Driver(
    name="rackspace",
    title="Rackspace",
    settings=Settings,
    credentials=ApiKey,
    start=start,
    open=open_session,
    collections=(
        RackspaceRealms,
        OpenStackHardwareProfiles,
        RackspaceImages,
        RackspaceInstances,
        OpenStackKeys,
        RackspaceVolumes,
        OpenStackSnapshots,
        SwiftBuckets,
        SwiftBlobs,
        OpenStackQuotas,
    ),
    to_error=to_error,
    instance_states=STATES,
    own_login=own_login,
    found_logins=found_logins,
    urls_of=urls_of,
    narrow=narrow,
    entrypoints={
        "compute": {name: f"{name.lower()}.servers.api.rackspacecloud.com" for name in REGIONS}
    },
)
