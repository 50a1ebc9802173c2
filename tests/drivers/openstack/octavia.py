"""A stand-in for Octavia, by its documented API: https://docs.openstack.org/api-ref/load-balancer/v2/

Changes to a balancer that is at work on another are refused; each look at it brings it further.
"""

import uuid
from dataclasses import dataclass, field
from typing import Any

from tests.drivers.openstack.tables import Item, listed, query_of

Told = tuple[int, Any]
# How often a balancer must be looked at until it is done with a change.
LOOKS = 1
# What a request for a balancer, and for a part of it, may say.
OF_BALANCER = {
    "name", "description", "vip_subnet_id", "vip_network_id", "vip_port_id", "vip_address", "tags",
    "listeners", "pools", "availability_zone", "flavor_id", "provider", "admin_state_up",
}  # fmt: skip
OF_LISTENER = {"name", "protocol", "protocol_port", "tags", "default_pool", "default_pool_id"}
OF_POOL = {"name", "protocol", "lb_algorithm", "healthmonitor", "members", "tags"}
OF_MONITOR = {"name", "type", "delay", "timeout", "max_retries"}
OF_MEMBER = {"name", "address", "protocol_port", "subnet_id", "weight"}


class Refused(Exception):
    """An answer that is none: a status and a text."""


def new_id() -> str:
    return str(uuid.uuid4())


@dataclass
class Octavia:
    """`quota` is how many balancers there may be; `zones` are their own availability zones.

    `health` is what is told of members, by address.
    """

    balancers: dict[str, Item] = field(default_factory=dict)
    listeners: dict[str, Item] = field(default_factory=dict)
    pools: dict[str, Item] = field(default_factory=dict)
    zones: list[str] = field(default_factory=list)
    health: dict[str, str] = field(default_factory=dict)
    quota: int = -1
    is_allowed: bool = True
    looks: dict[str, int] = field(default_factory=dict)

    def served(self, method: str, target: str, path: list[str], body: Item) -> Told:
        """Return status and JSON. `path` is what comes behind `/v2/lbaas/`."""
        try:
            return self._served(method, target, path, body)
        except Refused as refused:
            status, text = refused.args
            return status, {"faultcode": "Client", "faultstring": text, "debuginfo": None}

    def _served(self, method: str, target: str, path: list[str], body: Item) -> Told:
        kind = path[0]
        if kind == "quotas":
            return 200, {"quota": {"load_balancer": self.quota, "pool": -1}}
        if kind == "pools":
            return self._member(method, path, body)
        if len(path) == 1 and method == "POST":
            return 201, {"loadbalancer": self._made(body["loadbalancer"])}
        if kind == "availabilityzones":
            return 200, {"availability_zones": [{"name": name} for name in self.zones]}
        if len(path) == 1:
            tables = {"loadbalancers": self.balancers, "listeners": self.listeners}
            told = listed(tables[kind], query_of(target), kind)
            return (400, {"faultstring": "Invalid marker"}) if told is None else (200, told)
        balancer = self._found(path[1])
        if method == "DELETE":
            return self._deleted(balancer, query_of(target))
        if path[2:] == ["status"]:
            return 200, {"statuses": {"loadbalancer": self._tree(balancer)}}
        self._look(balancer)
        return 200, {"loadbalancer": balancer}

    def _found(self, id: str) -> Item:
        if id not in self.balancers:
            raise Refused(404, f"Load Balancer {id} not found.")
        return self.balancers[id]

    def _look(self, balancer: Item) -> None:
        """Let time pass: one who looks sees the balancer at work first, and then done."""
        left = self.looks.get(balancer["id"], 0)
        if left:
            self.looks[balancer["id"]] = left - 1
        elif balancer["provisioning_status"] == "PENDING_DELETE":
            self._forget(balancer["id"])
            raise Refused(404, "Load Balancer not found.")
        else:
            balancer["provisioning_status"] = "ACTIVE"

    def _busy(self, balancer: Item, status: str) -> None:
        """Begin to change a balancer."""
        if balancer["provisioning_status"] not in ("ACTIVE", "ERROR"):
            raise Refused(409, f"Load Balancer {balancer['id']} is immutable.")
        balancer["provisioning_status"] = status
        self.looks[balancer["id"]] = LOOKS

    def _made(self, wish: Item) -> Item:
        check(wish, OF_BALANCER)
        if not self.is_allowed:
            raise Refused(403, "Policy does not allow this request to be performed.")
        if 0 <= self.quota <= len(self.balancers):
            raise Refused(403, "Quota has been met for resources: Load Balancer")
        id = new_id()
        listeners = [self._listener(id, each) for each in wish.get("listeners", ())]
        self.balancers[id] = {
            "id": id,
            "name": wish["name"],
            "tags": wish.get("tags", []),
            "availability_zone": wish.get("availability_zone"),
            "provisioning_status": "PENDING_CREATE",
            "operating_status": "OFFLINE",
            "vip_subnet_id": wish["vip_subnet_id"],
            "vip_port_id": new_id(),
            "vip_address": "10.0.0.200",
            "created_at": "2026-02-28T00:41:44",
            "listeners": [{"id": each["id"]} for each in listeners],
            "pools": [{"id": each["default_pool_id"]} for each in listeners],
        }
        self.looks[id] = LOOKS
        return self.balancers[id]

    def _listener(self, balancer_id: str, wish: Item) -> Item:
        check(wish, OF_LISTENER)
        check(wish["default_pool"], OF_POOL)
        check(wish["default_pool"]["healthmonitor"], OF_MONITOR)
        id, pool_id = new_id(), new_id()
        pool = {**wish["default_pool"], "id": pool_id, "members": {}, "balancer": balancer_id}
        self.pools[pool_id] = pool
        self.listeners[id] = {
            "id": id,
            "name": wish["name"],
            "protocol": wish["protocol"],
            "protocol_port": wish["protocol_port"],
            "tags": wish.get("tags", []),
            "default_pool_id": pool_id,
            "loadbalancers": [{"id": balancer_id}],
        }
        return self.listeners[id]

    def _deleted(self, balancer: Item, query: dict[str, list[str]]) -> Told:
        if query.get("cascade") != ["true"]:
            raise Refused(400, "Load balancer has children.")
        self._busy(balancer, "PENDING_DELETE")
        return 204, None

    def _forget(self, id: str) -> None:
        del self.balancers[id]
        own = [{"id": id}]
        self.listeners = {k: v for k, v in self.listeners.items() if v["loadbalancers"] != own}
        self.pools = {k: v for k, v in self.pools.items() if v["balancer"] != id}

    def _member(self, method: str, path: list[str], body: Item) -> Told:
        pool = self.pools.get(path[1])
        if pool is None or path[2] != "members":
            raise Refused(404, "Pool not found.")
        balancer, members = self._found(pool["balancer"]), pool["members"]
        if method == "DELETE":
            if path[3] not in members:
                raise Refused(404, "Member not found.")
            self._busy(balancer, "PENDING_UPDATE")
            del members[path[3]]
            return 204, None
        wish = body["member"]
        check(wish, OF_MEMBER)
        place = (wish["address"], wish["protocol_port"])
        if any((each["address"], each["protocol_port"]) == place for each in members.values()):
            raise Refused(409, "Another member on this pool is already using this address.")
        self._busy(balancer, "PENDING_UPDATE")
        id = new_id()
        members[id] = {**wish, "id": id}
        return 201, {"member": members[id]}

    def _tree(self, balancer: Item) -> Item:
        own = [{"id": balancer["id"]}]
        listeners = [each for each in self.listeners.values() if each["loadbalancers"] == own]
        return {
            "id": balancer["id"],
            "listeners": [
                {"id": each["id"], "pools": [self._pool(each["default_pool_id"])]}
                for each in listeners
            ],
            "pools": [self._pool(each["default_pool_id"]) for each in listeners],
        }

    def _pool(self, id: str) -> Item:
        members = [
            {
                "id": each["id"],
                "name": each["name"],
                "address": each["address"],
                "protocol_port": each["protocol_port"],
                "operating_status": self.health.get(each["address"], "NO_MONITOR"),
            }
            for each in self.pools[id]["members"].values()
        ]
        return {"id": id, "healthmonitor": {"type": "TCP"}, "members": members}


def check(wish: Item, allowed: set[str]) -> None:
    """Refuse what the API does not know."""
    if unknown := wish.keys() - allowed:
        raise Refused(400, f"Unknown attribute: {', '.join(sorted(unknown))}")
