"""Cloud Block Storage: volumes of kinds `SATA` and `SSD`, which keep size and kind."""

from typing import ClassVar

from nimbi.driver.storage import Volumes
from nimbi.drivers.openstack.volumes import OpenStackVolumes


class RackspaceVolumes(OpenStackVolumes):
    """Volumes. Each is attached to one instance at a time."""

    features: ClassVar[frozenset[str]] = OpenStackVolumes.features - {"volume_sharing"}

    resize = Volumes.resize
    retype = Volumes.retype
