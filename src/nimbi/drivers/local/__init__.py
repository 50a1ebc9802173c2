"""The machine at hand as a cloud: real virtual machines by QEMU, over nimbi.qemu."""

from nimbi.driver.interface import Driver
from nimbi.drivers.local.hardware_profiles import LocalHardwareProfiles
from nimbi.drivers.local.images import LocalImages
from nimbi.drivers.local.instances import STATES, LocalInstances
from nimbi.drivers.local.keys import LocalKeys
from nimbi.drivers.local.login import own_login
from nimbi.drivers.local.realms import LocalRealms
from nimbi.drivers.local.session import (
    LocalCloud,
    Session,
    Settings,
    open_session,
    start,
    to_error,
)

DRIVER: Driver[LocalCloud, Session] = Driver(
    name="local",
    title="Local",
    settings=Settings,
    start=start,
    open=open_session,
    collections=(LocalRealms, LocalHardwareProfiles, LocalImages, LocalInstances, LocalKeys),
    to_error=to_error,
    instance_states=STATES,
    own_login=own_login,
)
