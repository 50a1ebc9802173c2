"""Files, and what comes over sockets, sent by the kernel on a real connection."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import uvicorn

from nimbi.connection import LimitedConnection
from nimbi.observability.requests import Receive, Scope, Send
from nimbi.outgoing import RELAY, ZEROCOPY
from nimbi.wire.conduit import CutShort

CONTENT = os.urandom(6_000_000)


async def relayed(path: str, send: Send) -> None:
    """Answer from a socket: `/relay/HEAD/COUNT/SENT`, of which SENT bytes come and then the end."""
    head, count, sent = map(int, path.split("/")[2:])
    headers = [(b"content-length", b"%d" % (head + count))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    near, far = socket.socketpair()
    near.setblocking(False)
    far.setblocking(False)
    with near, far:

        async def feed() -> None:
            await asyncio.get_running_loop().sock_sendall(far, CONTENT[head : head + sent])
            far.shutdown(socket.SHUT_WR)

        feeding = asyncio.create_task(feed())
        message = {"type": RELAY, "socket": near.fileno(), "head": CONTENT[:head], "count": count}
        try:
            await send({**message, "idle_s": 60.0})
        finally:
            feeding.cancel()


class FileApp:
    """Answers with a part of a file: `/FIRST/COUNT`, `/FIRST/COUNT/told` with another length."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.failures: list[str] = []

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        assert {ZEROCOPY, RELAY} <= set(scope["extensions"])
        if scope["path"].startswith("/relay/"):
            try:
                await relayed(scope["path"], send)
            except CutShort as error:
                self.failures.append(str(error))
                raise
            return
        first, count, *told = map(int, scope["path"].strip("/").split("/"))
        length = told[0] if told else count
        headers = [(b"content-length", b"%d" % length)] if length >= 0 else []
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        with self.file.open("rb") as opened:
            message = {"type": ZEROCOPY, "file": opened.fileno(), "offset": first, "count": count}
            try:
                await send(message)
            except RuntimeError as error:
                self.failures.append(str(error))
                raise


@pytest.fixture
def app(tmp_path: Path) -> FileApp:
    file = tmp_path / "content"
    file.write_bytes(CONTENT)
    return FileApp(file)


@pytest.fixture
async def port(app: FileApp) -> AsyncIterator[int]:
    config = uvicorn.Config(app, http=LimitedConnection, ws="none", lifespan="off", log_config=None)
    config.load()
    server = uvicorn.Server(config)
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(
        lambda: LimitedConnection(config, server.server_state, {}), "127.0.0.1", 0
    )
    yield listening.sockets[0].getsockname()[1]
    listening.close()
    for held in list(server.server_state.connections):
        held.transport.abort()


async def asked(port: int, *requests: str) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for request in requests:
            writer.write(f"{request} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        writer.write(b"GET /0/0 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        return await reader.read()
    finally:
        writer.close()


def bodies(received: bytes) -> list[bytes]:
    """Return the bodies of answers that came one after the other."""
    found = []
    while received:
        head, _, rest = received.partition(b"\r\n\r\n")
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        found.append(rest[:length])
        received = rest[length:]
    return found


async def test_a_part_of_a_file_is_sent_between_other_answers(port: int) -> None:
    received = await asked(port, "GET /0/6000000", "GET /5/10", "GET /1/5999999")
    assert bodies(received) == [CONTENT, CONTENT[5:15], CONTENT[1:], b""]


async def test_nothing_of_it_is_sent_for_head(port: int) -> None:
    received = await asked(port, "HEAD /0/6000000")
    assert received.count(b"HTTP/1.1 200") == 2
    assert len(received) < 1000


@pytest.mark.parametrize("told", [5, -1])
async def test_more_than_the_told_length_is_never_sent(app: FileApp, port: int, told: int) -> None:
    received = await asked(port, f"GET /0/10/{told}")
    assert CONTENT[:5] not in received
    assert app.failures == ["a file is sent within the told length of an answer only"]


async def test_a_file_that_became_shorter_breaks_the_answer_off(app: FileApp, port: int) -> None:
    received = await asked(port, "GET /5999990/100")
    assert received.endswith(CONTENT[5_999_990:])
    assert app.failures == ["the file is shorter than it was"]


async def test_a_client_that_goes_ends_the_sending(app: FileApp, port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(b"GET /0/6000000 HTTP/1.1\r\nHost: a\r\n\r\n")
        await asyncio.to_thread(sock.recv, 1000)
    assert bodies(await asked(port)) == [b""]
    assert app.failures == []


async def test_what_a_socket_brings_is_sent_between_other_answers(port: int) -> None:
    whole = len(CONTENT) - 1000
    received = await asked(
        port, f"GET /relay/1000/{whole}/{whole}", "GET /5/10", "GET /relay/0/9/9"
    )
    assert bodies(received) == [CONTENT, CONTENT[5:15], CONTENT[:9], b""]


async def test_nothing_of_a_socket_is_sent_for_head(port: int) -> None:
    received = await asked(port, "HEAD /relay/10/1000000/0")
    assert received.count(b"HTTP/1.1 200") == 2
    assert len(received) < 1000


async def test_a_socket_that_ends_too_early_breaks_the_answer_off(app: FileApp, port: int) -> None:
    received = await asked(port, "GET /relay/10/100/90")
    assert received.endswith(CONTENT[:100])
    assert app.failures == ["the content broke off"]


async def test_a_client_that_goes_ends_the_relaying(app: FileApp, port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(b"GET /relay/0/5000000/5000000 HTTP/1.1\r\nHost: a\r\n\r\n")
        await asyncio.to_thread(sock.recv, 1000)
    assert bodies(await asked(port)) == [b""]
    assert app.failures == []
