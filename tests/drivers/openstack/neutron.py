"""A stand-in for an OpenStack: Keystone, Neutron, Octavia, and as much of Nova as they need.

What the real cloud of these tests cannot show: answers that are lost, quotas, the coming and going
of others, and Octavia.
"""

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from tests.drivers.openstack.octavia import Octavia
from tests.drivers.openstack.tables import Item, listed, query_of
from tests.targets.exchange import Asked, Reply

PROJECT = "5f1e0c4fb23c4a2bb3b5b0d4a7b9c8d7"
JSON = {"content-type": "application/json"}
# Bytes of the head of an answer, after which it is cut off.
LOST = 60

# Collections of Neutron: the name of one thing, and what the cloud adds to a new one.
KINDS: dict[str, tuple[str, Item]] = {
    "networks": ("network", {"status": "ACTIVE", "router:external": False}),
    "subnets": ("subnet", {"gateway_ip": "10.0.0.1"}),
    "routers": ("router", {"status": "ACTIVE", "external_gateway_info": None}),
    "ports": (
        "port",
        {"status": "DOWN", "device_id": "", "device_owner": "", "fixed_ips": []},
    ),
    "floatingips": ("floatingip", {"port_id": None, "floating_ip_address": "203.0.113.7"}),
    "security-groups": ("security_group", {"security_group_rules": []}),
}
SERVICES = {
    "compute": "compute/v2.1",
    "network": "network/v2.0",
    "load-balancer": "load-balancer/v2",
}


def reply(status: int, told: Any = None) -> Reply:
    return Reply(status, b"" if told is None else json.dumps(told).encode(), JSON)


def refusal(status: int, type: str, message: str = "no") -> Reply:
    """Return an answer as Neutron refuses."""
    return reply(status, {"NeutronError": {"type": type, "message": message, "detail": ""}})


def new_id() -> str:
    return str(uuid.uuid4())


def nothing_before(_asked: Asked) -> Reply | None:
    return None


def nothing_after(_asked: Asked, told: Reply) -> Reply:
    return told


@dataclass
class StandIn:
    """The whole cloud. `asked` are the requests so far, without those of login and versions.

    `before` may answer in the place of the cloud; `after` may spoil an answer of its.
    """

    url: str = ""
    neutron: dict[str, dict[str, Item]] = field(
        default_factory=lambda: {kind: {} for kind in KINDS}
    )
    servers: dict[str, Item] = field(default_factory=dict)
    zones: list[str] = field(default_factory=lambda: ["nova"])
    octavia: Octavia = field(default_factory=Octavia)
    asked: list[str] = field(default_factory=list)
    before: Callable[[Asked], Reply | None] = nothing_before
    after: Callable[[Asked, Reply], Reply] = nothing_after
    count: int = 0

    async def __call__(self, asked: Asked) -> Reply:
        parts = urlsplit(asked.target).path.strip("/").split("/")
        if parts[0] == "v3":
            return self._keystone(asked)
        if len(parts) < 3:
            return reply(404, {})
        self.asked.append(f"{asked.method} /{'/'.join(parts[2:])}")
        return self.before(asked) or self.after(asked, self.answered(asked))

    def answered(self, asked: Asked) -> Reply:
        """Return what the cloud answers when nothing goes wrong."""
        return self._served(asked, urlsplit(asked.target).path.strip("/").split("/"))

    def add(self, kind: str, told: Item) -> Item:
        """Put something into Neutron, as somebody else would."""
        return self._made(kind, told)

    def attached(self, address: str, subnet_id: str) -> str:
        """Put a server into a subnet; return its id."""
        id = new_id()
        self.servers[id] = {"id": id, "status": "ACTIVE", "name": "guest"}
        fixed = [{"ip_address": address, "subnet_id": subnet_id}]
        port = {"device_id": id, "device_owner": "compute:nova", "fixed_ips": fixed}
        self.add("ports", port)
        return id

    def _keystone(self, asked: Asked) -> Reply:
        if asked.method != "POST":
            return reply(200, {"version": {"id": "v3.14", "status": "stable", "links": []}})
        catalogue = [
            {
                "type": type,
                "endpoints": [
                    {"url": f"{self.url}/{path}", "interface": "public", "region": "one"}
                ],
            }
            for type, path in SERVICES.items()
        ]
        token = {
            "expires_at": "2100-01-01T00:00:00.000000Z",
            "project": {"id": PROJECT, "name": "tests"},
            "user": {"id": "u", "name": "tests"},
            "catalog": catalogue,
        }
        return Reply(201, json.dumps({"token": token}).encode(), {**JSON, "x-subject-token": "t"})

    def _served(self, asked: Asked, parts: list[str]) -> Reply:
        body = json.loads(asked.body) if asked.body else {}
        if parts[0] == "compute":
            return self._nova(asked.method, parts[2:], body)
        if parts[0] == "load-balancer":
            status, told = self.octavia.served(asked.method, asked.target, parts[3:], body)
            return reply(status, told)
        return self._neutron(asked, parts[2:], body)

    def _nova(self, method: str, path: list[str], body: Item) -> Reply:
        if path == ["os-availability-zone"]:
            zones = [{"zoneName": z, "zoneState": {"available": True}} for z in self.zones]
            return reply(200, {"availabilityZoneInfo": zones})
        if path[0] != "servers" or path[1] not in self.servers:
            return reply(404, {"itemNotFound": {"code": 404, "message": "no such server"}})
        if path[2:] == ["os-interface"]:
            return self._plugged(path[1], body["interfaceAttachment"]["port_id"])
        if method == "DELETE" and path[3] in self.neutron["ports"]:
            self.neutron["ports"][path[3]] |= {"device_id": "", "device_owner": ""}
            return reply(202)
        return reply(200, {"server": self.servers[path[1]]})

    def _plugged(self, server_id: str, port_id: str) -> Reply:
        port = self.neutron["ports"][port_id]
        port |= {"device_id": server_id, "device_owner": "compute:nova", "status": "ACTIVE"}
        return reply(200, {"interfaceAttachment": {"port_id": port_id}})

    def _neutron(self, asked: Asked, path: list[str], body: Item) -> Reply:
        if path[0] == "security-group-rules":
            return self._rules(asked.method, path[1:], body)
        items, (noun, _) = self.neutron[path[0]], KINDS[path[0]]
        if len(path) == 1 and asked.method == "GET":
            told = listed(items, query_of(asked.target), path[0].replace("-", "_"))
            return refusal(404, "MarkerNotFound") if told is None else reply(200, told)
        if len(path) == 1:
            return reply(201, {noun: self._made(path[0], body[noun])})
        item = items.get(path[1])
        if item is None:
            return refusal(404, f"{noun.title()}NotFound")
        return self._one(asked, items, noun, item, body)

    def _one(
        self, asked: Asked, items: dict[str, Item], noun: str, item: Item, body: Item
    ) -> Reply:
        wanted = asked.headers.get("if-match", "").rpartition("=")[2]
        if wanted and wanted != str(item["revision_number"]):
            return refusal(412, "RevisionNumberConstraintFailed")
        if asked.method == "DELETE":
            del items[item["id"]]
            return reply(204)
        if asked.method == "PUT":
            item |= {**body[noun], "revision_number": item["revision_number"] + 1}
        return reply(200, {noun: item})

    def _made(self, kind: str, told: Item) -> Item:
        self.count += 1
        item = {
            **json.loads(json.dumps(KINDS[kind][1])),
            "id": new_id(),
            "project_id": PROJECT,
            "name": "",
            "description": "",
            "created_at": f"2026-01-01T00:{self.count // 60:02}:{self.count % 60:02}Z",
            "revision_number": 1,
            **told,
        }
        self.neutron[kind][item["id"]] = item
        return item

    def _rules(self, method: str, path: list[str], body: Item) -> Reply:
        groups = self.neutron["security-groups"]
        if method == "DELETE":
            for group in groups.values():
                rules = group["security_group_rules"]
                group["security_group_rules"] = [r for r in rules if r["id"] != path[0]]
            return reply(204)
        new: list[Item] = body["security_group_rules"]
        group = groups[new[0]["security_group_id"]]
        if {_meaning(r) for r in new} & {_meaning(r) for r in group["security_group_rules"]}:
            return refusal(409, "SecurityGroupRuleExists")
        made = [{"id": new_id(), **rule} for rule in new]
        group["security_group_rules"] += made
        return reply(201, {"security_group_rules": made})


def _meaning(rule: Item) -> str:
    told = {key: value for key, value in rule.items() if key not in ("id", "description")}
    return json.dumps(told, sort_keys=True)
