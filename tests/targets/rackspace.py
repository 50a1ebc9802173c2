"""A stand-in for Rackspace by its documented API: Identity v2.0, servers, images, volumes of v1."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

from tests.targets.exchange import Asked, Reply

USER, API_KEY, PASSWORD = "rackuser", "a4bbc55a951242c48b03e88e32123456", "a password"
ACCOUNT, FILES = "123456", "MossoCloudFS_123456"
IMAGE = "3afe97b2-26dc-49c5-a2cc-a2fc8d80c001"
KIND = {"content-type": "application/json"}
TIME = "2026-11-21T10:00:00Z"

FLAVOURS = [
    {"id": "general1-1", "name": "1 GB General Purpose", "ram": 1024, "disk": 20, "vcpus": 1},
    {"id": "general1-2", "name": "2 GB General Purpose", "ram": 2048, "disk": 40, "vcpus": 2},
]
# Parts of a request that Nova had no more than Rackspace at that time.
UNKNOWN_PARTS = frozenset({"tags", "security_groups", "min_count", "max_count", "trusted_image"})


@dataclass
class Rackspace:
    """One account. `files` is the URL of its Cloud Files, and `files_token` what opens them."""

    files: str = ""
    files_token: str = ""
    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    servers: dict[str, dict[str, Any]] = field(default_factory=dict)
    volumes: dict[str, dict[str, Any]] = field(default_factory=dict)
    snapshots: dict[str, dict[str, Any]] = field(default_factory=dict)
    keys: dict[str, dict[str, Any]] = field(default_factory=dict)

    def bodies(self, action: str) -> list[Any]:
        """Return what requests of an action had as body: `POST /v2/123456/servers`."""
        return [json.loads(asked.body) for asked in self.asked if asked.action == action]

    async def __call__(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        parts = urlsplit(asked.target).path.strip("/").split("/")
        if parts[:2] == ["v2.0", "tokens"]:
            return self._login(json.loads(asked.body)["auth"])
        if len(parts) < 2:
            return self._version(parts[0])
        if asked.headers.get("x-auth-token") not in self.tokens:
            return _fault(401, "unauthorized", "No valid token.")
        if parts[0] in {"v1", "v2"} and parts[1] != ACCOUNT:
            return _fault(403, "forbidden", "Another account's.")
        service = {"v2": self._compute, "v1": self._blocks, "images": self._images}[parts[0]]
        body = json.loads(asked.body) if asked.body else {}
        query = {
            name: values[-1] for name, values in parse_qs(urlsplit(asked.target).query).items()
        }
        return service(asked.method, parts[2:], body, query)

    def _version(self, name: str) -> Reply:
        if name not in {"v1", "v2"}:
            return _fault(404, "itemNotFound", "The resource could not be found.")
        links = [{"rel": "self", "href": f"{self.url}/{name}/"}]
        return _told({"version": {"id": f"{name}.0", "status": "CURRENT", "links": links}})

    def _login(self, auth: Mapping[str, Any]) -> Reply:
        key = auth.get("RAX-KSKEY:apiKeyCredentials")
        password = auth.get("passwordCredentials")
        token = auth.get("token")
        known = (
            key == {"username": USER, "apiKey": API_KEY}
            or password == {"username": USER, "password": PASSWORD}
            or (token is not None and token["id"] in self.tokens and auth["tenantId"] == ACCOUNT)
        )
        if not known:
            return _fault(401, "unauthorized", "Username or api key is invalid.")
        id = self.files_token or uuid4().hex
        self.tokens.add(id)
        return _told({"access": self._access(id)})

    def _access(self, id: str) -> dict[str, Any]:
        def service(name: str, type: str, path: str, *regions: str) -> dict[str, Any]:
            ends = [
                {"region": region, "tenantId": ACCOUNT, "publicURL": f"{self.url}{path}"}
                for region in regions
            ]
            return {"name": name, "type": type, "endpoints": ends}

        first = {"tenantId": ACCOUNT, "publicURL": f"{self.url}/v1.0/{ACCOUNT}"}
        files = {"region": "ORD", "tenantId": FILES, "publicURL": self.files}
        return {
            "token": {
                "id": id,
                "expires": "2036-11-22T10:00:00.000Z",
                "tenant": {"id": ACCOUNT, "name": ACCOUNT},
                "RAX-AUTH:authenticatedBy": ["APIKEY"],
            },
            "user": {
                "id": "9",
                "name": USER,
                "RAX-AUTH:defaultRegion": "ORD",
                "roles": [{"id": "3", "name": "identity:user-admin"}],
            },
            "serviceCatalog": [
                {"name": "cloudServers", "type": "compute", "endpoints": [first]},
                service("cloudServersOpenStack", "compute", f"/v2/{ACCOUNT}", "DFW", "ORD"),
                service("cloudImages", "image", "/images/v2", "DFW", "ORD"),
                service("cloudBlockStorage", "volume", f"/v1/{ACCOUNT}", "DFW", "ORD"),
                *(
                    [{"name": "cloudFiles", "type": "object-store", "endpoints": [files]}]
                    if self.files
                    else []
                ),
            ],
        }

    def _compute(self, method: str, path: list[str], body: Any, query: Mapping[str, str]) -> Reply:
        if path[:1] == ["flavors"]:
            return _told({"flavors": FLAVOURS})
        if path[:1] == ["os-keypairs"]:
            return self._keypairs(method, path[1:], body)
        if path[:1] != ["servers"]:
            return _fault(404, "itemNotFound", "The resource could not be found.")
        if path[1:] == ["detail"]:
            return _told({"servers": _paged(self.servers, query)})
        return self._server(method, path[1:], body)

    def _server(self, method: str, path: list[str], body: Any) -> Reply:
        if not path:
            return self._launch(body["server"])
        if path[0] not in self.servers:
            return _fault(404, "itemNotFound", "Instance could not be found")
        if path[1:]:
            return self._act(path[0], body)
        if method == "DELETE":
            del self.servers[path[0]]
            return Reply(204)
        return _told({"server": self.servers[path[0]]})

    def _launch(self, wish: Mapping[str, Any]) -> Reply:
        if UNKNOWN_PARTS & wish.keys():
            return _fault(400, "badRequest", "Invalid parts.")
        if wish.get("user_data") and not wish.get("config_drive"):
            return _fault(400, "badRequest", "User data need a drive.")
        id = str(uuid4())
        flavour = {"id": wish["flavorRef"], "links": []}
        self.servers[id] = {
            "id": id,
            "name": wish["name"],
            "status": "ACTIVE",
            "hostId": "a host",
            "tenant_id": ACCOUNT,
            "user_id": "9",
            "created": TIME,
            "updated": TIME,
            "image": {"id": wish["imageRef"], "links": []},
            "flavor": flavour,
            "key_name": wish.get("key_name"),
            "metadata": wish.get("metadata", {}),
            "addresses": {
                "public": [{"version": 4, "addr": "203.0.113.7"}],
                "private": [{"version": 4, "addr": "10.0.0.7"}],
            },
            "OS-EXT-STS:vm_state": "active",
            "OS-EXT-STS:task_state": None,
            "OS-DCF:diskConfig": "AUTO",
        }
        made = {"id": id, "OS-DCF:diskConfig": "AUTO", "links": []}
        return _told({"server": {**made, "adminPass": wish.get("adminPass", "made up")}}, 202)

    def _act(self, id: str, body: Mapping[str, Any]) -> Reply:
        status = {"os-stop": "SHUTOFF", "os-start": "ACTIVE", "reboot": "ACTIVE"}
        action = next(iter(body))
        if action not in status:
            return _fault(400, "badRequest", f"There is no such action: {action}")
        self.servers[id]["status"] = status[action]
        return Reply(202)

    def _keypairs(self, method: str, path: list[str], body: Any) -> Reply:
        if method == "POST":
            told = {**body["keypair"], "fingerprint": "00:11", "user_id": "9"}
            self.keys[told["name"]] = told
            return _told({"keypair": told})
        if not path:
            return _told({"keypairs": [{"keypair": key} for key in self.keys.values()]})
        if path[0] not in self.keys:
            return _fault(404, "itemNotFound", "Keypair not found")
        if method == "DELETE":
            del self.keys[path[0]]
            return Reply(202)
        return _told({"keypair": self.keys[path[0]]})

    def _blocks(self, method: str, path: list[str], body: Any, query: Mapping[str, str]) -> Reply:
        if path == ["types"]:
            return _told({"volume_types": [{"id": "1", "name": "SATA", "extra_specs": {}}]})
        kept = {"volumes": self.volumes, "snapshots": self.snapshots}[path[0]]
        one = path[0].removesuffix("s")
        if method == "POST":
            wish = body[one]
            if {"name", "description"} & wish.keys():
                return _fault(400, "badRequest", "Invalid input received")
            told = {"id": str(uuid4()), "status": "available", "created_at": TIME, **wish}
            kept[told["id"]] = told | ({"attachments": [{}]} if one == "volume" else {})
            return _told({one: kept[told["id"]]})
        if path[1:] in ([], ["detail"]):
            if query:
                return _fault(400, "badRequest", "This version of the API knows no sorting.")
            # In no order, as they come.
            return _told({path[0]: list(reversed(kept.values()))})
        if path[1] not in kept:
            return _fault(404, "itemNotFound", "The resource could not be found.")
        if method == "DELETE":
            del kept[path[1]]
            return Reply(202)
        return _told({one: kept[path[1]]})

    def _images(self, method: str, path: list[str], _body: Any, _query: Mapping[str, str]) -> Reply:
        image = {
            "id": IMAGE,
            "name": "Debian 12 (Bookworm)",
            "status": "active",
            "visibility": "public",
            "owner": "00000",
            "min_disk": 20,
            "min_ram": 512,
            "size": 10**9,
            "created_at": TIME,
            "updated_at": TIME,
            "disk_format": "vhd",
            "container_format": "ovf",
            "com.rackspace__1__source": "kickstart",
        }
        if method != "GET" or path not in (["images"], ["images", IMAGE]):
            return _fault(404, "itemNotFound", "No image found")
        return _told(image if path[1:] else {"images": [image], "first": "/v2/images"})


def _paged(things: Mapping[str, Any], query: Mapping[str, str]) -> list[Any]:
    found = list(things.values())
    if marker := query.get("marker"):
        found = found[list(things).index(marker) + 1 :]
    return found[: int(query["limit"])] if "limit" in query else found


def _told(body: Any, status: int = 200) -> Reply:
    return Reply(status, json.dumps(body).encode(), KIND)


def _fault(status: int, name: str, message: str) -> Reply:
    return _told({name: {"code": status, "message": message}}, status)
