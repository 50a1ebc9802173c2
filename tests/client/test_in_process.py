"""An app in this very process: its lifespan, its ends, and those of its clients."""

import asyncio
from typing import Any

import pytest
from tests.client.desk import QUICK, Desk, Reply

from nimbi.client import Client, InProcess, SyncClient, SyncInProcess
from nimbi.client.transport import Request
from nimbi.model.errors import CloudUnavailable, NotFound, UnknownOutcome


async def test_the_lifespan_begins_with_the_first_request_and_ends_with_the_client() -> None:
    desk = Desk(Reply(200, {"items": []}))
    async with Client(transport=InProcess(desk)) as client:
        assert desk.lives == []
        await asyncio.gather(*(client.accounts.all() for _ in range(5)))
        assert desk.lives == ["lifespan.startup"]
    assert desk.lives == ["lifespan.startup", "lifespan.shutdown"]


def test_a_blocking_client_leaves_no_thread_behind() -> None:
    desk = Desk(Reply(200, {"items": []}))
    transport = SyncInProcess(desk)
    with SyncClient(transport=transport) as client:
        assert client.accounts.all() == ()
    assert desk.lives == ["lifespan.startup", "lifespan.shutdown"]
    assert not transport._thread.is_alive()
    transport.close()


async def test_an_app_that_cannot_start_is_not_reached() -> None:
    async def app(_scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    async with Client(transport=InProcess(app), retries=QUICK) as client:
        with pytest.raises(CloudUnavailable, match="no database"):
            await client.accounts.all()


async def test_an_app_that_fails_leaves_the_outcome_open() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
        elif scope["path"] == "/error":
            raise NotFound("of the app")
        else:
            raise RuntimeError("broken")

    transport = InProcess(app)
    with pytest.raises(UnknownOutcome, match="RuntimeError"):
        await transport.send(Request("GET", "/"))
    with pytest.raises(NotFound):
        await transport.send(Request("GET", "/error"))
    await transport.aclose()


async def test_a_reader_that_leaves_ends_the_request() -> None:
    ended = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            while True:
                await send({"type": "http.response.body", "body": b"x", "more_body": True})
        finally:
            ended.set()

    transport = InProcess(app)
    answer = await transport.send(Request("GET", "/"))
    assert await anext(answer.chunks()) == b"x"
    await answer.aclose()
    assert ended.is_set()
    with pytest.raises(CloudUnavailable, match="shutdown"):
        await transport.aclose()
