"""Realms are Nova's availability zones."""

from typing import Any

from nimbi.driver.compute import Realms
from nimbi.drivers.openstack.pages import items_of, sliced
from nimbi.drivers.openstack.session import OfSession
from nimbi.model.errors import NotFound
from nimbi.model.page import Page
from nimbi.model.realms import Realm, RealmState


class OpenStackRealms(OfSession, Realms):
    """Zones in which a project may start machines, by name."""

    async def page(self, marker: str | None, limit: int) -> Page[Realm]:
        return sliced(await self._all(), marker, limit)

    async def get(self, id: str) -> Realm:
        for realm in await self._all():
            if realm.id == id:
                return realm
        raise NotFound(f"there is no zone {id[:100]!r}")

    async def _all(self) -> list[Realm]:
        # There is no way to ask for one.
        told = await self.session.get("compute", "/os-availability-zone")
        return sorted(map(_realm, items_of(told, "availabilityZoneInfo")), key=lambda r: r.id)


def _realm(zone: dict[str, Any]) -> Realm:
    name = str(zone.get("zoneName"))
    is_open = (zone.get("zoneState") or {}).get("available") is True
    state = RealmState.AVAILABLE if is_open else RealmState.UNAVAILABLE
    return Realm(id=name, name=name, state=state, extra=zone)
