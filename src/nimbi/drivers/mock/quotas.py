"""Quotas of the mock cloud: what is there is counted, and only a fault limits it."""

import math

from nimbi.driver.compute import Quotas
from nimbi.drivers.mock.session import OfSession, offered
from nimbi.drivers.mock.table import Listed
from nimbi.model.page import Page
from nimbi.model.quotas import Quota, QuotaUnit

# Collections of which all that are in the state count.
COUNTED = (
    "images",
    "keys",
    "firewalls",
    "addresses",
    "networks",
    "subnets",
    "routers",
    "network_interfaces",
    "load_balancers",
    "volumes",
    "snapshots",
    "buckets",
)


@offered
class MockQuotas(OfSession, Quotas):
    """One quota for each collection, and one for the room that volumes take."""

    async def page(self, marker: str | None, limit: int) -> Page[Quota]:
        return self.paged(self._all(), marker, limit)

    async def get(self, id: str) -> Quota:
        return self._all().get(id, "quota")

    def _all(self) -> Listed[Quota]:
        state, fault = self.session.state, self.session.cloud.faults.quota
        gib = sum(volume.size_gib for volume in state.volumes.whole.items)
        return Listed(
            (
                Quota(
                    id="instances",
                    used=len(state.instances_of(self.user)),
                    limit=None if fault is None else fault.instances,
                ),
                *(Quota(id=id, used=len(getattr(state, id)), limit=None) for id in COUNTED),
                Quota(id="volume_storage", used=math.ceil(gib), limit=None, unit=QuotaUnit.GIB),
            )
        )
