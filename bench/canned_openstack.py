"""A stand-in for OpenStack that always says the same: `python -m bench.canned_openstack PORT`.

Bound to the loopback interface only; any login is right.
"""

import asyncio
import json
import re
import sys
from typing import Any, cast

import uvloop

SERVERS = 100
PROJECT = "5f2e1d0c4b3a49788796a5b4c3d2e1f0"
IMAGE, FLAVOUR = "70a599e0-31e7-49b7-b260-868f441e862b", "6f746027-615f-44f4-9efc-c032a649402f"
GROUP, NETWORK = "85cc3048-abc3-43cc-89b3-377341426ac5", "b96c34a1-7b5d-4b4b-8a3c-5c4a8d3f9c11"
SUBNET = "0b8f8a0c-91a9-4e7b-9c57-9a3b7f8e4f21"
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def server(n: int, base: str) -> dict[str, Any]:
    """Return a server as Nova 2.93 tells of it, with the id of its flavour as before 2.47."""
    id = f"9168b536-cd40-4630-b43f-{n:012x}"
    return {
        "id": id,
        "name": f"server-{n}",
        "status": "ACTIVE",
        "tenant_id": PROJECT,
        "user_id": "fake",
        "metadata": {"team": "blue", "nimbi:token": f"{n:032x}"},
        "hostId": f"{n:056x}",
        "image": {"id": IMAGE, "links": [{"rel": "bookmark", "href": f"{base}/images/{IMAGE}"}]},
        "flavor": {
            "id": FLAVOUR,
            "links": [{"rel": "bookmark", "href": f"{base}/flavors/{FLAVOUR}"}],
        },
        "created": f"2026-05-08T16:{n // 60:02d}:{n % 60:02d}Z",
        "updated": f"2026-05-08T17:{n // 60:02d}:{n % 60:02d}Z",
        "addresses": {
            "private": [
                {
                    "version": 4,
                    "addr": f"10.0.0.{n + 2}",
                    "OS-EXT-IPS:type": "fixed",
                    "OS-EXT-IPS-MAC:mac_addr": f"fa:16:3e:00:00:{n:02x}",
                },
                {
                    "version": 4,
                    "addr": f"172.24.4.{n + 2}",
                    "OS-EXT-IPS:type": "floating",
                    "OS-EXT-IPS-MAC:mac_addr": f"fa:16:3e:00:00:{n:02x}",
                },
            ]
        },
        "accessIPv4": "",
        "accessIPv6": "",
        "links": [
            {"rel": "self", "href": f"{base}/v2.1/servers/{id}"},
            {"rel": "bookmark", "href": f"{base}/servers/{id}"},
        ],
        "OS-DCF:diskConfig": "MANUAL",
        "progress": 0,
        "OS-EXT-AZ:availability_zone": "nova",
        "config_drive": "",
        "key_name": "my-key",
        "OS-SRV-USG:launched_at": f"2026-05-08T16:{n // 60:02d}:{n % 60:02d}.000000",
        "OS-SRV-USG:terminated_at": None,
        "OS-EXT-STS:task_state": None,
        "OS-EXT-STS:vm_state": "active",
        "OS-EXT-STS:power_state": 1,
        "os-extended-volumes:volumes_attached": [
            {"id": f"2a0e5f1c-6f0b-4f0e-a3d2-{n:012x}", "delete_on_termination": False}
        ],
        "security_groups": [{"name": "default"}],
        "locked": False,
        "description": None,
        "tags": [],
    }


def port(n: int) -> dict[str, Any]:
    """Return a server's port, with the fields that the driver asks for."""
    return {
        "id": f"4cd3f4f0-1f4c-4b0e-8f6a-{n:012x}",
        "device_id": f"9168b536-cd40-4630-b43f-{n:012x}",
        "security_groups": [GROUP],
        "fixed_ips": [{"subnet_id": SUBNET, "ip_address": f"10.0.0.{n + 2}"}],
    }


def token(base: str) -> dict[str, Any]:
    """Return what Keystone tells of a token, with a catalogue of what is here."""
    services = {"identity": "/v3", "compute": "/v2.1", "network": "", "image": ""}
    domain = {"id": "default", "name": "Default"}
    catalogue = [
        {
            "type": kind,
            "name": kind,
            "id": kind,
            "endpoints": [
                {
                    "id": f"{kind}-{interface}",
                    "interface": interface,
                    "region": "RegionOne",
                    "region_id": "RegionOne",
                    "url": base + path,
                }
                for interface in ("public", "internal")
            ],
        }
        for kind, path in services.items()
    ]
    return {
        "token": {
            "methods": ["password"],
            "expires_at": "2099-01-01T00:00:00.000000Z",
            "issued_at": "2026-01-01T00:00:00.000000Z",
            "audit_ids": ["x"],
            "user": {"domain": domain, "id": "u", "name": "user", "password_expires_at": None},
            "project": {"domain": domain, "id": PROJECT, "name": "project"},
            "roles": [{"id": "r", "name": "member"}],
            "is_domain": False,
            "catalog": catalogue,
        }
    }


def version(id: str, base: str, path: str, newest: str = "", oldest: str = "") -> dict[str, Any]:
    return {
        "id": id,
        "status": "CURRENT",
        "version": newest,
        "min_version": oldest,
        "updated": "2013-07-23T11:33:21Z",
        "links": [{"rel": "self", "href": base + path}],
    }


def answers(base: str) -> dict[bytes, bytes]:
    """Return whole answers by method and path."""
    nova = version("v2.1", base, "/v2.1/", "2.93", "2.1")
    found: dict[str, Any] = {
        "GET /v2.1/servers/detail": {"servers": [server(n, base) for n in range(SERVERS)]},
        "GET /v2.0/ports": {"ports": [port(n) for n in range(SERVERS)]},
        "GET /v2.1": {"version": nova},
        "GET /v2.1/": {"version": nova},
        "GET /": {"versions": [nova]},
        "GET /v3": {"version": version("v3.14", base, "/v3/")},
        "GET /v3/": {"version": version("v3.14", base, "/v3/")},
        "POST /v3/auth/tokens": token(base),
    }
    return {name.encode(): answer(json.dumps(body).encode()) for name, body in found.items()}


def answer(body: bytes, status: str = "200 OK") -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nX-Subject-Token: canned\r\n"
        "OpenStack-API-Version: compute 2.93\r\n"
    )
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


UNKNOWN = answer(b'{"itemNotFound": {"code": 404, "message": "not here"}}', "404 Not Found")


class Canned(asyncio.Protocol):
    """Answers each request by its method and path."""

    def __init__(self, answers: dict[bytes, bytes]) -> None:
        self._answers = answers
        self._came = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        self._came += data
        while (end := self._came.find(b"\r\n\r\n")) >= 0:
            length = LENGTH.search(self._came, 0, end)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._came) < whole:
                return
            line = self._came[: self._came.find(b" HTTP/")]
            self._came = self._came[whole:]
            assert self._transport is not None
            self._transport.write(self._answers.get(line.partition(b"?")[0], UNKNOWN))


async def serve(port: int) -> None:
    told = answers(f"http://127.0.0.1:{port}")
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Canned(told), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
