"""The metadata service as a guest's programs see it, served on loopback."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nimbi.qemu.network.metadata import (
    Facts,
    MetadataServer,
    Request,
    document,
    look_up,
    parse,
    write,
)
from nimbi.qemu.network.plan import LOCAL

FACTS = Facts(
    instance_id="i-1",
    host_name="web",
    ip="10.83.0.5",
    mac="02:00:00:00:00:05",
    image_id="img-1",
    instance_type="small",
    public_keys={"my key": "ssh-ed25519 AAAA me@example", "other": "ssh-rsa BBBB"},
    user_data=b"\x00#!/bin/sh\n\xff",
)
TOLD = document(FACTS)
META = "/latest/meta-data"


@dataclass
class Service:
    """A running service on loopback, whose only guest is LOCAL."""

    server: MetadataServer
    port: int

    async def ask(self, data: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(str(LOCAL), self.port)
        writer.write(data)
        answer = await reader.read()
        writer.close()
        return answer


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    write(tmp_path / "told.json", FACTS)
    made = MetadataServer()
    made.set({LOCAL: tmp_path / "told.json"})
    limit = MetadataServer.HEAD_BYTES
    async with await asyncio.start_server(made.serve, str(LOCAL), 0, limit=limit) as server:
        yield Service(made, server.sockets[0].getsockname()[1])


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        (f"{META}/instance-id", b"i-1"),
        (f"{META}/local-hostname", b"web"),
        (f"{META}/hostname/", b"web"),
        (f"{META}/local-ipv4", b"10.83.0.5"),
        (f"{META}/mac", b"02:00:00:00:00:05"),
        (f"{META}/ami-id", b"img-1"),
        (f"{META}/instance-type", b"small"),
        (f"{META}/placement/availability-zone", b"local"),
        (f"{META}/public-keys/", b"0=my key\n1=other"),
        (f"{META}/public-keys/0", b"openssh-key"),
        (f"{META}/public-keys/0/openssh-key", b"ssh-ed25519 AAAA me@example"),
        (f"{META}/public-keys/1/openssh-key", b"ssh-rsa BBBB"),
        (f"{META}/placement", b"availability-zone\nregion"),
        ("/2009-04-04/meta-data/instance-id", b"i-1"),
        ("/latest", b"dynamic\nmeta-data\nuser-data"),
        ("/latest/user-data", b"\x00#!/bin/sh\n\xff"),
        (f"{META}/public-keys/2/openssh-key", None),
        (f"{META}/instance-id/more", None),
        (f"{META}/nothing", None),
        ("/latest/../etc/passwd", None),
        ("/1999-01-01/meta-data", None),
    ],
)
def test_each_path_holds_what_ec2_has_there(path: str, answer: bytes | None):
    assert look_up(TOLD, path) == answer


def test_the_identity_is_json_and_the_versions_are_listed():
    said = look_up(TOLD, "/latest/dynamic/instance-identity/document")
    assert said is not None
    assert json.loads(said)["instanceId"] == "i-1"
    assert (look_up(TOLD, "/") or b"").endswith(b"\nlatest")


def test_the_document_can_be_read_by_its_owner_only(tmp_path: Path):
    write(tmp_path / "told", FACTS)
    assert (tmp_path / "told").stat().st_mode & 0o777 == 0o600


async def test_it_is_served_over_http(service: Service):
    said = await service.ask(f"GET {META}/instance-id HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    head, _, body = said.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Content-Length: 3" in head
    assert body == b"i-1"


async def test_head_has_no_body(service: Service):
    said = await service.ask(b"HEAD /latest/user-data HTTP/1.0\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 200")
    assert said.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    "request_",
    [
        b"GET / HTTP/3\r\n\r\n",
        b"GET http://x/ HTTP/1.1\r\n\r\n",
        b"get / HTTP/1.1\r\n\r\n",
        b"GET  / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nno header\r\n\r\n",
        b"GET / HTTP/1.1\r\n folded: x\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 100 + b"\r\n",
        b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\r\n\r\n",
    ],
)
async def test_what_is_no_request_is_refused(service: Service, request_: bytes):
    assert (await service.ask(request_)).startswith(b"HTTP/1.1 400 ")


async def test_a_guest_that_is_not_known_is_told_nothing():
    server = MetadataServer()
    asked = Request(method="GET", path=f"{META}/instance-id", headers={})
    answer = await server.answer(IPv4Address("10.83.0.66"), asked)
    assert (answer.status, answer.body) == (HTTPStatus.NOT_FOUND, b"")


async def test_a_token_is_taken_when_given_and_is_good_for_one_guest(service: Service):
    seconds = {"x-aws-ec2-metadata-token-ttl-seconds": "60"}
    put = Request(method="PUT", path="/latest/api/token", headers=seconds)
    token = (await service.server.answer(LOCAL, put)).body.decode()

    async def status(token: str) -> HTTPStatus:
        headers = {"x-aws-ec2-metadata-token": token}
        asked = Request(method="GET", path=f"{META}/mac", headers=headers)
        return (await service.server.answer(LOCAL, asked)).status

    assert await status(token) == HTTPStatus.OK
    until, _, seal = token.partition(".")
    for bad in ("", "x", f"{int(until) + 1}.{seal}", f"{until}.", f"1.{seal}", token + "0", "é.é"):
        assert await status(bad) == HTTPStatus.UNAUTHORIZED
    other = MetadataServer()
    other.set({LOCAL: Path("/nowhere")})
    headers = {"x-aws-ec2-metadata-token": token}
    asked = Request(method="GET", path=f"{META}/mac", headers=headers)
    assert (await other.answer(LOCAL, asked)).status == HTTPStatus.UNAUTHORIZED


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, HTTPStatus.BAD_REQUEST),
        ({"x-aws-ec2-metadata-token-ttl-seconds": "0"}, HTTPStatus.BAD_REQUEST),
        ({"x-aws-ec2-metadata-token-ttl-seconds": "21601"}, HTTPStatus.BAD_REQUEST),
        ({"x-aws-ec2-metadata-token-ttl-seconds": "-1"}, HTTPStatus.BAD_REQUEST),
        (
            {"x-aws-ec2-metadata-token-ttl-seconds": "60", "x-forwarded-for": "1.2.3.4"},
            HTTPStatus.FORBIDDEN,
        ),
    ],
)
async def test_a_token_has_a_life_and_is_not_for_proxies(
    service: Service, headers: dict[str, str], status: HTTPStatus
):
    put = Request(method="PUT", path="/latest/api/token", headers=headers)
    assert (await service.server.answer(LOCAL, put)).status == status


async def test_other_methods_and_a_lost_document_are_answered(service: Service, tmp_path: Path):
    post = Request(method="POST", path=f"{META}/mac", headers={})
    assert (await service.server.answer(LOCAL, post)).status == HTTPStatus.METHOD_NOT_ALLOWED
    (tmp_path / "told.json").unlink()
    asked = Request(method="GET", path=f"{META}/mac", headers={})
    answer = await service.server.answer(LOCAL, asked)
    assert answer.status == HTTPStatus.SERVICE_UNAVAILABLE


async def test_one_guest_cannot_take_all_connections(service: Service):
    held = [await asyncio.open_connection(str(LOCAL), service.port) for _ in range(16)]
    # The server has seen them all once it has answered one of them.
    held[-1][1].write(b"GET / HTTP/1.0\r\n")
    reader, writer = await asyncio.open_connection(str(LOCAL), service.port)
    with pytest.raises(ConnectionError):
        if not await reader.read():
            raise ConnectionResetError
    for one in (*held, (reader, writer)):
        one[1].close()


@given(st.binary(max_size=300))
def test_any_head_is_parsed_or_refused(data: bytes):
    try:
        request = parse(data + b"\r\n\r\n")
    except ValueError:
        return
    assert request.path.startswith("/")


@given(st.text(max_size=60))
def test_any_path_finds_something_or_nothing(path: str):
    look_up(TOLD, f"/latest/meta-data/{path}")
    assert base64.b64decode(TOLD["user-data"]) == FACTS.user_data
