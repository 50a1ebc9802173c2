"""The driver's part of the settings file."""

from nimbi.drivers.openstack.settings import Settings as OpenStackSettings


class Settings(OpenStackSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Those of the driver `openstack`. `auth_url` is Rackspace's own Identity unless set.

    `interface` `internal` is ServiceNet, which costs nothing from a server in the same region.
    """
