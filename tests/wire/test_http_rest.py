"""The rest of an answer's body, taken from its socket."""

import asyncio
import os
import socket
from contextlib import closing
from pathlib import Path

import pytest
from tests.wire.servers import Connection, authority, serving

from nimbi.wire.conduit import Conduit
from nimbi.wire.http import AnswerLost, HttpClient, Request, Rest, open_client

CONTENT = os.urandom(2_000_000)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"


async def whole(connection: Connection) -> None:
    while True:
        await connection.head()
        await connection.whole(CONTENT)


async def moved(rest: Rest) -> bytes:
    """Return all that is left, moved by a conduit."""
    near, far = socket.socketpair()
    loop = asyncio.get_running_loop()
    with near, far:
        near.setblocking(False)
        found = loop.run_in_executor(None, lambda: far.recv(rest.size_bytes, socket.MSG_WAITALL))
        with closing(Conduit(loop, rest.descriptor, near.fileno())) as conduit:
            await conduit.carry(rest.size_bytes, 60)
        return rest.head + await found


async def test_the_rest_of_a_body_is_its_head_and_what_the_socket_brings(http: HttpClient) -> None:
    async with serving(whole) as site:
        async with http.stream(Request("GET", site.url)) as stream:
            rest = stream.rest()
            assert rest is not None
            assert len(rest.head) + rest.size_bytes == len(CONTENT)
            assert await moved(rest) == CONTENT
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(rest.descriptor)
        # Nobody else may have that connection: its client has not seen the end of the answer.
        assert (await http.send(Request("GET", site.url))).body == CONTENT
        assert len(site.connections) == 2


async def test_what_was_read_before_is_no_part_of_the_rest(http: HttpClient) -> None:
    async with serving(whole) as site, http.stream(Request("GET", site.url)) as stream:
        first = await anext(stream.chunks)
        rest = stream.rest()
        assert rest is not None
        assert first + await moved(rest) == CONTENT


async def test_who_wants_no_socket_reads_on_as_ever(http: HttpClient) -> None:
    async with serving(whole) as site:
        async with http.stream(Request("GET", site.url)) as stream:
            assert stream.rest() is not None
            assert b"".join([chunk async for chunk in stream.chunks]) == CONTENT
        async with http.stream(Request("GET", site.url)) as stream:
            assert stream.rest() is not None
            assert await stream.read() == CONTENT
        assert len(site.connections) == 1


async def test_a_body_that_is_cut_short_is_an_error_also_after_its_socket_was_asked_for(
    http: HttpClient,
) -> None:
    async def short(connection: Connection) -> None:
        await connection.head()
        await connection.answer(HEAD % 2_000_000, CONTENT[:-1])

    async with serving(short) as site, http.stream(Request("GET", site.url)) as stream:
        assert stream.rest() is not None
        with pytest.raises(AnswerLost):
            async for _ in stream.chunks:
                pass


async def test_a_body_in_chunks_has_no_such_rest(http: HttpClient) -> None:
    async def chunked(connection: Connection) -> None:
        await connection.head()
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        await connection.answer(head + b"3\r\nabc\r\n", b"0\r\n\r\n")

    async with serving(chunked) as site, http.stream(Request("GET", site.url)) as stream:
        assert stream.rest() is None
        assert await stream.read() == b"abc"


async def test_a_body_that_is_all_here_has_no_such_rest(http: HttpClient) -> None:
    async def short(connection: Connection) -> None:
        await connection.head()
        await connection.whole(b"abc")

    async with serving(short) as site, http.stream(Request("GET", site.url)) as stream:
        assert stream.rest() is None
        assert [chunk async for chunk in stream.chunks] == [b"abc"]


async def test_an_encrypted_body_has_no_such_rest(tmp_path: Path, no_proxies: None) -> None:
    known = authority(tmp_path, "ca")
    async with (
        serving(whole, known.tls) as site,
        open_client(ca_file=known.ca_file) as http,
        http.stream(Request("GET", site.url)) as stream,
    ):
        assert stream.rest() is None
        assert b"".join([chunk async for chunk in stream.chunks]) == CONTENT
