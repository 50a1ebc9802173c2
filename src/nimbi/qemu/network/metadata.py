"""What a guest is told about itself over HTTP, in the way of EC2."""

import asyncio
import base64
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import IPv4Address
from pathlib import Path
from time import time
from typing import Any

from nimbi.qemu.host.files import write_json

VERSIONS = (
    *("1.0", "2009-04-04", "2016-09-02", "2018-09-24", "2019-10-01", "2021-03-23", "latest"),
)
TOKEN_HEADER = "x-aws-ec2-metadata-token"  # noqa: S105  the name of a header
TTL_HEADER = "x-aws-ec2-metadata-token-ttl-seconds"
MAX_TTL_S = 21600
REQUEST_S = 10.0
MAX_CONNECTIONS = 512
MAX_CONNECTIONS_EACH = 16
MAX_HEADERS = 64

REQUEST_LINE = re.compile(rb"([A-Z]{1,10}) (/[\x21-\x7e]{0,1024}) HTTP/1\.[01]")
HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}):[ \t]*([\x20-\x7e\t\x80-\xff]*)")

Tree = Mapping[str, Any]
"""Names and what they hold: text, or another tree."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a guest may know about itself. `public_keys` are {name: line of authorized_keys}."""

    instance_id: str
    host_name: str
    ip: str
    mac: str
    image_id: str
    instance_type: str
    zone: str = "local"
    public_keys: Mapping[str, str]
    user_data: bytes = b""


def write(file: Path, facts: Facts) -> None:
    """Write what is told to one guest, readable by its owner only, atomically."""
    write_json(file, document(facts))


def document(facts: Facts) -> dict[str, Any]:
    """Return what is told to one guest, as the gate reads it."""
    keys = {
        f"{number}={_line(name)}": {"openssh-key": _line(key)}
        for number, (name, key) in enumerate(facts.public_keys.items())
    }
    data: dict[str, Any] = {
        "ami-id": facts.image_id,
        "ami-launch-index": "0",
        "hostname": facts.host_name,
        "instance-action": "none",
        "instance-id": facts.instance_id,
        "instance-type": facts.instance_type,
        "local-hostname": facts.host_name,
        "local-ipv4": facts.ip,
        "mac": facts.mac,
        "network": {
            "interfaces": {
                "macs": {
                    facts.mac: {
                        "device-number": "0",
                        "local-hostname": facts.host_name,
                        "local-ipv4s": facts.ip,
                        "mac": facts.mac,
                    }
                }
            }
        },
        "placement": {"availability-zone": facts.zone, "region": facts.zone},
    }
    if keys:
        data["public-keys"] = keys
    identity = {
        "availabilityZone": facts.zone,
        "imageId": facts.image_id,
        "instanceId": facts.instance_id,
        "instanceType": facts.instance_type,
        "privateIp": facts.ip,
        "region": facts.zone,
        "version": "2017-09-30",
    }
    return {
        "meta-data": data,
        "dynamic": {"instance-identity": {"document": json.dumps(identity, indent=2)}},
        "user-data": base64.b64encode(facts.user_data).decode() if facts.user_data else None,
    }


def _line(text: str) -> str:
    return " ".join(text.split())


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request; names of headers are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Answer:
    """One answer."""

    status: HTTPStatus
    body: bytes = b""


class MetadataServer:
    """Answers each guest about itself: guests cannot speak from another address than their own."""

    HEAD_BYTES = 8192

    def __init__(self) -> None:
        """Know nobody."""
        self._files: dict[IPv4Address, Path] = {}
        self._open: dict[IPv4Address, int] = {}
        self._secret = secrets.token_bytes(32)

    def set(self, files: Mapping[IPv4Address, Path]) -> None:
        """Know exactly these guests from now on, by address, and where their documents are."""
        self._files = dict(files)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection: one request, then its end."""
        ip = IPv4Address(writer.get_extra_info("peername")[0])
        mine = self._open.get(ip, 0)
        if mine >= MAX_CONNECTIONS_EACH or sum(self._open.values()) >= MAX_CONNECTIONS:
            writer.transport.abort()
            return
        self._open[ip] = mine + 1
        try:
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(REQUEST_S):
                    await self._serve(ip, reader, writer)
        finally:
            self._open[ip] -= 1
            if not self._open[ip]:
                del self._open[ip]
            writer.transport.abort()

    async def _serve(
        self, ip: IPv4Address, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            request = parse(await reader.readuntil(b"\r\n\r\n"))
            answer = await self.answer(ip, request)
            body = b"" if request.method == "HEAD" else answer.body
        except (ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            answer, body = Answer(HTTPStatus.BAD_REQUEST), b""
        writer.write(head(answer) + body)
        await writer.drain()
        writer.write_eof()
        # Until the guest has everything: an abort would throw away what it has not.
        while await reader.read(1024):
            pass

    async def answer(self, ip: IPv4Address, request: Request) -> Answer:
        """Return the answer to a guest's request."""
        file = self._files.get(ip)
        if file is None:
            return Answer(HTTPStatus.NOT_FOUND)
        if request.method == "PUT":
            return self._token(ip, request)
        if request.method not in ("GET", "HEAD"):
            return Answer(HTTPStatus.METHOD_NOT_ALLOWED)
        token = request.headers.get(TOKEN_HEADER)
        if token is not None and not self._is_valid(ip, token):
            return Answer(HTTPStatus.UNAUTHORIZED)
        try:
            told = await asyncio.to_thread(lambda: json.loads(file.read_bytes()))
        except (OSError, ValueError):
            return Answer(HTTPStatus.SERVICE_UNAVAILABLE)
        found = look_up(told, request.path)
        return Answer(HTTPStatus.NOT_FOUND) if found is None else Answer(HTTPStatus.OK, found)

    def _token(self, ip: IPv4Address, request: Request) -> Answer:
        """Return a token of the second version of the service, as far as the request may have it.

        A proxy inside of the guest, which can be abused from outside, adds a header: it gets none.
        """
        if request.path.rstrip("/") != "/latest/api/token":
            return Answer(HTTPStatus.METHOD_NOT_ALLOWED)
        if "x-forwarded-for" in request.headers:
            return Answer(HTTPStatus.FORBIDDEN)
        wanted = request.headers.get(TTL_HEADER, "")
        if not re.fullmatch(r"[0-9]{1,5}", wanted) or not 1 <= int(wanted) <= MAX_TTL_S:
            return Answer(HTTPStatus.BAD_REQUEST)
        until = int(time()) + int(wanted)
        return Answer(HTTPStatus.OK, f"{until}.{self._seal(ip, until)}".encode())

    def _is_valid(self, ip: IPv4Address, token: str) -> bool:
        until, _, seal = token.partition(".")
        if not re.fullmatch(r"[0-9]{1,15}", until) or int(until) < time():
            return False
        return hmac.compare_digest(self._seal(ip, int(until)).encode(), seal.encode())

    def _seal(self, ip: IPv4Address, until: int) -> str:
        said = f"{ip} {until}".encode()
        return hmac.new(self._secret, said, hashlib.sha256).hexdigest()


def parse(head: bytes) -> Request:
    """Return the request of a head that ends in an empty line. Raises ValueError."""
    first, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    line = REQUEST_LINE.fullmatch(first)
    if line is None or len(lines) > MAX_HEADERS:
        raise ValueError("no request")
    headers: dict[str, str] = {}
    for each in lines:
        header = HEADER.fullmatch(each)
        if header is None:
            raise ValueError("no header")
        headers[header[1].decode().lower()] = header[2].decode("latin-1").strip()
    return Request(method=line[1].decode(), path=line[2].decode(), headers=headers)


def head(answer: Answer) -> bytes:
    """Return what stands before the body of an answer."""
    status = answer.status
    return (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: text/plain\r\n"
        f"Content-Length: {len(answer.body)}\r\nConnection: close\r\n\r\n"
    ).encode()


def look_up(told: Tree, path: str) -> bytes | None:
    """Return what stands at a path: text, or the names below it; None when there is nothing."""
    parts = [part for part in path.partition("?")[0].split("/") if part]
    if not parts:
        return "\n".join(VERSIONS).encode()
    version, *rest = parts
    if version not in VERSIONS:
        return None
    data = told.get("user-data")
    if rest == ["user-data"]:
        return None if data is None else base64.b64decode(data)
    tops = {name: told[name] for name in ("dynamic", "meta-data")}
    tree: Any = tops if data is None else {**tops, "user-data": ""}
    for part in rest:
        tree = _below(tree, part)
    return None if tree is None else _shown(tree, plain=rest[-1:] in ([], ["public-keys"]))


def _below(tree: Any, part: str) -> Any:
    if not isinstance(tree, Mapping):
        return None
    if part in tree:
        return tree[part]
    # Keys are listed as "0=name", and asked for as "0".
    return next((tree[name] for name in tree if name.startswith(f"{part}=")), None)


def _shown(tree: Any, *, plain: bool) -> bytes:
    if not isinstance(tree, Mapping):
        return str(tree).encode()
    lines = (
        f"{name}/" if isinstance(below, Mapping) and not plain else name
        for name, below in tree.items()
    )
    return "\n".join(lines).encode()
