"""What may be chosen for a whole machine of guests."""

from dataclasses import dataclass
from ipaddress import IPv4Network


@dataclass(frozen=True, kw_only=True)
class Options:
    """`network` is `auto`, or the rung of the ladder to use: `user`, `userns` or `root`.

    `addresses` and `balancer_addresses` are blocks of addresses of this host to be given out, by
    default of its loopback. `outgoing` lets guests open connections to the outside: None does
    where it is safe, so that no guest can reach the host's own loopback that way; True also where
    it is not.
    """

    network: str = "auto"
    addresses: IPv4Network = IPv4Network("127.83.0.0/24")
    balancer_addresses: IPv4Network = IPv4Network("127.84.0.0/24")
    outgoing: bool | None = None
