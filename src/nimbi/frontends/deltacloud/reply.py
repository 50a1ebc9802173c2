"""What an operation answers, and the refusals that end a request early."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from nimbi.model.buckets import FilePart, SocketPart

Headers = tuple[tuple[bytes, bytes], ...]

PLAIN = "text/html;charset=utf-8"


@dataclass(slots=True)
class Reply:
    """An answer. With `chunks` the content comes from there and `body` is not looked at.

    `file` tells where the bytes of `chunks` are, when they are in one open file, and `socket`
    when they come as they are over one connection. `signed` says that the answer carries this API's
    own headers (Server, driver, ETag); `tag` is the ETag where it is known already.
    """

    status: int
    body: bytes = b""
    content_type: str | None = None
    headers: Headers = ()
    chunks: AsyncIterator[bytes] | None = None
    file: FilePart | None = None
    socket: SocketPart | None = None
    signed: bool = True
    tag: str | None = None


class Refusal(Exception):
    """Ends a request with an answer that is no error document."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


class Problem(Exception):
    """Ends a request with an error document.

    `name` is the class name that JSON tells. `details` say more where old clients look for the
    very words of `message`.
    """

    def __init__(
        self, status: int, name: str, message: str, headers: Headers = (), details: str = ""
    ) -> None:
        super().__init__(message)
        self.status = status
        self.name = name
        self.message = message
        self.headers = headers
        self.details = details


def header(name: str, value: str) -> tuple[bytes, bytes]:
    """Return a header as ASGI wants it: the name in lower case, the value in UTF-8."""
    return name.lower().encode("ascii"), value.encode("utf-8")


def not_acceptable() -> Refusal:
    return Refusal(Reply(406, signed=False))


def not_found() -> Refusal:
    """Refuse a path that does not exist below /api."""
    body = b"<h1>Not Found</h1>"
    return Refusal(Reply(404, body, "text/html", ((b"x-cascade", b"pass"),)))


def no_host(text: str = "Unable to find HTTP Host header") -> Refusal:
    return Refusal(Reply(400, text.encode("ascii"), "text/html", signed=False))


def bad_parameters(line: str) -> Refusal:
    """Refuse with the one plain line that clients of the original know."""
    return Refusal(Reply(400, line.encode("utf-8"), PLAIN))


def lacks_capability(capability: str) -> Refusal:
    body = b"The required capability to execute this operation is missing"
    return Refusal(Reply(412, body, "text/plain", ((b"expect", capability.encode("ascii")),)))
