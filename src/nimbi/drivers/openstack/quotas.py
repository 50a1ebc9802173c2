"""Quotas: what each service lets a project have, and what it has."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from nimbi.driver.compute import Quotas
from nimbi.drivers.openstack.errors import OpenStackError
from nimbi.drivers.openstack.pages import sliced
from nimbi.drivers.openstack.session import OfSession, Session, quoted
from nimbi.model.errors import NotFound
from nimbi.model.page import Page
from nimbi.model.quotas import Quota, QuotaUnit

# By id: the names of the limit and of what is used, in the `limits` of Nova and Cinder.
NOVA: Mapping[str, tuple[str, str | None, QuotaUnit]] = {
    "instances": ("maxTotalInstances", "totalInstancesUsed", QuotaUnit.COUNT),
    "cpus": ("maxTotalCores", "totalCoresUsed", QuotaUnit.COUNT),
    "memory": ("maxTotalRAMSize", "totalRAMUsed", QuotaUnit.MIB),
    "keys": ("maxTotalKeypairs", None, QuotaUnit.COUNT),
    "server_groups": ("maxServerGroups", "totalServerGroupsUsed", QuotaUnit.COUNT),
}
CINDER: Mapping[str, tuple[str, str | None, QuotaUnit]] = {
    "volumes": ("maxTotalVolumes", "totalVolumesUsed", QuotaUnit.COUNT),
    "snapshots": ("maxTotalSnapshots", "totalSnapshotsUsed", QuotaUnit.COUNT),
    "volume_storage": ("maxTotalVolumeGigabytes", "totalGigabytesUsed", QuotaUnit.GIB),
    "backups": ("maxTotalBackups", "totalBackupsUsed", QuotaUnit.COUNT),
    "backup_gigabytes": (
        "maxTotalBackupGigabytes",
        "totalBackupGigabytesUsed",
        QuotaUnit.GIB,
    ),
}
# Names of Neutron's and Octavia's for what has one here; others keep theirs.
NEUTRON: Mapping[str, str] = {
    "network": "networks",
    "subnet": "subnets",
    "port": "network_interfaces",
    "router": "routers",
    "floatingip": "addresses",
    "security_group": "firewalls",
    "security_group_rule": "firewall_rules",
}
OCTAVIA: Mapping[str, str] = {"load_balancer": "load_balancers", "loadbalancer": "load_balancers"}
SWIFT_LIMIT, SWIFT_USED = "X-Account-Meta-Quota-Bytes", "X-Account-Bytes-Used"

# A service that tells no quotas, or not to everybody, has none to show.
SILENT = frozenset({403, 404, 405, 501})


class OpenStackQuotas(OfSession, Quotas):
    """Quotas of all services that are there, in one list by id."""

    async def page(self, marker: str | None, limit: int) -> Page[Quota]:
        return sliced(await self._all(), marker, limit)

    async def get(self, id: str) -> Quota:
        for quota in await self._all():
            if quota.id == id:
                return quota
        raise NotFound(f"there is no quota {id[:100]!r}")

    async def _all(self) -> list[Quota]:
        await self.session.token()
        there = self.session.services()
        told = await asyncio.gather(
            *(_told(self.session, ask) for service, ask in SOURCES.items() if service in there)
        )
        by_id: dict[str, Quota] = {}
        for quotas in told:
            for quota in quotas:
                by_id.setdefault(quota.id, quota)
        return sorted(by_id.values(), key=lambda quota: quota.id)


async def _told(session: Session, ask: Callable[[Session], Awaitable[list[Quota]]]) -> list[Quota]:
    try:
        return await ask(session)
    except OpenStackError as error:
        if error.status in SILENT:
            return []
        raise


async def _nova(session: Session) -> list[Quota]:
    return _absolute(await session.get("compute", "/limits"), NOVA)


async def _cinder(session: Session) -> list[Quota]:
    return _absolute(await session.get("volume", "/limits"), CINDER)


async def _neutron(session: Session) -> list[Quota]:
    project = quoted(session.project_id)
    told = (await session.get("network", f"/quotas/{project}/details.json"))["quota"]
    return [
        Quota(
            id=NEUTRON.get(name, name),
            used=int(quota.get("used", 0)) + int(quota.get("reserved", 0)),
            limit=_limit(quota.get("limit")),
            extra=quota,
        )
        for name, quota in told.items()
        if isinstance(quota, dict)
    ]


async def _octavia(session: Session) -> list[Quota]:
    project = quoted(session.project_id)
    told = (await session.get("load-balancer", f"/lbaas/quotas/{project}"))["quota"]
    return [
        Quota(id=OCTAVIA.get(name, name), used=None, limit=_limit(limit), extra={name: limit})
        for name, limit in told.items()
        if isinstance(limit, int) or limit is None
    ]


async def _glance(session: Session) -> list[Quota]:
    told = (await session.get("image", "/info/usage"))["usage"]
    count = told.get("image_count_total")
    if not isinstance(count, dict):
        return []
    used, limit = count.get("usage"), _limit(count.get("limit"))
    return [Quota(id="images", used=used, limit=limit, extra=told)]


async def _swift(session: Session) -> list[Quota]:
    told = (await session.call("HEAD", "object-store", "", changes=False)).headers
    limit = told.get(SWIFT_LIMIT)
    return [
        Quota(
            id="blob_storage",
            used=int(told.get(SWIFT_USED) or 0),
            limit=int(limit) if limit and limit.isdecimal() else None,
            unit=QuotaUnit.BYTES,
        )
    ]


SOURCES: Mapping[str, Callable[[Session], Awaitable[list[Quota]]]] = {
    "compute": _nova,
    "volume": _cinder,
    "network": _neutron,
    "load-balancer": _octavia,
    "image": _glance,
    "object-store": _swift,
}


def _absolute(told: Any, names: Mapping[str, tuple[str, str | None, QuotaUnit]]) -> list[Quota]:
    absolute = told["limits"]["absolute"]
    return [
        Quota(
            id=id,
            used=absolute.get(used) if used is not None else None,
            limit=_limit(absolute[limit]),
            unit=unit,
            extra={name: absolute.get(name) for name in (limit, used) if name is not None},
        )
        for id, (limit, used, unit) in names.items()
        if limit in absolute
    ]


def _limit(value: Any) -> int | None:
    """Return a limit; OpenStack writes -1 where there is none."""
    return value if isinstance(value, int) and value >= 0 else None
