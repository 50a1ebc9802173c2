"""A server that answers as it was told, and notes what it was asked."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from inspect import isawaitable
from typing import Any

import uvicorn

from nimbi.client import Client, InProcess, Retries, SyncClient, SyncInProcess

QUICK = Retries(first_s=0.0)


@dataclass
class Asked:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Reply:
    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    chunks: tuple[bytes, ...] = ()
    # Whether the app dies after this much of the answer.
    breaks_off: bool = False

    def pieces(self) -> tuple[bytes, ...]:
        if self.chunks:
            return self.chunks
        return () if self.body is None else (json.dumps(self.body).encode(),)


def problem(code: str, status: int, **more: Any) -> Reply:
    return Reply(status, {"type": f"/v1/problems/{code}", "detail": f"it is {code}", **more})


class Desk:
    """An ASGI app. Each reply is given once, the last one again and again."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies)
        self.asked: list[Asked] = []
        self.lives: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        body = b""
        while (message := await receive())["type"] == "http.request":
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        query = scope["query_string"].decode()
        target = scope["raw_path"].decode() + (f"?{query}" if query else "")
        headers = {n.decode(): v.decode() for n, v in scope["headers"]}
        self.asked.append(Asked(scope["method"], target, headers, body))
        await _answer(self.replies.pop(0) if len(self.replies) > 1 else self.replies[0], send)

    async def _live(self, receive: Any, send: Any) -> None:
        while True:
            what = (await receive())["type"]
            self.lives.append(what)
            await send({"type": f"{what}.complete"})
            if what == "lifespan.shutdown":
                return


async def _answer(reply: Reply, send: Any) -> None:
    headers = [(n.lower().encode(), v.encode()) for n, v in reply.headers.items()]
    pieces = reply.pieces()
    if not reply.chunks and reply.status != 204:
        headers.append((b"content-length", b"%d" % sum(map(len, pieces))))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    for piece in pieces:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    if reply.breaks_off:
        raise RuntimeError("the app dies")
    await send({"type": "http.response.body", "body": b"", "more_body": False})


@contextmanager
def served(app: Any, ws: str = "none") -> Iterator[str]:
    """Serve an app on loopback in a thread, and give its URL."""
    config = uvicorn.Config(app, port=0, log_level="critical", ws=ws)  # type: ignore[arg-type]
    server = uvicorn.Server(config)
    ready = threading.Event()
    original = server.startup

    async def startup(sockets: Any = None) -> None:
        await original(sockets)
        ready.set()

    server.startup = startup  # type: ignore[method-assign]
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert ready.wait(20)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


class Way:
    """One of the ways to an app; a call is given the client, and may be awaited or block."""

    def __init__(self, client: Client | SyncClient) -> None:
        self.client = client

    async def do(self, call: Callable[[Any], Any]) -> Any:
        if isinstance(self.client, SyncClient):
            return await asyncio.to_thread(call, self.client)
        found = call(self.client)
        return await found if isawaitable(found) else found

    async def all(self, call: Callable[[Any], Any]) -> list[Any]:
        """Return all that a call yields."""
        if isinstance(self.client, SyncClient):
            client = self.client
            return await asyncio.to_thread(lambda: list(call(client)))
        return [item async for item in call(self.client)]


WAYS = ("http", "http-loop", "here", "here-loop")


@asynccontextmanager
async def opened(way: str, app: Any, token: str | None = "t0ken") -> AsyncIterator[Way]:
    """Give a way to an app."""
    if way == "here-loop":
        async with Client(token=token, transport=InProcess(app), retries=QUICK) as client:
            yield Way(client)
    elif way == "here":
        blocking = SyncClient(token=token, transport=SyncInProcess(app), retries=QUICK)
        try:
            yield Way(blocking)
        finally:
            await asyncio.to_thread(blocking.close)
    else:
        with served(app) as url:
            if way == "http-loop":
                async with Client(url, token, retries=QUICK) as client:
                    yield Way(client)
            else:
                with SyncClient(url, token, retries=QUICK) as blocking:
                    yield Way(blocking)
