"""The ways of the HTTP client: TLS with good and bad authorities, and proxies."""

import asyncio
from base64 import b64encode
from pathlib import Path

import pytest
from tests.wire.servers import Authority, Connection, authority, serving

from nimbi.wire.http import AnswerLost, NotReached, Request, open_client

pytestmark = pytest.mark.usefixtures("no_proxies")


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("ours"), "ours")


async def hello(connection: Connection) -> None:
    await connection.head()
    await connection.whole(b"hello")


async def tunnel(connection: Connection) -> None:
    """Do what a proxy does for CONNECT."""
    host, _, port = (await connection.head()).split()[1].decode().rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    await connection.answer(b"HTTP/1.1 200 OK\r\n\r\n")

    async def pass_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()

    back = asyncio.create_task(pass_on(reader, connection.writer))
    try:
        await pass_on(connection.reader, writer)
    finally:
        back.cancel()
        writer.close()


async def test_an_authority_of_the_callers_own_is_trusted(ours: Authority) -> None:
    async with serving(hello, ours.tls) as site, open_client(ca_file=ours.ca_file) as http:
        assert (await http.send(Request("GET", site.url))).body == b"hello"


async def test_no_other_authority_is_trusted(ours: Authority, tmp_path: Path) -> None:
    other = authority(tmp_path, "other")
    async with serving(hello, ours.tls) as site:
        for ca_file in (None, other.ca_file):
            async with open_client(ca_file=ca_file) as http:
                with pytest.raises(NotReached, match="certificate"):
                    await http.send(Request("POST", site.url))
        assert site.requests == []


async def test_a_certificate_for_another_host_is_refused(tmp_path: Path) -> None:
    elsewhere = authority(tmp_path, "elsewhere", host="192.0.2.1")
    async with (
        serving(hello, elsewhere.tls) as site,
        open_client(ca_file=elsewhere.ca_file) as http,
    ):
        with pytest.raises(NotReached, match="certificate"):
            await http.send(Request("GET", site.url))


async def test_a_server_without_tls_is_not_reached_by_https() -> None:
    async def plain(connection: Connection) -> None:
        await connection.reader.read(1)
        await connection.whole(b"no TLS here", b"400 Bad Request")

    async with serving(plain) as site, open_client() as http:
        with pytest.raises(NotReached):
            await http.send(Request("GET", site.url.replace("http:", "https:")))


async def test_a_handshake_that_hangs_is_given_up_with_nothing_sent() -> None:
    async def deaf(connection: Connection) -> None:
        await connection.gone()

    async with serving(deaf) as site, open_client(connect_s=0.05) as http:
        with pytest.raises(NotReached, match="in time"):
            await http.send(Request("GET", site.url.replace("http:", "https:")))


async def test_a_server_with_tls_gives_no_answer_to_http(ours: Authority) -> None:
    async with serving(hello, ours.tls) as site, open_client() as http:
        with pytest.raises(AnswerLost):
            await http.send(Request("GET", site.url.replace("https:", "http:")))


async def test_an_authority_that_is_no_certificate_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("none")
    for name in ("ca.pem", "missing.pem"):
        with pytest.raises(OSError, match=r".+"):
            async with open_client(ca_file=tmp_path / name):
                pass


async def test_http_goes_through_the_proxy_with_the_proxys_login(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with serving(hello) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.replace("//", "//us%40er:p%3Aw@"))
        async with open_client() as http:
            answer = await http.send(Request("GET", "http://ec2.invalid/a//b?c"))
    assert answer.body == b"hello"
    head = proxy.requests[0]
    assert head.startswith(b"GET http://ec2.invalid/a//b?c HTTP/1.1\r\n")
    assert b"Host: ec2.invalid\r\n" in head
    assert b"Proxy-Authorization: Basic " + b64encode(b"us@er:p:w") in head


@pytest.mark.parametrize("name", ["https_proxy", "HTTPS_PROXY", "all_proxy"])
async def test_https_goes_through_a_tunnel(
    monkeypatch: pytest.MonkeyPatch, ours: Authority, name: str
) -> None:
    async with serving(tunnel) as proxy, serving(hello, ours.tls) as site:
        monkeypatch.setenv(name, proxy.url.replace("//", "//user:word@"))
        async with open_client(ca_file=ours.ca_file) as http:
            answer = await http.send(Request("GET", site.url, {"Authorization": "secret"}))
    assert answer.body == b"hello"
    (head,) = proxy.requests
    assert head.startswith(f"CONNECT {site.url.removeprefix('https://')} ".encode())
    assert b"Proxy-Authorization: Basic " + b64encode(b"user:word") in head
    assert b"secret" not in head
    assert b"Proxy-Authorization" not in site.requests[0]


@pytest.mark.parametrize("no_proxy", ["127.0.0.1", "*"])
async def test_hosts_named_by_no_proxy_are_reached_directly(
    monkeypatch: pytest.MonkeyPatch, no_proxy: str
) -> None:
    async with serving(hello) as site:
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
        monkeypatch.setenv("no_proxy", no_proxy)
        async with open_client() as http:
            assert (await http.send(Request("GET", site.url))).body == b"hello"


async def test_a_proxy_that_makes_no_tunnel_lets_nothing_through(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def refuse(connection: Connection) -> None:
        await connection.head()
        await connection.whole(b"who are you", b"407 Proxy Authentication Required")

    async with serving(refuse) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url.replace("//", "//user:se-cret@"))
        async with open_client() as http:
            with pytest.raises(NotReached, match="407") as caught:
                await http.send(Request("POST", "https://ec2.invalid/"))
    assert "se-cret" not in str(caught.value)


async def test_a_proxy_that_is_not_there_lets_nothing_through(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("http_proxy", "127.0.0.1:1")
    async with open_client() as http:
        with pytest.raises(NotReached):
            await http.send(Request("POST", "http://ec2.invalid/"))
