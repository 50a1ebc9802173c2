"""An HTTP client that no proxy of the tester's machine gets between, on both event loops."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import uvloop

from nimbi.wire.http import HttpClient, open_client

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run each test on both loops: sockets of uvloop, the server's, fail in words of their own."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
async def http(no_proxies: None) -> AsyncIterator[HttpClient]:
    async with open_client() as client:
        yield client
