"""Public clouds that entries of `clouds.yaml` refer to as their `profile`."""

from collections.abc import Mapping
from typing import Any

# Keystone, and the regions; the first is the one of those who name none. A URL as profile is that
# of a cloud that tells its profile itself.
# Source: openstacksdk, openstack/config/vendors (those that are still there).
VENDORS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "auro": ("https://api.van2.auro.io:5000/v3", ("RegionOne",)),
    "binero": ("https://auth.binero.cloud:5000/v3", ("europe-se-1",)),
    "catalyst": ("https://api.cloud.catalyst.net.nz:5000/v3", ("nz-por-1", "nz_wlg_2")),
    "citycloud": (
        "https://{region_name}.citycloud.com:5000/v3/",
        ("Buf1", "Fra1", "Sto2", "Kna1", "dx1", "tky1"),
    ),
    "elastx": ("https://ops.elastx.cloud:5000/v3", ("se-sto",)),
    "entercloudsuite": ("https://api.entercloudsuite.com/", ("it-mil1", "nl-ams1", "de-fra1")),
    "limestonenetworks": ("https://auth.cloud.lstn.net:5000/v3", ("us-dfw-1", "us-slc")),
    "otc": ("https://iam.{region_name}.otc.t-systems.com/v3", ("eu-de", "eu-nl")),
    "otc-swiss": ("https://iam-pub.eu-ch2.sc.otc.t-systems.com/v3", ("eu-ch2",)),
    "ovh-us": (
        "https://auth.cloud.ovh.us/",
        ("US-EAST-VA-1", "US-WEST-OR-1", "US-EAST-VA", "US-WEST-OR"),
    ),
    "switchcloud": ("https://identity.compute.cloud.switch.ch/v3", ("zhw", "zhc")),
    "switchengines": ("https://keystone.cloud.switch.ch:5000/v3", ("LS", "ZH")),
    "zetta": ("https://identity.api.zetta.io/v3", ("no-osl1",)),
}
ELSEWHERE: Mapping[str, str] = {"ovh": "https://ovhcloud.com", "vexxhost": "https://vexxhost.com"}

WELL_KNOWN = "/.well-known/openstack/api"


def vendor(name: str) -> dict[str, Any] | None:
    """Return the profile of a public cloud, as an entry; None for one that is not known here."""
    if name not in VENDORS:
        return None
    url, regions = VENDORS[name]
    return {"auth": {"auth_url": url}, "regions": list(regions)}
