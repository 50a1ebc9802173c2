"""The driver's part of the settings file."""

from typing import Annotated, Literal

import msgspec


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a login goes that does not say so itself, and what to take from where it goes.

    `auth_url` is the Keystone of a login that names no provider, `region` the region of one that
    names none; `cloud` is the entry of `clouds.yaml` that `own_login` takes. Both stand before what
    the environment says (`OS_AUTH_URL`, `OS_REGION_NAME`, `OS_CLOUD`). `interface` is which of a
    service's endpoints are called; `endpoint_urls` stand in for those of the catalogue, by service.
    `domain` is that of users and projects whose login names none. `external_network` is the
    network, by id or name, from which public addresses are; `balancer_subnet` the subnet in which
    load balancers have theirs. Without them the cloud's default is taken, or what fits best.

    `allowed_endpoints` are the only Keystones that a provider may name; None allows any, save
    addresses of the link and of this machine's cloud. `ca_file` holds the certificates to trust
    instead of the system's.

    A blob of a known size up to `whole_mib` goes up in one request; others go in segments of
    `segment_mib`, of which `segments_at_once` are on their way at a time; `segments_memory_mib` is
    what the segments of all uploads may take of memory, beyond which they go as they come or wait
    in a file. Up to `verified_mib`, what goes or comes in one piece is compared with its checksum.
    `temp_url_key` signs links to blobs; without one, that of the account is used, and set when it
    has none. `write_conditions` says that writes of blobs may have conditions, though Swift looks
    before it writes and not while: of two who write at the same time, both may.
    """

    auth_url: str | None = None
    region: str | None = None
    cloud: str | None = None
    domain: str = "default"
    interface: Literal["public", "internal", "admin"] = "public"
    endpoint_urls: dict[str, str] = {}
    allowed_endpoints: tuple[str, ...] | None = None
    ca_file: str | None = None
    external_network: str | None = None
    balancer_subnet: str | None = None
    whole_mib: Annotated[int, msgspec.Meta(ge=1, le=5120)] = 1024
    segment_mib: Annotated[int, msgspec.Meta(ge=1, le=5120)] = 32
    segments_at_once: Annotated[int, msgspec.Meta(ge=1, le=100)] = 4
    segments_memory_mib: Annotated[int, msgspec.Meta(ge=0)] = 64
    verified_mib: Annotated[int, msgspec.Meta(ge=0)] = 64
    temp_url_key: str | None = None
    write_conditions: bool = False
