"""A Keystone and a Swift that keep nothing, for the measures of blobs. Run: PORT SIZE.

As Swift does, it tells the MD5 of what it gets and of what it gives.
"""

import asyncio
import hashlib
import json
import os
import sys
from urllib.parse import urlsplit

import uvloop

CHUNK = 256 * 1024
PROJECT = "0123456789abcdef0123456789abcdef"


class Store:
    """What is told: a token, and a blob of random bytes."""

    def __init__(self, port: int, size: int) -> None:
        block = os.urandom(CHUNK)
        self.size = size
        self.blocks = [block[: size - start] for start in range(0, size, CHUNK)]
        digest = hashlib.md5()
        for part in self.blocks:
            digest.update(part)
        self.etag = digest.hexdigest()
        url = f"http://127.0.0.1:{port}/v1/AUTH_{PROJECT}"
        endpoint = {"id": "1", "interface": "public", "region": "R", "region_id": "R", "url": url}
        self.token = json.dumps(
            {
                "token": {
                    "expires_at": "2099-01-01T00:00:00.000000Z",
                    "project": {"id": PROJECT, "name": "bench"},
                    "user": {"id": "u", "name": "bench"},
                    "roles": [{"id": "r", "name": "member"}],
                    "catalog": [{"type": "object-store", "endpoints": [endpoint]}],
                }
            }
        ).encode()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await self.one(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _version = lines[0].split(" ")
        told = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in lines[1:])}
        if told.get("expect"):
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        got = await drained(reader, told)
        path = urlsplit(target).path
        if path == "/v3/auth/tokens":
            _head(writer, 201, len(self.token), {"X-Subject-Token": "t"})
            writer.write(self.token)
        elif path == "/info":
            _head(writer, 404, 0, {})
        elif method in {"PUT", "POST"}:
            _head(writer, 201, 0, {"ETag": got})
        elif method in {"GET", "HEAD"} and path.endswith("/blob"):
            _head(writer, 200, self.size, {"ETag": self.etag})
            for block in self.blocks if method == "GET" else ():
                writer.write(block)
                await writer.drain()
        else:
            _head(writer, 204, 0, {})


async def drained(reader: asyncio.StreamReader, headers: dict[str, str]) -> str:
    """Read the body; return its MD5."""
    left = int(headers.get("content-length", 0))
    found = hashlib.md5()
    while left:
        chunk = await reader.read(min(left, 1 << 20))
        if not chunk:
            raise ConnectionError
        left -= len(chunk)
        found.update(chunk)
    return found.hexdigest()


def _head(writer: asyncio.StreamWriter, status: int, size: int, told: dict[str, str]) -> None:
    headers = {
        "Content-Length": str(size),
        "Content-Type": "application/octet-stream",
        "Last-Modified": "Sat, 21 Nov 2026 10:00:00 GMT",
        "X-Timestamp": "1795255200.00000",
        **told,
    }
    text = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    writer.write(f"HTTP/1.1 {status} Told\r\n{text}\r\n".encode())


async def serve(port: int, size: int) -> None:
    store = Store(port, size)
    server = await asyncio.start_server(store.answer, "127.0.0.1", port, limit=1 << 20)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), int(sys.argv[2])))
