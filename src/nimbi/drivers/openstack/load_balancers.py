"""Load balancers of Octavia."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from nimbi.driver.network import LoadBalancers
from nimbi.drivers.openstack.balancer_facts import (
    BALANCERS,
    POOLS,
    SERVICE,
    Parts,
    Pool,
    parts_of,
    told,
)
from nimbi.drivers.openstack.balancer_wish import (
    TOKEN_TAG,
    Site,
    checked,
    graph,
    site_of,
    zone_of,
)
from nimbi.drivers.openstack.errors import EXCEEDED, OpenStackError, to_error
from nimbi.drivers.openstack.ids import known
from nimbi.drivers.openstack.marks import digest, marked
from nimbi.drivers.openstack.neutron import Json, all_of, described, is_of_instance, page_of
from nimbi.drivers.openstack.session import OfSession
from nimbi.drivers.openstack.wishes import once
from nimbi.model.errors import (
    CloudUnavailable,
    Conflict,
    NotFound,
    Throttled,
    UnknownOutcome,
)
from nimbi.model.load_balancers import LoadBalancer, NewLoadBalancer
from nimbi.model.page import Page

T = TypeVar("T")

FLOATING_IPS = "/floatingips"
# After these the same wish may be granted when it is asked again.
PASSING = (Throttled, CloudUnavailable, UnknownOutcome)


class OpenStackLoadBalancers(OfSession, LoadBalancers):
    """Balancers in the subnet that `balancer_wish.site_of` tells, with a floating IP in front.

    Each listener has a pool of its own, whose members are watched.
    """

    async def page(self, marker: str | None, limit: int) -> Page[LoadBalancer]:
        items, next = await page_of(self.session, BALANCERS, marker, limit, service=SERVICE)
        return Page(tuple(await told(self.session, items)), next)

    async def get(self, id: str) -> LoadBalancer:
        return await self._told(await self._found(id))

    async def create(self, new: NewLoadBalancer) -> LoadBalancer:
        """Make a balancer with all its parts; when one can't be made, none is left."""
        checked(new.listeners)
        tag = f"{TOKEN_TAG}{digest(new.token)}"

        async def find() -> LoadBalancer | None:
            for balancer in await all_of(self.session, BALANCERS, {"tags": tag}, service=SERVICE):
                await self._opened(balancer, new.token)
                return await self._told(balancer)
            return None

        async def make() -> LoadBalancer:
            zone = await zone_of(self.session, new.realm_id)
            site = await site_of(self.session)
            wish = graph(new, tag, site, zone)
            outer = await self._outer(site, new.token)
            try:
                balancer = await self._made(wish)
            except OpenStackError as error:
                if outer and not isinstance(to_error(error), PASSING):
                    await self.session.delete("network", f"{FLOATING_IPS}/{outer['id']}")
                raise
            await self._opened(balancer, new.token)
            return await self._told(balancer)

        return await once(self.session, "load-balancer", new.token, find, make)

    async def destroy(self, id: str) -> None:
        """Remove it with all its parts, and the floating IP that was made for it."""
        balancer = await self._found(id)
        for outer in await self._outers_of(balancer):
            await self.session.delete("network", f"{FLOATING_IPS}/{outer['id']}")
        path, query = f"{BALANCERS}/{id}", {"cascade": True}
        await self._calmed(id, lambda: self.session.delete(SERVICE, path, query=query))

    async def register(self, id: str, instance_id: str) -> LoadBalancer:
        parts = await self._parts(id)
        fixed = await self._fixed_ip(instance_id, parts.balancer)
        for pool in parts.pools.values():
            if not any(member["address"] == fixed["ip_address"] for member in pool.members):
                await self._add(id, pool, instance_id, fixed)
        return await self.get(id)

    async def unregister(self, id: str, instance_id: str) -> LoadBalancer:
        parts = await self._parts(id)
        addresses = {fixed["ip_address"] for fixed in await self._fixed_ips(instance_id)}
        gone = [
            f"{POOLS}/{pool.id}/members/{member['id']}"
            for pool in parts.pools.values()
            for member in pool.members
            # An instance that is gone has no address any more.
            if member["address"] in addresses or member.get("name") == instance_id
        ]
        if not gone:
            raise NotFound(f"the load balancer {id!r} has no instance {instance_id[:100]!r}")
        for path in gone:
            await self._removed(id, path)
        return await self.get(id)

    async def _found(self, id: str) -> Json:
        path = f"{BALANCERS}/{known(id, 'load balancer')}"
        balancer: Json = (await self.session.get(SERVICE, path))["loadbalancer"]
        if balancer.get("provisioning_status") == "DELETED":
            raise NotFound(f"there is no load balancer {id!r}")
        return balancer

    async def _told(self, balancer: Json) -> LoadBalancer:
        for found in await told(self.session, [balancer]):
            return found
        raise NotFound(f"there is no load balancer {balancer['id']!r}")

    async def _parts(self, id: str) -> Parts:
        for parts in await parts_of(self.session, [await self._found(id)]):
            return parts
        raise NotFound(f"there is no load balancer {id!r}")

    async def _made(self, wish: Json) -> Json:
        try:
            answer = await self.session.post(SERVICE, BALANCERS, wish)
        except OpenStackError as error:
            if error.status == 403 and await self._is_full():
                raise OpenStackError(SERVICE, 403, EXCEEDED, error.message) from error
            raise
        balancer: Json = answer["loadbalancer"]
        return balancer

    async def _is_full(self) -> bool:
        """Return whether the project may have no more balancers.

        Octavia has the same status and code for that and for what a role may not do.
        """
        try:
            project_id = await self.session.project()
            quota = (await self.session.get(SERVICE, f"/lbaas/quotas/{project_id}"))["quota"]
        except OpenStackError:
            return False
        limit = quota.get("load_balancer", quota.get("loadbalancer"))
        query = {"fields": ["id"]}
        found = await all_of(self.session, BALANCERS, query, service=SERVICE)
        return limit is not None and 0 <= limit <= len(found)

    async def _outer(self, site: Site, token: str | None) -> Json | None:
        """Return the floating IP for a wish, of an attempt before or a new one."""
        if site.external_network_id is None:
            return None
        wish = {
            "floating_network_id": site.external_network_id,
            "description": marked(token, "for a load balancer"),
        }
        for found in await described(self.session, FLOATING_IPS, wish["description"]):
            return found
        answer = await self.session.post("network", FLOATING_IPS, {"floatingip": wish})
        outer: Json = answer["floatingip"]
        return outer

    async def _opened(self, balancer: Json, token: str | None) -> None:
        """Point the floating IP of a wish at its balancer, if there is one."""
        description = marked(token, "for a load balancer")
        change = {"floatingip": {"port_id": balancer["vip_port_id"]}}
        for outer in await described(self.session, FLOATING_IPS, description):
            if not outer.get("port_id"):
                await self.session.put("network", f"{FLOATING_IPS}/{outer['id']}", change)

    async def _outers_of(self, balancer: Json) -> list[Json]:
        """Return the floating IPs that were made for a balancer."""
        found: list[Json] = []
        for tag in balancer.get("tags") or ():
            if tag.startswith(TOKEN_TAG):
                text = f"for a load balancer [nimbi token={tag.removeprefix(TOKEN_TAG)}]"
                found += await described(self.session, FLOATING_IPS, text)
        return found

    async def _fixed_ips(self, instance_id: str) -> list[dict[str, Any]]:
        """Return the addresses of an instance; none when there is no such one."""
        query = {"device_id": known(instance_id, "instance")}
        ports = [p for p in await all_of(self.session, "/ports", query) if is_of_instance(p)]
        return [fixed for port in ports for fixed in port["fixed_ips"]]

    async def _fixed_ip(self, instance_id: str, balancer: Json) -> dict[str, Any]:
        """Return the address to which a balancer sends: in its own subnet, if there is one.

        Raises NotFound when there is no such instance, Conflict when it has no address.
        """
        found = [ip for ip in await self._fixed_ips(instance_id) if ":" not in ip["ip_address"]]
        if not found:
            await self.session.get("compute", f"/servers/{instance_id}")
            raise Conflict(f"the instance {instance_id!r} has no address of IPv4 yet")
        own = balancer.get("vip_subnet_id")
        return min(found, key=lambda ip: (ip["subnet_id"] != own, ip["ip_address"]))

    async def _add(self, id: str, pool: Pool, instance_id: str, fixed: Json) -> None:
        member = {
            "name": instance_id,
            "address": fixed["ip_address"],
            "protocol_port": pool.port,
            "subnet_id": fixed["subnet_id"],
        }
        path = f"{POOLS}/{pool.id}/members"
        try:
            await self._calmed(id, lambda: self.session.post(SERVICE, path, {"member": member}))
        except OpenStackError as error:
            if not isinstance(to_error(error), Conflict):
                raise
            # Somebody else has registered it meanwhile.
            now = (await self._parts(id)).pools[pool.id].members
            if not any(each["address"] == member["address"] for each in now):
                raise

    async def _removed(self, id: str, path: str) -> None:
        await self._calmed(id, lambda: self.session.delete(SERVICE, path))

    async def _calmed(self, id: str, call: Callable[[], Awaitable[T]]) -> T:
        """Return what a call returns when the balancer is no longer at work on another."""

        async def is_busy() -> bool:
            status = str((await self._found(id)).get("provisioning_status"))
            return status.startswith("PENDING_")

        return await self.session.calmed(call, is_busy)
