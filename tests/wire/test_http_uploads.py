"""Bodies that the HTTP client sends as they come: of any length, too long, broken, unwanted."""

import asyncio
import tracemalloc
from collections.abc import AsyncIterator

import pytest
from tests.wire.servers import Connection, echo, serving, settled

from nimbi.wire.http import MIB, HttpClient, Request, Unsendable


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def test_a_body_of_known_length_is_sent_with_it(http: HttpClient) -> None:
    async with serving(echo) as site:
        answer = await http.send(Request("PUT", site.url, {}, pieces(b"ab", b"", b"c"), 3))
    assert b"Content-Length: 3\r\n" in answer.body
    assert b"Transfer-Encoding" not in answer.body
    assert answer.body.endswith(b"\r\n\r\nabc")


async def test_a_body_of_unknown_length_is_sent_in_chunks(http: HttpClient) -> None:
    async with serving(echo) as site:
        answer = await http.send(Request("PUT", site.url, {}, pieces(b"ab", b"", b"c")))
    assert b"Content-Length" not in answer.body
    assert answer.body.endswith(b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")


async def test_an_empty_streamed_body_is_sent(http: HttpClient) -> None:
    async with serving(echo) as site:
        known = await http.send(Request("PUT", site.url, {}, pieces(), 0))
        unknown = await http.send(Request("PUT", site.url, {}, pieces()))
    assert b"Content-Length: 0\r\n" in known.body
    assert unknown.body.endswith(b"\r\n\r\n0\r\n\r\n")


async def test_a_big_body_passes_through_little_memory(http: HttpClient) -> None:
    size = 64 * MIB

    async def endless_piece() -> AsyncIterator[bytes]:
        for _ in range(size // MIB):
            yield bytes(MIB)

    async def count(connection: Connection) -> None:
        await connection.head()
        left = size
        while left:
            left -= len(await connection.reader.read(65536))
        await connection.whole(b"all")

    async with serving(count) as site:
        tracemalloc.start()
        answer = await http.send(Request("PUT", site.url, {}, endless_piece(), size))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert answer.body == b"all"
    assert peak < 8 * MIB


async def test_a_slow_server_slows_the_body_down(http: HttpClient) -> None:
    asked: list[int] = []
    reached = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        while True:
            asked.append(1)
            yield bytes(65536)

    async def deaf(connection: Connection) -> None:
        await connection.head()
        reached.set()
        await asyncio.Event().wait()

    async with serving(deaf) as site:
        call = asyncio.create_task(http.send(Request("PUT", site.url, {}, body())))
        await reached.wait()
        assert await settled(asked) * 65536 < 32 * MIB
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call


@pytest.mark.parametrize("size_bytes", [2, 5])
async def test_a_body_that_is_not_as_long_as_was_said_makes_no_whole_request(
    http: HttpClient, size_bytes: int
) -> None:
    whole: list[bytes] = []

    async def take(connection: Connection) -> None:
        await connection.head()
        try:
            whole.append(await connection.body())
        finally:
            await connection.whole(b"")

    async with serving(take) as site:
        with pytest.raises(Unsendable, match=str(size_bytes)):
            await http.send(Request("PUT", site.url, {}, pieces(b"a", b"bc"), size_bytes))
    assert whole == []


@pytest.mark.parametrize("size_bytes", [None, 100])
async def test_an_error_of_the_bodys_source_reaches_the_caller_and_breaks_the_request_off(
    http: HttpClient, size_bytes: int | None
) -> None:
    whole: list[bytes] = []
    closed = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"ab"
        raise LookupError("the source is gone")

    async def take(connection: Connection) -> None:
        await connection.head()
        try:
            whole.append(await connection.body())
        finally:
            closed.set()

    async with serving(take) as site:
        with pytest.raises(LookupError, match="source"):
            await http.send(Request("PUT", site.url, {}, body(), size_bytes))
        await closed.wait()
    assert whole == []


async def test_an_answer_before_the_body_ended_is_given_and_the_connection_closed(
    http: HttpClient,
) -> None:
    closed = asyncio.Event()
    forever = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"ab"
        await forever.wait()

    async def refuse(connection: Connection) -> None:
        await connection.head()
        await connection.whole(b"no", b"403 Forbidden")
        await connection.gone()
        closed.set()

    async with serving(refuse) as site:
        answer = await http.send(Request("PUT", site.url, {}, body(), 1000))
        await closed.wait()
    assert (answer.status, answer.body) == (403, b"no")


async def test_a_body_that_the_server_does_not_want_is_not_begun(http: HttpClient) -> None:
    asked: list[int] = []

    async def body() -> AsyncIterator[bytes]:
        asked.append(1)
        yield b"x"

    async def refuse(connection: Connection) -> None:
        assert b"Expect: 100-continue\r\n" in await connection.head()
        await connection.whole(b"no", b"403 Forbidden")
        await connection.gone()

    async with serving(refuse) as site:
        headers = {"Expect": "100-continue"}
        answer = await http.send(Request("PUT", site.url, headers, body(), 1))
    assert (answer.status, asked) == (403, [])
