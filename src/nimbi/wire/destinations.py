"""Addresses that nobody else may have this program call."""

import ipaddress
from urllib.parse import urlsplit

# Where clouds tell a machine its own secrets.
METADATA = (
    ipaddress.ip_network("169.254.0.0/16"),
    ipaddress.ip_network("fe80::/10"),
    ipaddress.ip_network("fd00:ec2::/32"),
)


def is_of_machine(url: str) -> bool:
    """Return whether a URL names an address of the link, where a cloud tells a machine secrets.

    A name is not looked up.
    """
    try:
        address = ipaddress.ip_address(urlsplit(url).hostname or "")
    except ValueError:
        return False
    address = getattr(address, "ipv4_mapped", None) or address
    return any(address in network for network in METADATA)
