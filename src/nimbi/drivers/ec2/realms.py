"""Realms are the availability zones of a region, local and wavelength zones among them."""

import re

from nimbi.driver.compute import Realms
from nimbi.drivers.ec2.errors import AwsError
from nimbi.drivers.ec2.query import extra, items, text
from nimbi.drivers.ec2.session import Element, OfSession
from nimbi.model.errors import Invalid, NotFound
from nimbi.model.page import Page
from nimbi.model.realms import Realm, RealmState

# What a name of a zone is made of, in AWS and in clouds that speak as it does.
SHAPE = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)


class Ec2Realms(OfSession, Realms):
    """Zones. The list has those that the account may use; any other is found by its name."""

    async def page(self, marker: str | None, limit: int) -> Page[Realm]:
        root = await self.session.ec2("DescribeAvailabilityZones")
        zones = sorted(map(_realm, items(root, "availabilityZoneInfo/item")), key=lambda z: z.id)
        first = _place(marker)
        rest = zones[first : first + limit]
        return Page(tuple(rest), str(first + limit) if first + limit < len(zones) else None)

    async def get(self, id: str) -> Realm:
        if not SHAPE.fullmatch(id):
            raise NotFound(f"there is no zone {id[:100]!r}")
        if not id.isascii():
            raise NotFound(f"there is no zone {id[:100]!r}")
        wish = {"ZoneName": [id], "AllAvailabilityZones": True}
        try:
            root = await self.session.ec2("DescribeAvailabilityZones", wish)
        except AwsError as error:
            # A wrong name is a wrong value to AWS, and there is no other value in this call.
            if error.code == "InvalidParameterValue":
                raise NotFound(f"there is no zone {id!r}") from error
            raise
        for zone in items(root, "availabilityZoneInfo/item"):
            return _realm(zone)
        raise NotFound(f"there is no zone {id!r}")


def _realm(zone: Element) -> Realm:
    is_open = text(zone, "zoneState") == "available" and text(zone, "optInStatus") != "not-opted-in"
    name = text(zone, "zoneName") or ""
    state = RealmState.AVAILABLE if is_open else RealmState.UNAVAILABLE
    return Realm(id=name, name=name, state=state, extra=extra(zone))


def _place(marker: str | None) -> int:
    if marker is None:
        return 0
    if not marker.isascii() or not marker.isdecimal() or len(marker) > 6:
        raise Invalid("there is no such page")
    return int(marker)
