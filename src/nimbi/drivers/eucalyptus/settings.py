"""The driver's part of the settings file."""

from nimbi.drivers.ec2.settings import Settings as AwsSettings


class Settings(AwsSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Those of the driver `ec2`, and what its dialect needs beside them.

    `provider` is the cloud of a login that names none; `api_version` the version of EC2's API that
    is asked for. `allowed_hosts` are the only ones that a provider may name; None allows any, save
    addresses of the link.
    """

    provider: str | None = None
    api_version: str = "2016-11-15"
    allowed_hosts: tuple[str, ...] | None = None
