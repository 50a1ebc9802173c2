"""The driver's part of the settings file."""

from typing import Annotated

import msgspec

from nimbi.drivers.ec2.public_images import DEFAULT, PublicImages


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What AWS's own tools read from the environment and `~/.aws/config`, unless set here.

    `region` is where a login goes that names no provider; `profile` is whose login `own_login`
    takes. `endpoint_url` stands in for all services, `endpoint_urls` for one of `ec2`, `elb`,
    `cloudwatch`, `s3`, `sts`, `sso`, `sso_oidc`; `use_fips_endpoint` and `use_dualstack_endpoint`
    choose among AWS's own. `ca_file` holds the certificates to trust instead of the system's.

    `path_style` says whether buckets stand in the path of a URL rather than in its host; None
    decides by the endpoint. `public_images` are shown in a list of images for which no owner is
    asked. Blobs above `part_mib` go up in parts of that size, of which `parts_at_once` are on their
    way at a time; `parts_memory_mib` is what the parts of all uploads may take of memory, beyond
    which they go as they come or wait in a file.
    """

    region: str | None = None
    profile: str | None = None
    endpoint_url: str | None = None
    endpoint_urls: dict[str, str] = {}
    use_fips_endpoint: bool | None = None
    use_dualstack_endpoint: bool | None = None
    ca_file: str | None = None
    path_style: bool | None = None
    public_images: tuple[PublicImages, ...] = DEFAULT
    part_mib: Annotated[int, msgspec.Meta(ge=5, le=5120)] = 8
    parts_at_once: Annotated[int, msgspec.Meta(ge=1, le=100)] = 4
    parts_memory_mib: Annotated[int, msgspec.Meta(ge=0)] = 32
