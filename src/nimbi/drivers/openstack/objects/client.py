"""The one way to call Swift: its errors told in our words, its limits known."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import msgspec

from nimbi.drivers.openstack.errors import OpenStackError, to_error
from nimbi.drivers.openstack.objects.rules import MIB, Limits, Rules, limits_of
from nimbi.model.errors import (
    CloudError,
    CloudUnavailable,
    Conflict,
    Invalid,
    QuotaExceeded,
    Throttled,
    UnknownOutcome,
)
from nimbi.wire.http import Answer, HttpError, Request, Stream
from nimbi.wire.room import Room

if TYPE_CHECKING:
    from nimbi.drivers.openstack.session import Session

SERVICE = "object-store"
LIMITS_AGE_S = 3600.0
# A list of 1,000 names of 1,024 characters, each escaped, and what is told of each.
ANSWER_BYTES = 16 * MIB

# What means something else here than at other services of OpenStack.
STATUSES: Mapping[int, type[CloudError]] = {
    304: Conflict,
    # Nothing was stored: not all of it came, or not as it was sent.
    408: CloudUnavailable,
    422: CloudUnavailable,
    499: CloudUnavailable,
    # Quotas; what is larger than an object can be is not even sent.
    413: QuotaExceeded,
    498: Throttled,
}
CONDITIONS = frozenset({"If-Match", "If-None-Match"})


@dataclass(frozen=True)
class Call:
    """One request. `path` is below the account's own, encoded; `what` names the thing in errors.

    `changes` is whether a lost answer leaves a doubt. A streamed body has its `size_bytes`, and is
    sent once only.
    """

    method: str
    what: str
    path: str = "/"
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | AsyncIterator[bytes] = b""
    size_bytes: int | None = None
    changes: bool = False


class ObjectClient:
    """A login to a store. All calls raise CloudErrors."""

    def __init__(
        self,
        session: "Session",
        rules: Rules | None = None,
        room: Room | None = None,
        usual: Limits | None = None,
    ) -> None:
        """`rules` are those of the settings unless told; `room` is for all blobs of the process.

        `usual` are the limits of a store that tells none.
        """
        settings = session.settings
        self.session = session
        self._usual = usual or Limits()
        self.rules = rules or Rules(
            whole_bytes=settings.whole_mib * MIB,
            segment_bytes=settings.segment_mib * MIB,
            at_once=settings.segments_at_once,
            verified_bytes=settings.verified_mib * MIB,
        )
        self.room = room or session.backend.room
        self._writing: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    async def send(self, call: Call) -> Answer:
        """Return the whole answer to a call."""
        async with self.stream(call) as stream:
            return Answer(stream.status, stream.headers, await stream.read(ANSWER_BYTES))

    @asynccontextmanager
    async def stream(self, call: Call) -> AsyncIterator[Stream]:
        """Give the answer to a call before its body has come."""
        body = call.body if call.size_bytes != 0 else b""
        is_empty = body == b"" and call.method in {"PUT", "POST"}
        with _plainly(call):
            async with self.session.stream(
                call.method,
                SERVICE,
                call.path,
                query=call.query,
                headers={**call.headers, "Content-Length": "0"} if is_empty else call.headers,
                body=body,
                size_bytes=call.size_bytes,
                changes=call.changes,
            ) as stream:
                yield stream

    async def limits(self) -> Limits:
        """Return what the store takes, as it told within the last hour."""
        url = await self.session.url(SERVICE)

        async def asked() -> Limits:
            place = url.rpartition("/v1")[0] or url
            request = Request("GET", f"{place}/info")
            with _plainly(Call("GET", "the limits of the store")):
                answer = await self.session.http.send(request)
            if answer.status >= 500:
                raise CloudUnavailable(f"the limits of the store: it answered {answer.status}")
            return limits_of(json_of(answer)) if answer.status == 200 else self._usual

        return await self.session.backend.cached(("limits", url), LIMITS_AGE_S, asked)

    def writing(self, bucket: str, key: str) -> asyncio.Lock:
        """Return the lock of those who write a blob on a condition."""
        return self._writing.setdefault((bucket, key), asyncio.Lock())


def json_of(answer: Answer) -> object:
    """Return the JSON of an answer, None for what is none."""
    try:
        found: object = msgspec.json.decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return found


@contextmanager
def _plainly(call: Call) -> Iterator[None]:
    """Say what went wrong in the words of all clouds."""
    try:
        yield
    except OpenStackError as error:
        raise fault(error, call) from error
    except HttpError as error:
        if call.changes:
            raise UnknownOutcome(f"{call.what}: the answer of the store was lost") from error
        raise CloudUnavailable(f"{call.what}: the store gave no whole answer") from error


def fault(error: OpenStackError, call: Call) -> CloudError:
    """Return what an answer of Swift's means; it has no codes but its statuses."""
    told = to_error(error)
    kind = STATUSES.get(error.status, type(told) if told else CloudError)
    if error.status == 412:
        # Of a request without conditions it means a name or filter that no store takes.
        kind = Conflict if CONDITIONS & call.headers.keys() else Invalid
    if error.status == 401:
        return told or CloudError(error.message)
    text = f"{call.what}: {error.message[:300]}"
    return Throttled(text, error.retry_after_s) if kind is Throttled else kind(text)
