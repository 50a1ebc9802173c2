"""The blocking client over TLS and through proxies."""

import asyncio
import ssl
from base64 import b64encode
from pathlib import Path

import pytest
from tests.wire.servers import Authority, Connection, authority, serving
from tests.wire.test_http_ways import hello, tunnel

from nimbi.client.http import HttpTransport
from nimbi.client.transport import Request
from nimbi.model.errors import CloudUnavailable

GET = Request("GET", "/v1/accounts")


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("ours"), "ours")


async def asked(
    url: str, request: Request = GET, tls: ssl.SSLContext | None = None
) -> tuple[int, bytes]:
    def ask() -> tuple[int, bytes]:
        transport = HttpTransport(url, tls=tls)
        try:
            answer = transport.send(request)
            return answer.status, answer.read()
        finally:
            transport.close()

    return await asyncio.to_thread(ask)


def trusting(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(authority.ca_file))


async def test_an_authority_of_the_callers_own_is_trusted(ours: Authority, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x" * 300_000)

    async def taking(connection: Connection) -> None:
        await connection.head()
        await connection.whole(b"%d" % len(await connection.body()))

    async with serving(taking, ours.tls) as site:
        with file.open("rb") as content:
            request = Request("PUT", "/", {}, content, 300_000)
            assert await asked(site.url, request, trusting(ours)) == (200, b"300000")


async def test_no_other_authority_and_no_other_host_is_trusted(
    ours: Authority, tmp_path: Path
) -> None:
    elsewhere = authority(tmp_path, "elsewhere", host="192.0.2.1")
    async with serving(hello, ours.tls) as site, serving(hello, elsewhere.tls) as other:
        for url, tls in [
            (site.url, None),
            (site.url, trusting(elsewhere)),
            (other.url, trusting(elsewhere)),
        ]:
            with pytest.raises(CloudUnavailable, match="not reached"):
                await asked(url, tls=tls)
        assert site.requests == other.requests == []


async def test_a_proxy_gets_its_own_login_and_the_whole_url(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with serving(hello) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.replace("//", "//us%40er:p%3Aw@"))
        assert await asked("http://nimbi.invalid/cloud") == (200, b"hello")
    head = proxy.requests[0]
    assert head.startswith(b"GET http://nimbi.invalid/cloud/v1/accounts HTTP/1.1\r\n")
    assert b"Host: nimbi.invalid\r\n" in head
    login = b64encode(b"us@er:p:w")
    assert b"Proxy-Authorization: Basic " + login in head


async def test_https_goes_through_a_tunnel_that_does_not_see_the_request(
    ours: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(hello, ours.tls) as site, serving(tunnel) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        request = Request("GET", "/v1", {"Authorization": "Bearer t0ken"})
        assert await asked(site.url, request, trusting(ours)) == (200, b"hello")
    assert proxy.requests[0].startswith(b"CONNECT 127.0.0.1:")
    assert len(proxy.requests) == 1
    assert b"t0ken" not in proxy.requests[0]
    assert b"Proxy-Authorization" not in site.requests[0]


async def test_what_needs_no_proxy_goes_there_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    async with serving(hello) as site:
        assert await asked(site.url) == (200, b"hello")
