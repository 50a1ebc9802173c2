"""Limits on the heads of requests, on a real connection."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import uvicorn

from nimbi import connection
from nimbi.connection import HEAD_BYTES, LimitedConnection
from nimbi.observability.requests import Receive, Scope, Send


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message["body"])
        more = message["more_body"]
    body = str(size).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
async def port() -> AsyncIterator[int]:
    config = uvicorn.Config(
        hello, http=LimitedConnection, ws="none", lifespan="off", log_config=None
    )
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


async def asked(port: int, *pieces: bytes) -> bytes:
    """Send pieces, each in a packet of its own, and return what came until the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            # Lets the server read the piece before the next one is there.
            await asyncio.sleep(0)
        return await reader.read(400)
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_a_usual_request_is_answered(port: int) -> None:
    assert (await asked(port, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")).startswith(b"HTTP/1.1 200")


async def test_a_head_in_pieces_is_answered(port: int) -> None:
    pieces = [b"GET / HT", b"TP/1.1\r\nHo", b"st: a\r\n", b"\r\n"]
    assert (await asked(port, *pieces)).startswith(b"HTTP/1.1 200")


async def test_a_head_without_end_is_refused(port: int) -> None:
    line = b"x: " + b"a" * 1000 + b"\r\n"
    answer = await asked(port, b"GET / HTTP/1.1\r\n", *[line * 10] * (HEAD_BYTES // 10_000 + 40))
    assert answer.startswith(b"HTTP/1.1 431") or answer == b""


async def test_a_large_body_is_no_large_head(port: int) -> None:
    size = HEAD_BYTES * 4
    head = f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n".encode()
    answer = await asked(port, head, b"\r\n" + b"b" * size)
    assert answer.endswith(str(size).encode())


async def test_a_head_that_takes_too_long_is_ended(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HEAD_S", 0.05)
    assert (await asked(port, b"GET / HTTP/1.1\r\n")).startswith(b"HTTP/1.1 408")


async def test_a_connection_that_says_nothing_is_closed_without_a_word(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HEAD_S", 0.05)
    assert await asked(port) == b""
