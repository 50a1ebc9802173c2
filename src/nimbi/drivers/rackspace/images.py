"""Images: those of Glance, which come and go by way of Cloud Files only."""

from typing import ClassVar

from nimbi.driver.compute import Images
from nimbi.drivers.openstack.images import OpenStackImages


class RackspaceImages(OpenStackImages):
    """Images. They are made of instances; their content is not sent to or from Glance itself."""

    features: ClassVar[frozenset[str]] = OpenStackImages.features - {
        "image_visibility",
        "image_properties",
    }

    upload = Images.upload
    read = Images.read
