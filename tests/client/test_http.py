"""What may go wrong between a client and a server over HTTP."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.client.desk import Desk, Reply, served

from nimbi.client.async_http import AsyncHttpTransport
from nimbi.client.http import HttpTransport
from nimbi.client.transport import Request
from nimbi.model.errors import CloudError, CloudUnavailable, Invalid, Timeout, UnknownOutcome

GET = Request("GET", "/")
WHOLE = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@contextmanager
def scripted(*answers: bytes | None) -> Iterator[tuple[str, list[bytes]]]:
    """Give the URL of a server that says these, one a connection, and the requests it heard.

    None: it says nothing, and keeps the connection.
    """
    heard: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))
    done = threading.Event()

    def serve() -> None:
        for answer in answers:
            connection, _ = listener.accept()
            heard.append(connection.recv(65536))
            if answer is None:
                done.wait(10)
            else:
                connection.sendall(answer)
            connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", heard
    finally:
        done.set()
        thread.join()
        listener.close()


def blocking(url: str, request: Request) -> bytes:
    transport = HttpTransport(url)
    try:
        return transport.send(request).read()
    finally:
        transport.close()


def looping(url: str, request: Request) -> bytes:
    async def ask() -> bytes:
        transport = AsyncHttpTransport(url)
        try:
            return await (await transport.send(request)).read()
        finally:
            await transport.aclose()

    return asyncio.run(ask())


both = pytest.mark.parametrize("ask", [blocking, looping])
Ask = Callable[[str, Request], bytes]


@both
@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"", UnknownOutcome),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok", UnknownOutcome),
        (b"SSH-2.0-OpenSSH\r\n\r\n", UnknownOutcome),
        (None, Timeout),
    ],
    ids=["nothing", "half", "another protocol", "silence"],
)
def test_an_answer_that_does_not_come_whole_leaves_the_outcome_open(
    ask: Ask, answer: bytes | None, kind: type[CloudError]
) -> None:
    with scripted(answer) as (url, _), pytest.raises(kind):
        ask(url, Request("POST", "/", {}, b"{}", timeout_s=0.2))


@both
def test_a_server_that_is_not_there_was_not_reached(ask: Ask) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(CloudUnavailable):
        ask(f"http://127.0.0.1:{port}", GET)


@both
@pytest.mark.parametrize(
    "url", ["", "ftp://host", "http://", "host:3001", "http://h:x/", "http://h/?q"]
)
def test_a_url_that_names_no_server_is_refused(ask: Ask, url: str) -> None:
    with pytest.raises(Invalid):
        ask(url, GET)


@both
def test_a_header_cannot_begin_another_request(ask: Ask) -> None:
    desk = Desk(Reply(200, "fine"))
    with served(desk) as url, pytest.raises(Invalid):
        ask(url, Request("GET", "/", {"X-Name": "a\r\nX-Other: b"}))
    assert desk.asked == []


@both
def test_the_server_may_be_below_a_path(ask: Ask) -> None:
    with scripted(WHOLE) as (url, heard):
        ask(url + "/cloud/", Request("GET", "/v1/accounts"))
    assert heard[0].startswith(b"GET /cloud/v1/accounts HTTP/1.1\r\n")


def test_a_connection_is_used_again_and_one_that_was_ended_is_not() -> None:
    desk = Desk(Reply(200, "fine"))
    with served(desk) as url:
        transport = HttpTransport(url)
        for _ in range(3):
            assert transport.send(GET).read() == b'"fine"'
        assert len(kept(transport)) == 1
        [connection] = kept(transport)
        connection.sock.shutdown(socket.SHUT_RDWR)
        assert transport.send(GET).read() == b'"fine"'
        transport.close()
        assert kept(transport) == []


def kept(transport: HttpTransport) -> list[Any]:
    return transport._idle


def test_an_answer_that_was_not_read_costs_its_connection() -> None:
    with served(Desk(Reply(200, chunks=(b"a" * 100_000, b"b" * 100_000)))) as url:
        transport = HttpTransport(url)
        answer = transport.send(GET)
        assert next(answer.chunks())[:1] == b"a"
        answer.close()
        assert kept(transport) == []
        transport.close()


def test_a_refusal_is_told_though_the_body_was_not_taken() -> None:
    refusal = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno"
    with scripted(refusal) as (url, _):
        transport = HttpTransport(url)
        chunks = (b"x" * 1_000_000 for _ in range(50))
        answer = transport.send(Request("PUT", "/", {}, chunks, 50_000_000))
        assert (answer.status, answer.read()) == (403, b"no")
        transport.close()


@pytest.mark.parametrize("size", [1, 5])
def test_content_that_is_not_as_long_as_told_is_invalid(size: int) -> None:
    with served(Desk(Reply(200, "fine"))) as url:
        transport = HttpTransport(url)
        with pytest.raises(Invalid, match="than was said"):
            transport.send(Request("PUT", "/", {}, iter([b"abc"]), size))
        transport.close()
