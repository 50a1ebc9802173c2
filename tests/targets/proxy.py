"""A proxy on the loopback that spoils requests and answers, as networks and clouds do."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from tests.targets.exchange import Asked, Handler, Reply, served

# Returns what the client gets; whether the request is carried out is its own choice.
Spoiler = Callable[[Asked, Handler], Awaitable[Reply]]

EC2_ERROR = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<Response><Errors><Error><Code>{code}</Code>'
    "<Message>{message}</Message></Error></Errors><RequestID>{id}</RequestID></Response>"
)
# Elastic Load Balancing, CloudWatch and STS.
QUERY_ERROR = (
    '<ErrorResponse xmlns="http://example.com/doc/"><Error><Type>Sender</Type><Code>{code}</Code>'
    "<Message>{message}</Message></Error><RequestId>{id}</RequestId></ErrorResponse>"
)
S3_ERROR = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code>'
    "<Message>{message}</Message><RequestId>{id}</RequestId></Error>"
)
REQUEST_ID = "59dbff89-35bd-4eac-99ed-be587EXAMPLE"


def error_reply(
    asked: Asked, status: int, code: str, message: str, retry_after: str | None = None
) -> Reply:
    """Return an error as the service that was asked writes it."""
    form = EC2_ERROR if asked.form.get("Version") == "2016-11-15" else QUERY_ERROR
    if "Action" not in asked.form:
        form = S3_ERROR
    headers = {} if retry_after is None else {"retry-after": retry_after}
    text = form.format(code=code, message=message, id=REQUEST_ID)
    return Reply(status, text.encode(), headers)


def refused(status: int, code: str, retry_after: str | None = None) -> Spoiler:
    """Answer with an error and do nothing."""

    async def spoil(asked: Asked, _carry_out: Handler) -> Reply:
        return error_reply(asked, status, code, "Told by the proxy.", retry_after)

    return spoil


async def refused_in_html(_asked: Asked, _carry_out: Handler) -> Reply:
    """Answer as a balancer in front of a service does that has nobody to ask; do nothing."""
    text = b"<html><body><h1>503 Service Unavailable</h1></body></html>"
    return Reply(503, text, {"content-type": "text/html"})


async def reset_unread(_asked: Asked, _carry_out: Handler) -> Reply:
    """Reset the connection and do nothing; the client cannot know that."""
    return Reply(cut=0)


async def lost(asked: Asked, carry_out: Handler) -> Reply:
    """Do it, and reset the connection instead of answering."""
    return replace(await carry_out(asked), cut=0)


async def failed_after(asked: Asked, carry_out: Handler) -> Reply:
    """Do it, and tell of an internal error."""
    await carry_out(asked)
    return error_reply(asked, 500, "InternalError", "An internal error has occurred")


async def cut_in_head(asked: Asked, carry_out: Handler) -> Reply:
    """Do it, and reset the connection within the first line of the answer."""
    return replace(await carry_out(asked), cut=10)


async def cut_in_body(asked: Asked, carry_out: Handler) -> Reply:
    """Do it, and reset the connection in the middle of the answer's body."""
    reply = await carry_out(asked)
    head = len(reply.lines(has_body=True))
    return replace(reply, cut=head + len(reply.body) // 2)


async def truncated(asked: Asked, carry_out: Handler) -> Reply:
    """Do it, and give the first half of the answer as if it were whole."""
    reply = await carry_out(asked)
    return replace(reply, body=reply.body[: len(reply.body) // 2])


async def dribbled(asked: Asked, carry_out: Handler) -> Reply:
    """Do it, and answer byte by byte."""
    return replace(await carry_out(asked), dribbles=True)


async def unanswered(asked: Asked, carry_out: Handler) -> Reply:
    """Do it, and never answer."""
    return replace(await carry_out(asked), held=asyncio.Event())


async def unheard(_asked: Asked, _carry_out: Handler) -> Reply:
    """Neither do it nor answer."""
    return Reply(held=asyncio.Event())


@dataclass
class Fault:
    """What becomes of requests whose action matches, after `passing` of them went well.

    `calls` is of how many more, None of all.
    """

    action: str
    spoil: Spoiler
    calls: int | None
    passing: int = 0

    def strikes(self, action: str) -> bool:
        """Return whether it is this request that it spoils; the next one may be another's."""
        if self.calls == 0 or not fnmatchcase(action, self.action):
            return False
        if self.passing:
            self.passing -= 1
            return False
        if self.calls is not None:
            self.calls -= 1
        return True


@dataclass
class Proxy:
    """Spoils requests by the first fault that matches, and carries out the rest.

    `seen` holds the actions that came, in order; `asked` the requests themselves.
    """

    carry_out: Handler
    faults: list[Fault] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)

    @property
    def seen(self) -> list[str]:
        return [asked.action for asked in self.asked]

    def spoil(self, action: str, spoil: Spoiler, calls: int | None = 1, passing: int = 0) -> None:
        """Add a fault. `action` may have `*`: `Describe*`, `PUT /bucket/*`."""
        self.faults.append(Fault(action, spoil, calls, passing))

    def mend(self) -> None:
        """Spoil nothing from now on."""
        self.faults.clear()

    async def __call__(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        for fault in self.faults:
            if fault.strikes(asked.action):
                return await fault.spoil(asked, self.carry_out)
        return await self.carry_out(asked)


@asynccontextmanager
async def proxied(carry_out: Handler) -> AsyncIterator[tuple[str, Proxy]]:
    """Give the URL of a proxy and the proxy itself."""
    proxy = Proxy(carry_out)
    async with served(proxy) as url:
        yield url, proxy
