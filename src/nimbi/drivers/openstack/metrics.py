"""What is measured of servers: by Gnocchi where the cloud has it, else by Nova at the host."""

from collections.abc import Mapping

from nimbi.driver.compute import Metrics
from nimbi.drivers.openstack import diagnostics, gnocchi
from nimbi.drivers.openstack.errors import OpenStackError
from nimbi.drivers.openstack.hardware_profiles import ids_by_name, profiles_of
from nimbi.drivers.openstack.instance_facts import Server, state_of
from nimbi.drivers.openstack.metric_table import PROPERTIES, Samples
from nimbi.drivers.openstack.servers import find, listed
from nimbi.drivers.openstack.session import OfSession, Session
from nimbi.model.errors import NotFound
from nimbi.model.instances import InstanceState
from nimbi.model.metrics import Metric, Series
from nimbi.model.page import Page

GNOCCHI = "metric"

# How long it is remembered whether a login may ask hosts what servers use.
AGE_S = 600.0
FORBIDDEN = 403


class OpenStackMetrics(OfSession, Metrics):
    """Samples of the last hour by Gnocchi; else one of the time since an instance was started.

    That one Nova tells only to whom the cloud lets see it, mostly administrators: for others the
    list is empty.
    """

    async def page(self, marker: str | None, limit: int) -> Page[Metric]:
        told, _, after = await listed(self.session, marker, limit, {})
        servers = [server for server, _ in told]
        if servers and not await self._is_told(servers[0].id):
            return Page(())
        return Page(tuple(_metric(server, {}) for server in servers), after)

    async def get(self, id: str) -> Metric:
        server = await find(self.session, id)
        if state_of(server) is InstanceState.FINISH:
            raise NotFound(f"there is no instance {id!r} any more")
        if await self._has_gnocchi():
            return _metric(
                server, await gnocchi.samples(self.session, id, await cpus_of(self.session, server))
            )
        return _metric(server, await diagnostics.samples(self.session, id))

    async def _has_gnocchi(self) -> bool:
        await self.session.token()
        return GNOCCHI in self.session.services()

    async def _is_told(self, id: str) -> bool:
        async def asked() -> bool:
            try:
                await diagnostics.samples(self.session, id)
            except OpenStackError as error:
                return error.status != FORBIDDEN
            return True

        if await self._has_gnocchi():
            return True
        return await self.session.backend.cached(("diagnostics", *self.session.key), AGE_S, asked)


async def cpus_of(session: Session, server: Server) -> float:
    """Return how many CPUs a server has; 1 when nobody knows its flavour any more."""
    flavour = server.flavor
    if flavour is None or flavour.vcpus is not None:
        return float(flavour.vcpus or 1) if flavour else 1.0
    id = flavour.id or (await ids_by_name(session)).get(flavour.original_name or "")
    profile = (await profiles_of(session)).by_id.get(id or "")
    count = profile.cpus.default if profile is not None and profile.cpus is not None else 1
    return 1.0 if isinstance(count, str) else float(count)


def _metric(server: Server, samples: Mapping[str, Samples]) -> Metric:
    series = tuple(Series(name=each, samples=samples.get(each, ())) for each in PROPERTIES)
    return Metric(id=server.id, entity=server.name or server.id, series=series)
