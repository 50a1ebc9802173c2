"""Everything that a login says: where to go, as whom, and how."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from nimbi.drivers.openstack.catalogue import Interface
from nimbi.drivers.openstack.tokens import Way


@dataclass(frozen=True)
class Tls:
    """Whom to trust, and one's own certificate; files. The default is the process's."""

    ca_file: str | None = None
    verify: bool = True
    cert_file: str | None = None
    key_file: str | None = None


@dataclass(frozen=True, repr=False)
class Access:
    """A login, before its first request. `way` None is that of one who gave no credentials.

    `own` is whether this very user's files said so, who may be trusted.
    """

    auth_url: str
    region: str | None = None
    way: Way | None = None
    interface: Interface = "public"
    endpoint_urls: Mapping[str, str] = field(default_factory=dict)
    tls: Tls = Tls()
    own: bool = False
