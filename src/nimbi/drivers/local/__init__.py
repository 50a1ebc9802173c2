"""The machine at hand as a cloud: real virtual machines by QEMU, over nimbi.qemu."""

from nimbi.driver.interface import Driver
from nimbi.drivers.local.addresses import LocalAddresses
from nimbi.drivers.local.blobs import LocalBlobs
from nimbi.drivers.local.buckets import LocalBuckets
from nimbi.drivers.local.firewalls import LocalFirewalls
from nimbi.drivers.local.hardware_profiles import LocalHardwareProfiles
from nimbi.drivers.local.images import LocalImages
from nimbi.drivers.local.instances import STATES, LocalInstances
from nimbi.drivers.local.keys import LocalKeys
from nimbi.drivers.local.load_balancers import LocalLoadBalancers
from nimbi.drivers.local.login import found_logins, own_login
from nimbi.drivers.local.metrics import LocalMetrics, measurements
from nimbi.drivers.local.narrowing import narrow, notes
from nimbi.drivers.local.network_interfaces import LocalNetworkInterfaces
from nimbi.drivers.local.networks import LocalNetworks
from nimbi.drivers.local.realms import LocalRealms
from nimbi.drivers.local.session import (
    LocalCloud,
    Session,
    Settings,
    open_session,
    start,
    to_error,
)
from nimbi.drivers.local.snapshots import LocalSnapshots
from nimbi.drivers.local.subnets import LocalSubnets
from nimbi.drivers.local.volumes import LocalVolumes

DRIVER: Driver[LocalCloud, Session] = Driver(
    name="local",
    title="Local",
    settings=Settings,
    start=start,
    open=open_session,
    collections=(
        LocalRealms,
        LocalHardwareProfiles,
        LocalImages,
        LocalInstances,
        LocalKeys,
        LocalFirewalls,
        LocalAddresses,
        LocalNetworks,
        LocalSubnets,
        LocalNetworkInterfaces,
        LocalLoadBalancers,
        LocalVolumes,
        LocalSnapshots,
        LocalBuckets,
        LocalBlobs,
        LocalMetrics,
    ),
    to_error=to_error,
    instance_states=STATES,
    own_login=own_login,
    found_logins=found_logins,
    narrow=narrow,
    notes=notes,
    measurements=measurements,
)
