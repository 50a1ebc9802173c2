"""The driver's part of the settings file."""

from nimbi.drivers.ec2.settings import Settings as AwsSettings


class Settings(AwsSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Those of the driver `ec2`, and what its dialect needs beside them.

    `endpoint_url` is the store that a login goes to which names no provider. `write_conditions`
    says that the store keeps the conditions of writes (`If-None-Match`, `If-Match`): None trusts
    AWS alone, since a store that does not know them overwrites what it should not.
    `allowed_endpoints` are the only stores that a provider may name; None allows any, save
    addresses of the link and of this machine's cloud.
    """

    write_conditions: bool | None = None
    allowed_endpoints: tuple[str, ...] | None = None
