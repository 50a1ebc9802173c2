"""The whole app in this process: our own paths beside those of the front end."""

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import structlog

from nimbi.gateway.registry import Registry
from nimbi.observability.requests import App
from nimbi.server import build_app, check_drivers, driver_settings
from nimbi.settings import Settings, SettingsError
from nimbi.store.errors import StoreError

LOGIN = ("mockuser", "mockpassword")


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    before, level = root.handlers, root.level
    yield
    root.handlers = before
    root.setLevel(level)
    structlog.reset_defaults()


@asynccontextmanager
async def lived(app: App) -> AsyncIterator[httpx.AsyncClient]:
    """Run the app's lifespan around a client of it."""
    import asyncio

    to_app: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    from_app: asyncio.Queue[str] = asyncio.Queue()

    async def send(message: object) -> None:
        await from_app.put(message["type"])  # type: ignore[index]

    life = asyncio.create_task(app({"type": "lifespan", "state": {}}, to_app.get, send))  # type: ignore[arg-type]
    await to_app.put({"type": "lifespan.startup"})
    assert await from_app.get() == "lifespan.startup.complete"
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:3001") as client:
        yield client
    await to_app.put({"type": "lifespan.shutdown"})
    assert await from_app.get() == "lifespan.shutdown.complete"
    await life


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(driver="mock", log=str(tmp_path / "log"), state_dir=str(tmp_path / "state"))


async def test_health_needs_no_login(settings: Settings) -> None:
    async with lived(build_app(settings)) as client:
        answer = await client.get("/healthz")
    assert (answer.status_code, answer.text) == (200, "ok")
    assert answer.headers["content-type"].startswith("text/plain")


async def test_health_is_only_read(settings: Settings) -> None:
    async with lived(build_app(settings)) as client:
        assert (await client.post("/healthz")).status_code == 405


async def test_the_front_end_has_all_other_paths(settings: Settings) -> None:
    async with lived(build_app(settings)) as client:
        answer = await client.get("/api/realms/us", auth=LOGIN)
    assert answer.status_code == 200
    assert answer.headers["server"] == "Apache-Deltacloud/1.1.3"


async def test_an_error_document_and_its_header_have_one_request_id(settings: Settings) -> None:
    async with lived(build_app(settings)) as client:
        answer = await client.get("/api/realms/nope", auth=LOGIN)
    assert answer.status_code == 404
    assert answer.headers["x-request-id"] in answer.text
    assert len(answer.headers.get_list("x-request-id")) == 1


async def test_the_start_is_told_when_all_is_loaded(settings: Settings) -> None:
    told: list[str] = []
    async with lived(build_app(settings, on_started=lambda: told.append("started"))):
        assert told == ["started"]


def test_the_time_limit_holds_for_each_driver_that_has_no_own() -> None:
    settings = Settings(timeout_s=7, drivers={"mock": {"calls": {"deadline_s": 3}}})
    parts = driver_settings(settings, Registry())
    assert parts["mock"]["calls"]["deadline_s"] == 3
    assert parts["local"]["calls"]["deadline_s"] == 7


def test_several_workers_need_a_cloud_that_they_share(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="storage"):
        check_drivers(Settings(driver="mock", workers=2), Registry())
    shared = {"mock": {"storage": str(tmp_path)}}
    check_drivers(Settings(driver="mock", workers=2, drivers=shared), Registry())


async def test_the_native_api_is_there_with_its_database_when_it_is_asked_for(
    settings: Settings,
) -> None:
    database = settings.state_path() / "nimbi.db"
    async with lived(build_app(settings)) as client:
        assert (await client.get("/v1/accounts")).status_code == 404
    assert not database.exists()
    asked = msgspec.structs.replace(settings, frontends=("deltacloud", "native"))
    async with lived(build_app(asked)) as client:
        answer = await client.get("/v1/accounts")
        counted = await client.get("/metrics")
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert 'nimbi_http_requests_total{frontend="native",method="GET",status="401"} 1.0' in (
        counted.text
    )
    assert database.stat().st_mode & 0o077 == 0


async def test_a_database_that_cannot_be_used_is_told_in_a_sentence(settings: Settings) -> None:
    asked = {"frontends": ("native",), "database": "mysql://nowhere"}
    app = build_app(msgspec.structs.replace(settings, **asked))
    told: list[dict[str, str]] = []

    async def receive() -> dict[str, str]:
        return {"type": "lifespan.startup"}

    async def send(message: Any) -> None:
        told.append(message)

    with pytest.raises(StoreError):
        await app({"type": "lifespan", "state": {}}, receive, send)
    assert [message["type"] for message in told] == ["lifespan.startup.failed"]
    assert "postgresql://" in told[0]["message"]
    assert "Traceback" not in told[0]["message"]
