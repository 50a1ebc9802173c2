"""A server that answers as AWS does, just as each test wants it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from aiohttp import web
from aiohttp.test_utils import TestServer

Handler = Callable[["Asked"], Awaitable[web.StreamResponse] | web.StreamResponse]

ERROR = (
    "<Response><Errors><Error><Code>{}</Code><Message>{}</Message></Error></Errors>"
    "<RequestID>r-1</RequestID></Response>"
)


@dataclass
class Asked:
    """One request: its form, and the request itself."""

    form: dict[str, str]
    request: web.Request


@dataclass
class Aws:
    """`url` is where it listens, `handler` what it does; `asked` is what it was asked."""

    handler: Handler
    url: str = ""
    asked: list[Asked] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        asked = Asked(dict(parse_qsl(await request.text())), request)
        self.asked.append(asked)
        answer = self.handler(asked)
        return answer if isinstance(answer, web.StreamResponse) else await answer

    @property
    def actions(self) -> list[str]:
        return [asked.form["Action"] for asked in self.asked]


def failing(code: str, status: int = 400, message: str = "words", **headers: str) -> web.Response:
    """Return an error as EC2 tells it."""
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.Response(status=status, text=ERROR.format(code, message), headers=told)


def good(text: str = "<x/>") -> web.Response:
    """Return an answer as EC2 gives it."""
    root = f'<Answer xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">{text}</Answer>'
    return web.Response(text=root, content_type="text/xml")


def dropped(asked: Asked) -> web.Response:
    """Hang up without an answer."""
    transport = asked.request.transport
    assert transport is not None
    transport.abort()
    return web.Response()


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[Aws]:
    """Serve as long as the block lasts."""
    aws = Aws(handler)
    app = web.Application(client_max_size=2**30)
    app.router.add_route("*", "/{rest:.*}", aws.answer)
    async with TestServer(app) as server:
        aws.url = str(server.make_url("")).rstrip("/")
        yield aws
