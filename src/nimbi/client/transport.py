"""The seam between the client and how its requests travel: over HTTP, or to an app right here.

Over HTTP they go by `nimbi.client.http` (sync) or `nimbi.client.async_http`; to the app of this
very process by `nimbi.client.in_process`.
"""

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol

# How much of a stream is handled at once.
CHUNK_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. `target` is path and query as they are sent: `/v1/accounts?limit=1`.

    A `body` that is not bytes is read once, as it is sent: an open file from where it stands, or
    chunks. `size_bytes` says how long it is; None when that is not known. No `timeout_s` waits
    as long as it takes, for each silence on the way.
    """

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | BinaryIO | Iterable[bytes] | AsyncIterable[bytes] | None = field(
        default=None, repr=False
    )
    size_bytes: int | None = None
    timeout_s: float | None = 60.0


class Answer(Protocol):
    """An answer whose head has come. Whoever has it must read it to the end, or `close` it."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, their names in lower case; of several of one name, the last."""
        ...

    def read(self) -> bytes:
        """Return all that is left."""
        ...

    def chunks(self) -> Iterator[bytes]:
        """Yield what is left as it comes, at most CHUNK_BYTES at once."""
        ...

    def close(self) -> None:
        """Let go of the rest; may be called again."""
        ...


class Transport(Protocol):
    """Sends requests for a blocking caller; may be used by several threads."""

    def send(self, request: Request) -> Answer:
        """Return the answer as soon as its head is there, whatever its status.

        Raises CloudUnavailable when the server was not reached, Timeout when it kept silent, and
        UnknownOutcome when the connection broke after the request began to be sent; so does
        reading the answer. `body` may not be an AsyncIterable.
        """
        ...

    def close(self) -> None:
        """End all connections; may be called again."""
        ...


class AsyncAnswer(Protocol):
    """As Answer, for callers in an event loop."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    async def read(self) -> bytes: ...

    def chunks(self) -> AsyncIterator[bytes]: ...

    async def aclose(self) -> None: ...


class AsyncTransport(Protocol):
    """As Transport, for callers in an event loop."""

    async def send(self, request: Request) -> AsyncAnswer: ...

    async def aclose(self) -> None: ...
