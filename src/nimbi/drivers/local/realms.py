"""Realms of the local cloud: this machine."""

from nimbi.driver.compute import Realms
from nimbi.drivers.local.session import OfSession
from nimbi.model.errors import NotFound
from nimbi.model.page import Page
from nimbi.model.realms import Realm, RealmState

LOCAL = Realm(id="local", name="This machine", state=RealmState.AVAILABLE)


class LocalRealms(OfSession, Realms):
    """One realm, which is always there."""

    async def page(self, marker: str | None, limit: int) -> Page[Realm]:
        _ = self.cloud
        return self.paged((LOCAL,), marker, limit, lambda realm: realm.id)

    async def get(self, id: str) -> Realm:
        _ = self.cloud
        return realm(id)


def realm(id: str) -> Realm:
    """Return the realm of this id. Raises NotFound."""
    if id != LOCAL.id:
        raise NotFound(f"there is no realm {id!r}")
    return LOCAL
