"""What tests of images share: an image as Glance tells of it, and a Glance that takes one."""

import hashlib
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web
from tests.drivers.openstack.stand_in import PROJECT, Asked
from tests.drivers.openstack.told import Canned

from nimbi.gateway.cloud import Cloud

ID = "33333333-2222-4333-8444-000000000001"
OTHER = "33333333-2222-4333-8444-000000000002"
SERVER = "99999999-2222-4333-8444-000000000001"
SNAPSHOT = "22222222-2222-4333-8444-000000000001"
DISK: dict[str, Any] = {
    "id": ID,
    "status": "active",
    "name": "system",
    "description": "a ☃ disk",
    "owner": PROJECT,
    "architecture": "x86_64",
    "visibility": "private",
    "disk_format": "qcow2",
    "container_format": "bare",
    "size": 4,
    "os_hash_algo": "sha512",
    "os_hash_value": hashlib.sha512(b"disk").hexdigest(),
    "created_at": "2026-02-03T04:05:06Z",
    "tags": [],
}
LOOK, LIST, MAKE = f"GET image /images/{ID}", "GET image /images", "POST image /images"
FILE, DROP = f"GET image /images/{ID}/file", f"DELETE image /images/{ID}"
ACT = f"POST compute /servers/{SERVER}/action"
MEMBERS = f"POST image /images/{ID}/members"
FORMATS = ("ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop")


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def whole(cloud: Cloud, id: str) -> bytes:
    content = await cloud.images.read(id)
    return b"".join([chunk async for chunk in content.chunks])


class Glance:
    """Takes one image, and keeps its bytes."""

    def __init__(self, canned: Canned, **facts: Any) -> None:
        self._canned = canned
        self._facts = facts
        self.image: dict[str, Any] = {}
        self.removed: list[str] = []
        canned.tell(MAKE, self.make)

    def make(self, asked: Asked) -> web.Response:
        self.image = {"status": "queued", **asked.json}
        path = f"image /images/{self.image['id']}"
        self._canned.tell(f"PUT {path}/file", self.put)
        self._canned.tell(f"GET {path}", self.look)
        self._canned.tell(f"DELETE {path}", self.drop)
        return web.json_response(self.image, status=201)

    def put(self, asked: Asked) -> web.Response:
        digest = hashlib.sha512(asked.body).hexdigest()
        now = {"status": "active", "size": len(asked.body)}
        self.image |= now | {"os_hash_algo": "sha512", "os_hash_value": digest} | self._facts
        return web.Response(status=204)

    def look(self, _asked: Asked) -> web.Response:
        return web.json_response(self.image)

    def drop(self, asked: Asked) -> web.Response:
        self.removed.append(asked.path.rpartition("/")[2])
        return web.Response(status=204)
