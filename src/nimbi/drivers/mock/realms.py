"""Realms of the mock cloud: two, for ever."""

from nimbi.driver.compute import Realms
from nimbi.drivers.mock.seed import REALMS
from nimbi.drivers.mock.session import OfSession, offered
from nimbi.model.page import Page
from nimbi.model.realms import Realm


@offered
class MockRealms(OfSession, Realms):
    """The two realms of the original."""

    async def page(self, marker: str | None, limit: int) -> Page[Realm]:
        return self.paged(REALMS, marker, limit)

    async def get(self, id: str) -> Realm:
        return REALMS.get(id, "realm")
