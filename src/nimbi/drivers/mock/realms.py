"""Realms of the mock cloud: two, for ever."""

from collections.abc import Mapping

from nimbi.driver.compute import Realms
from nimbi.drivers.mock.seed import REALMS
from nimbi.drivers.mock.session import OfSession, offered
from nimbi.model.errors import CloudError, Timeout, Unsupported
from nimbi.model.page import Page
from nimbi.model.realms import Realm

# Ids that fail on purpose, as in the original, so that clients can be tried against each status.
FAILING: Mapping[str, tuple[type[CloudError], str]] = {
    "501": (Unsupported, "NotImplementedMessage"),
    "502": (CloudError, "ProviderErrorMessage"),
    "504": (Timeout, "ProviderTimeoutMessage"),
}


@offered
class MockRealms(OfSession, Realms):
    """The two realms of the original."""

    async def page(self, marker: str | None, limit: int) -> Page[Realm]:
        return self.paged(REALMS, marker, limit)

    async def get(self, id: str) -> Realm:
        if id in FAILING:
            kind, message = FAILING[id]
            raise kind(message)
        return REALMS.get(id, "realm")
