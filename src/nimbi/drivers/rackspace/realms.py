"""Realms: the region itself, since Rackspace has no zones."""

from nimbi.driver.compute import Realms
from nimbi.drivers.openstack.pages import sliced
from nimbi.drivers.openstack.session import OfSession
from nimbi.model.errors import NotFound, Unauthorized
from nimbi.model.page import Page
from nimbi.model.realms import Realm, RealmState


class RackspaceRealms(OfSession, Realms):
    """One realm: the region that is logged in to."""

    async def page(self, marker: str | None, limit: int) -> Page[Realm]:
        return sliced([await self._one()], marker, limit)

    async def get(self, id: str) -> Realm:
        found = await self._one()
        if found.id != id:
            raise NotFound(f"there is no realm {id[:100]!r}")
        return found

    async def _one(self) -> Realm:
        await self.session.token()
        if self.session.region is None:
            raise Unauthorized("this account has no region")
        name = self.session.region
        return Realm(id=name, name=name, state=RealmState.AVAILABLE)
