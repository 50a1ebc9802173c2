"""Which regions an account may use: some have to be asked for."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from nimbi.drivers.ec2.endpoints import is_optional, partition_of
from nimbi.drivers.ec2.errors import AwsError
from nimbi.drivers.ec2.query import items, text
from nimbi.model.errors import CloudError

if TYPE_CHECKING:
    from nimbi.drivers.ec2.session import Session

AGE_S = 3600.0


async def regions(session: "Session") -> Mapping[str, bool]:
    """Return all regions of the partition, and whether the account may use each.

    `{"eu-west-1": True, "af-south-1": False}`, at most an hour old. Source: DescribeRegions.
    """
    home = session.at(partition_of(session.region).home)

    async def asked() -> Mapping[str, bool]:
        root = await home.ec2("DescribeRegions", {"AllRegions": True})
        return {
            text(region, "regionName") or "": text(region, "optInStatus") != "not-opted-in"
            for region in items(root, "regionInfo/item")
        }

    return await session.backend.cached(("regions", *home.key), AGE_S, asked)


async def is_closed(session: "Session") -> bool:
    """Return whether the account has not asked for the session's region.

    There AWS refuses every login as if it were wrong.
    """
    if not is_optional(session.region):
        return False
    try:
        return (await regions(session)).get(session.region) is False
    except (AwsError, CloudError):
        return False
