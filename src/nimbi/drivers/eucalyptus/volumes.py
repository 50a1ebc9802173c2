"""Volumes of Eucalyptus, all of one kind; they keep their size."""

from typing import ClassVar

from nimbi.driver.storage import Volumes
from nimbi.drivers.ec2.volumes import Ec2Volumes


class EucalyptusVolumes(Ec2Volumes):
    """Volumes. Name and description are kept as tags."""

    features: ClassVar[frozenset[str]] = frozenset({"volume_name", "volume_description"})

    resize = Volumes.resize
