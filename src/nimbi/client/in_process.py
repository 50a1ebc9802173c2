"""Requests to an ASGI app in this very process, with its lifespan: no server, the same answers."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import suppress
from typing import Any, TypeVar

from nimbi.client.async_http import chunks_of
from nimbi.client.transport import Answer, AsyncAnswer, Request
from nimbi.model.errors import CloudError, CloudUnavailable, Timeout, UnknownOutcome

Message = dict[str, Any]
App = Callable[[Any, Any, Any], Awaitable[None]]
T = TypeVar("T")

# How many pieces of an answer may wait for their reader.
WAITING = 4

SCOPE: Mapping[str, Any] = {
    "asgi": {"version": "3.0", "spec_version": "2.3"},
    "http_version": "1.1",
    "scheme": "http",
    "root_path": "",
    "client": ("127.0.0.1", 0),
    "server": ("localhost", 80),
}


class InProcess:
    """Hands requests to an ASGI app in the same loop; its lifespan begins at the first of them."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._starting = asyncio.Lock()
        self._life: _Life | None = None
        self._running: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begin the app's lifespan; again does nothing. Raises CloudUnavailable when it fails."""
        async with self._starting:
            if self._life is None:
                life = _Life(self._app)
                await life.start()
                self._life = life

    async def send(self, request: Request) -> AsyncAnswer:
        await self.start()
        exchange = _Exchange(request)
        task = asyncio.create_task(exchange.run(self._app))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        answer = _Answer(exchange, task)
        try:
            async with asyncio.timeout(request.timeout_s):
                await answer.begin()
        except BaseException as error:
            await answer.aclose()
            if isinstance(error, TimeoutError):
                raise Timeout("the app kept silent for too long") from error
            raise
        return answer

    async def aclose(self) -> None:
        for task in tuple(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        if self._life is not None:
            await self._life.stop()
            self._life = None


class _Life:
    """The app's lifespan: started once, stopped once."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._told: asyncio.Queue[Message] = asyncio.Queue()
        self._heard: asyncio.Queue[Message] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        scope = {"type": "lifespan", "asgi": SCOPE["asgi"], "state": {}}
        self._task = asyncio.create_task(
            _awaited(self._app(scope, self._told.get, self._heard.put))
        )
        try:
            await self._say("lifespan.startup")
        except BaseException:
            await self._end()
            raise

    async def stop(self) -> None:
        try:
            await self._say("lifespan.shutdown")
        finally:
            await self._end()

    async def _end(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _say(self, what: str) -> None:
        assert self._task is not None  # noqa: S101
        await self._told.put({"type": what})
        answer = asyncio.create_task(self._heard.get())
        await asyncio.wait({answer, self._task}, return_when=asyncio.FIRST_COMPLETED)
        if answer.done() and answer.result()["type"] == f"{what}.complete":
            return
        told = answer.result().get("message", "") if answer.done() else ""
        answer.cancel()
        cause = self._task.exception() if self._task.done() else None
        raise CloudUnavailable(f"the app did not do {what}: {told or cause}") from cause


async def _awaited(awaitable: Awaitable[None]) -> None:
    await awaitable


class _Exchange:
    """One request and what the app sends of its answer."""

    def __init__(self, request: Request) -> None:
        self.sent: asyncio.Queue[Message | None] = asyncio.Queue(WAITING)
        self.fault: BaseException | None = None
        self.gone = asyncio.Event()
        self._request = request
        self._body = self._pieces()
        self._ended = False

    async def run(self, app: App) -> None:
        try:
            await app(_scope(self._request), self._receive, self._send)
        except Exception as error:  # noqa: BLE001 — whatever it is, whoever asked is told
            self.fault = error
        finally:
            await self._send(None)

    async def _send(self, message: Message | None) -> None:
        # As a server does: what is said to somebody who has gone is dropped.
        if not self.gone.is_set():
            await self.sent.put(message)

    async def _receive(self) -> Message:
        if not self._ended:
            piece = await anext(self._body, None)
            if piece is not None:
                return {"type": "http.request", "body": piece, "more_body": True}
            self._ended = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def _pieces(self) -> AsyncIterator[bytes]:
        body = self._request.body
        if isinstance(body, bytes):
            if body:
                yield body
        elif body is not None:
            async for chunk in chunks_of(body):
                yield chunk


def _scope(request: Request) -> Message:
    from urllib.parse import unquote

    path, _, query = request.target.partition("?")
    size = len(request.body) if isinstance(request.body, bytes) else request.size_bytes
    headers = [(n.lower().encode("ascii"), v.encode("utf-8")) for n, v in request.headers.items()]
    headers.append((b"host", b"localhost"))
    if size is not None:
        headers.append((b"content-length", b"%d" % size))
    elif request.body is not None:
        headers.append((b"transfer-encoding", b"chunked"))
    return {
        **SCOPE,
        "type": "http",
        "method": request.method,
        "path": unquote(path),
        "raw_path": path.encode("ascii"),
        "query_string": query.encode("ascii"),
        "headers": headers,
        "extensions": {},
        "state": {},
    }


class _Answer:
    def __init__(self, exchange: _Exchange, task: "asyncio.Task[None]") -> None:
        self._exchange = exchange
        self._task = task
        self._more = True
        self.status = 0
        self.headers: Mapping[str, str] = {}

    async def begin(self) -> None:
        message = await self._next()
        if message is None or message["type"] != "http.response.start":
            raise UnknownOutcome("the app gave no answer")
        self.status = message["status"]
        self.headers = {
            name.decode("latin-1").lower(): _text(value) for name, value in message["headers"]
        }

    async def read(self) -> bytes:
        return b"".join([chunk async for chunk in self.chunks()])

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            while self._more:
                message = await self._next()
                if message is None:
                    raise UnknownOutcome("the answer broke off")
                self._more = message.get("more_body", False)
                if body := message.get("body", b""):
                    yield body
        finally:
            await self.aclose()

    async def _next(self) -> Message | None:
        message = await self._exchange.sent.get()
        fault = self._exchange.fault
        if message is None and fault is not None:
            if isinstance(fault, CloudError):
                raise fault
            raise UnknownOutcome(f"the app failed: {type(fault).__name__}") from fault
        return message

    async def aclose(self) -> None:
        self._exchange.gone.set()
        if self._more:
            self._more = False
            self._task.cancel()
        # What waits to be taken holds up the app.
        with suppress(asyncio.QueueEmpty):
            while True:
                self._exchange.sent.get_nowait()
        await asyncio.wait({self._task})


def _text(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


class SyncInProcess:
    """As InProcess for blocking callers: the app runs in a loop of its own, in a thread."""

    def __init__(self, app: App) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="nimbi", daemon=True)
        self._thread.start()
        self._inner: InProcess = self.run(_made(app))

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run something in the loop of the app, and return what it returns."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def start(self) -> None:
        """Begin the app's lifespan, as the first request would. Raises CloudUnavailable."""
        self.run(self._inner.start())

    def send(self, request: Request) -> Answer:
        return _SyncAnswer(self.run(self._inner.send(request)), self)

    def close(self) -> None:
        if not self._loop.is_closed():
            try:
                self.run(self._inner.aclose())
                self.run(self._loop.shutdown_asyncgens())
                self.run(self._loop.shutdown_default_executor())
            finally:
                self._loop.call_soon_threadsafe(self._loop.stop)
                self._thread.join()
                self._loop.close()


async def _made(app: App) -> InProcess:
    return InProcess(app)


class _SyncAnswer:
    def __init__(self, answer: AsyncAnswer, owner: SyncInProcess) -> None:
        self._answer = answer
        self._owner = owner
        self.status = answer.status
        self.headers = answer.headers

    def read(self) -> bytes:
        return self._owner.run(self._answer.read())

    def chunks(self) -> Iterator[bytes]:
        chunks = self._answer.chunks()
        try:
            while (chunk := self._owner.run(_piece(chunks))) is not None:
                yield chunk
        finally:
            self.close()

    def close(self) -> None:
        self._owner.run(self._answer.aclose())


async def _piece(chunks: AsyncIterator[bytes]) -> bytes | None:
    return await anext(chunks, None)
