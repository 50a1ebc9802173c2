"""Routers of Neutron."""

from collections.abc import Iterable
from typing import Any

from nimbi.driver.network import Routers
from nimbi.drivers.openstack.errors import OpenStackError, to_error
from nimbi.drivers.openstack.ids import known
from nimbi.drivers.openstack.marks import marked
from nimbi.drivers.openstack.neutron import (
    Json,
    described,
    matching,
    name_of,
    page_of,
)
from nimbi.drivers.openstack.session import OfSession
from nimbi.drivers.openstack.wishes import once
from nimbi.model.errors import Conflict, Invalid, NotFound
from nimbi.model.networks import NetworkState
from nimbi.model.page import Page
from nimbi.model.routers import NewRouter, Router

ROUTERS = "/routers"
# Source: https://docs.openstack.org/api-ref/network/v2/#routers-routers
STATES = {
    "ACTIVE": NetworkState.UP,
    "ALLOCATING": NetworkState.PENDING,
    "BUILD": NetworkState.PENDING,
}
# The owners of the ports by which routers are in subnets: plain, distributed, highly available.
# Source: neutron-lib, constants.ROUTER_INTERFACE_OWNERS
OWNERS = [
    "network:router_interface",
    "network:router_interface_distributed",
    "network:ha_router_replicated_interface",
]


class OpenStackRouters(OfSession, Routers):
    """Routers of the project."""

    async def page(self, marker: str | None, limit: int) -> Page[Router]:
        items, next = await page_of(self.session, ROUTERS, marker, limit)
        return Page(tuple(await self._told(items)), next)

    async def get(self, id: str) -> Router:
        answer = await self.session.get("network", _path(id))
        return (await self._told([answer["router"]]))[0]

    async def create(self, new: NewRouter) -> Router:
        wish: dict[str, Any] = {
            "name": name_of(new.name, "router"),
            "description": marked(new.token),
        }
        if new.external_network_id is not None:
            outside = known(new.external_network_id, "network")
            wish["external_gateway_info"] = {"network_id": outside}

        async def find() -> Router | None:
            found = await described(self.session, ROUTERS, wish["description"])
            return next(iter(await self._told(found)), None)

        async def make() -> Router:
            answer = await self.session.post("network", ROUTERS, {"router": wish})
            return _told(answer["router"], ())

        return await once(self.session, "router", new.token, find, make)

    async def destroy(self, id: str) -> None:
        await self.session.delete("network", _path(id))

    async def connect(self, id: str, subnet_id: str) -> Router:
        router = await self.get(id)
        if subnet_id in router.subnet_ids:
            return router
        answer = await self.session.get("network", f"/subnets/{known(subnet_id, 'subnet')}")
        if not answer["subnet"].get("gateway_ip"):
            raise Conflict(f"the subnet {subnet_id!r} has no gateway that a router could be")
        asked = {"subnet_id": subnet_id}
        try:
            await self.session.put("network", f"{_path(id)}/add_router_interface", asked)
        except OpenStackError as error:
            # Somebody else has connected it meanwhile, or Neutron calls a conflict a bad request.
            if not isinstance(to_error(error), Invalid):
                raise
            router = await self.get(id)
            if subnet_id not in router.subnet_ids:
                raise Conflict(error.message) from error
            return router
        return await self.get(id)

    async def disconnect(self, id: str, subnet_id: str) -> Router:
        router = await self.get(id)
        if subnet_id not in router.subnet_ids:
            raise NotFound(f"the router {id!r} has no subnet {subnet_id[:100]!r}")
        asked = {"subnet_id": subnet_id}
        await self.session.put("network", f"{_path(id)}/remove_router_interface", asked)
        return await self.get(id)

    async def _told(self, routers: Iterable[Json]) -> list[Router]:
        routers = list(routers)
        within: dict[str, list[str]] = {router["id"]: [] for router in routers}
        query = {"device_owner": OWNERS, "fields": ["id", "device_id", "fixed_ips"]}
        for port in await matching(self.session, "/ports", "device_id", within, query):
            within[port["device_id"]] += (ip["subnet_id"] for ip in port["fixed_ips"])
        return [_told(router, within[router["id"]]) for router in routers]


def _told(router: Json, subnet_ids: Iterable[str]) -> Router:
    gateway = router.get("external_gateway_info") or {}
    return Router(
        id=router["id"],
        name=router.get("name") or None,
        state=STATES.get(router.get("status") or "", NetworkState.DOWN),
        external_network_id=gateway.get("network_id"),
        subnet_ids=tuple(sorted(set(subnet_ids))),
        extra=router,
    )


def _path(id: str) -> str:
    return f"{ROUTERS}/{known(id, 'router')}"
