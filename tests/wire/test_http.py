"""The HTTP client against servers that answer well, badly, slowly or not at all."""

import asyncio
import tracemalloc

import pytest
from tests.wire.servers import Connection, echo, serving, settled

from nimbi.wire.http import (
    MIB,
    AnswerLost,
    HttpClient,
    NotReached,
    Request,
    TooLarge,
    Unsendable,
    open_client,
)


async def test_an_answer_has_status_headers_in_any_case_and_body(http: HttpClient) -> None:
    async def created(connection: Connection) -> None:
        await connection.head()
        await connection.whole(b"<x/>", b"201 Created", b"X-Amz-Request-Id: 7\r\n")

    async with serving(created) as site:
        answer = await http.send(Request("POST", site.url, {}, b"a=b"))
    assert (answer.status, answer.body) == (201, b"<x/>")
    assert answer.headers["x-amz-request-id"] == answer.headers["X-AMZ-REQUEST-ID"] == "7"


@pytest.mark.parametrize(
    "target", ["/a//b/../c/.", "/%2F%2e%2E%20+%C3%A9", "/?a=%2f&&b=+&c", "/:@!$&'()*,;=~?/?"]
)
async def test_a_target_is_sent_as_it_is_written(http: HttpClient, target: str) -> None:
    async with serving(echo) as site:
        answer = await http.send(Request("GET", site.url + target))
    assert answer.body.startswith(f"GET {target} HTTP/1.1\r\n".encode())


async def test_only_headers_that_change_nothing_are_added(http: HttpClient) -> None:
    async with serving(echo) as site:
        answer = await http.send(Request("POST", site.url, {"X-A": "é b"}, b"abc"))
    head, _, body = answer.body.partition(b"\r\n\r\n")
    host = site.url.removeprefix("http://").encode()
    assert sorted(head.split(b"\r\n")[1:]) == [
        b"Accept-Encoding: identity",
        b"Accept: */*",
        b"Content-Length: 3",
        b"Host: " + host,
        b"User-Agent: nimbi",
        "X-A: é b".encode(),
    ]
    assert body == b"abc"


async def test_a_host_header_of_the_callers_own_is_kept(http: HttpClient) -> None:
    async with serving(echo) as site:
        answer = await http.send(Request("GET", site.url, {"Host": "bucket.s3.amazonaws.com"}))
    assert answer.body.count(b"Host: ") == 1
    assert b"Host: bucket.s3.amazonaws.com\r\n" in answer.body


async def test_a_redirect_is_an_answer(http: HttpClient) -> None:
    async def moved(connection: Connection) -> None:
        await connection.head()
        await connection.whole(b"", b"307 Moved", b"Location: http://127.0.0.1:1/\r\n")

    async with serving(moved) as site:
        answer = await http.send(Request("GET", site.url))
    assert (answer.status, answer.headers["location"]) == (307, "http://127.0.0.1:1/")


async def test_cookies_are_not_kept_and_packed_bodies_stay_packed(http: HttpClient) -> None:
    async def packed(connection: Connection) -> None:
        while True:
            await connection.head()
            more = b"Set-Cookie: a=b\r\nContent-Encoding: gzip\r\n"
            await connection.whole(b"no gzip", more=more)

    async with serving(packed) as site:
        assert (await http.send(Request("GET", site.url))).body == b"no gzip"
        await http.send(Request("GET", site.url))
        assert b"Cookie" not in site.requests[1]


async def test_connections_are_used_again(http: HttpClient) -> None:
    async with serving(echo) as site:
        for _ in range(5):
            await http.send(Request("POST", site.url, {}, b"x"))
        assert len(site.connections) == 1


async def test_the_head_of_a_blob_has_a_length_and_no_body(http: HttpClient) -> None:
    async def head(connection: Connection) -> None:
        while True:
            await connection.head()
            await connection.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 5368709120\r\n\r\n")

    async with serving(head) as site:
        answer = await http.send(Request("HEAD", site.url))
        await http.send(Request("HEAD", site.url))
        assert len(site.connections) == 1
    assert (answer.headers["content-length"], answer.body) == ("5368709120", b"")


# What goes wrong before anything is sent


async def test_a_closed_port_is_not_reached(http: HttpClient) -> None:
    async with serving(echo) as site:
        pass
    with pytest.raises(NotReached, match=r"127\.0\.0\.1"):
        await http.send(Request("POST", site.url))


@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".invalid", "[::1", "127.0.0.1:99999", ""])
async def test_a_host_that_cannot_be_is_not_reached(http: HttpClient, host: str) -> None:
    with pytest.raises((NotReached, Unsendable)):
        await http.send(Request("GET", f"http://{host}/"))


@pytest.mark.parametrize(
    "url",
    ["http://h/a b", "http://h/\r\nX: y", "http://h/é", "ftp://h/", "file:///etc/passwd", "/a", ""],
)
async def test_a_url_that_could_break_the_request_line_is_refused(
    http: HttpClient, url: str
) -> None:
    with pytest.raises(Unsendable):
        await http.send(Request("GET", url))


@pytest.mark.parametrize(
    ("name", "value"), [("X-A", "a\r\nX-B: c"), ("X-A", "a\0"), ("X A", "a"), ("", "a"), ("é", "a")]
)
async def test_a_header_that_could_begin_another_is_refused(
    http: HttpClient, name: str, value: str
) -> None:
    with pytest.raises(Unsendable, match="header"):
        await http.send(Request("GET", "http://127.0.0.1:1/", {name: value}))


# What goes wrong afterwards


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n<half",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n<half\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
    ],
)
@pytest.mark.parametrize("politely", [True, False])
@pytest.mark.parametrize("method", ["POST", "PUT", "GET"])
async def test_an_answer_that_breaks_off_is_lost(
    http: HttpClient, begun: bytes, politely: bool, method: str
) -> None:
    async def break_off(connection: Connection) -> None:
        await connection.head()
        await connection.answer(begun)
        if not politely:
            connection.reset()

    async with serving(break_off) as site:
        with pytest.raises(AnswerLost):
            await http.send(Request(method, site.url, {}, b"x" if method != "GET" else b""))
        assert len(site.requests) == 1


@pytest.mark.parametrize("method", ["PUT", "DELETE", "GET", "POST"])
async def test_a_request_on_a_kept_connection_that_dies_is_not_sent_again(
    http: HttpClient, method: str
) -> None:
    async def second_dies(connection: Connection) -> None:
        await connection.head()
        await connection.whole(b"first")
        await connection.head()
        connection.reset()

    async with serving(second_dies) as site:
        await http.send(Request(method, site.url))
        with pytest.raises(AnswerLost):
            await http.send(Request(method, site.url))
        assert len(site.requests) == 2


async def test_what_is_no_http_is_lost_without_telling_the_url(http: HttpClient) -> None:
    async def other(connection: Connection) -> None:
        await connection.head()
        await connection.answer(b"0\r\n\r\n")

    async with serving(other) as site:
        with pytest.raises(AnswerLost, match="it is no HTTP") as raised:
            await http.send(Request("GET", f"{site.url}/path?signature=hunter2"))
    assert "hunter2" not in str(raised.value)


async def test_a_silent_server_is_given_up() -> None:
    async def silent(connection: Connection) -> None:
        await connection.head()
        await connection.gone()

    async with serving(silent) as site, open_client(silence_s=0.05) as http:
        with pytest.raises(AnswerLost, match="in time"):
            await http.send(Request("GET", site.url))


async def test_an_answer_above_the_limit_is_told_and_not_held(http: HttpClient) -> None:
    async def told(connection: Connection) -> None:
        await connection.head()
        await connection.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\nx")
        await connection.gone()

    async def untold(connection: Connection) -> None:
        await connection.head()
        await connection.answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            await connection.answer(b"1000\r\n" + bytes(0x1000) + b"\r\n")

    for behaviour in (told, untold):
        async with serving(behaviour) as site:
            with pytest.raises(TooLarge):
                await http.send(Request("GET", site.url), limit_bytes=65536)


async def test_a_cancelled_call_closes_its_connection(http: HttpClient) -> None:
    reached, closed = asyncio.Event(), asyncio.Event()

    async def hang(connection: Connection) -> None:
        await connection.head()
        reached.set()
        await connection.gone()
        closed.set()

    async with serving(hang) as site:
        call = asyncio.create_task(http.send(Request("GET", site.url)))
        await reached.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await closed.wait()


# Streams


def endless(size: int) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size


async def test_a_big_answer_passes_through_little_memory(http: HttpClient) -> None:
    size, piece = 64 * MIB, bytes(MIB)

    async def big(connection: Connection) -> None:
        await connection.head()
        await connection.answer(endless(size), *[piece] * (size // MIB))

    taken, largest = 0, 0
    async with serving(big) as site:
        tracemalloc.start()
        async with http.stream(Request("GET", site.url)) as stream:
            async for chunk in stream.chunks:
                taken += len(chunk)
                largest = max(largest, len(chunk))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert taken == size
    # What is buffered, and what one look at the socket brings.
    assert largest <= MIB // 2
    assert peak < 8 * MIB


async def test_a_slow_reader_slows_the_server_down(http: HttpClient) -> None:
    sent: list[int] = []
    size = 256 * MIB

    async def big(connection: Connection) -> None:
        await connection.head()
        await connection.answer(endless(size))
        for _ in range(size // 65536):
            await connection.answer(bytes(65536))
            sent.append(65536)

    async with serving(big) as site, http.stream(Request("GET", site.url)) as stream:
        assert await anext(stream.chunks)
        assert await settled(sent) * 65536 < 32 * MIB


async def test_a_stream_left_early_closes_its_connection(http: HttpClient) -> None:
    closed = asyncio.Event()

    async def big(connection: Connection) -> None:
        await connection.head()
        await connection.answer(endless(10), b"12345")
        await connection.gone()
        closed.set()

    async with serving(big) as site:
        async with http.stream(Request("GET", site.url)) as stream:
            assert stream.status == 200
        await closed.wait()


async def test_a_stream_that_breaks_off_is_lost_after_what_came(http: HttpClient) -> None:
    async def half(connection: Connection) -> None:
        await connection.head()
        await connection.answer(endless(10), b"12345")

    came = b""
    async with serving(half) as site, http.stream(Request("GET", site.url)) as stream:
        with pytest.raises(AnswerLost):
            async for chunk in stream.chunks:
                came += chunk
    assert came == b"12345"


async def test_a_stream_read_to_its_end_leaves_the_connection_for_others(http: HttpClient) -> None:
    async with serving(echo) as site:
        for _ in range(3):
            async with http.stream(Request("GET", site.url)) as stream:
                assert [chunk async for chunk in stream.chunks]
        async with http.stream(Request("GET", site.url)) as stream:
            assert await stream.read(1000)
        assert len(site.connections) == 1
