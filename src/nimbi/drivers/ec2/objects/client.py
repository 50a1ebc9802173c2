"""The one way to call S3: signed, in the bucket's own region, errors told in our words."""

from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from typing import Protocol

from nimbi.drivers.ec2.calls import OBJECT_CHANGE, OBJECT_READ
from nimbi.drivers.ec2.errors import AwsError
from nimbi.drivers.ec2.objects.errors import Fault
from nimbi.drivers.ec2.objects.rules import DEFAULT_RULES, Rules
from nimbi.drivers.ec2.objects.sites import Site
from nimbi.model.errors import CloudError, CloudUnavailable, Invalid, NotFound, UnknownOutcome
from nimbi.wire.http import (
    Answer,
    AnswerLost,
    HttpClient,
    NotReached,
    Request,
    Stream,
    TooLarge,
    Unsendable,
)
from nimbi.wire.room import Room
from nimbi.wire.sigv4 import UNSIGNED, Keys, Scope, presigned, signed

MIB = 2**20
MOST_BUCKETS = 10_000
# A list of 1,000 keys of 1,024 bytes, each byte escaped, and what is told of each.
LIST_BYTES = 16 * MIB


class Caller(Protocol):
    """Who calls: a session."""

    @property
    def http(self) -> HttpClient: ...

    def now(self, url: str) -> datetime | None:
        """Return the time as the server of a URL sees it; None when our clock agrees."""
        ...

    async def keys(self) -> Keys:
        """Return keys to sign with. Raises Unauthorized when there are none."""
        ...

    def paced(self, service: str, family: str) -> AbstractAsyncContextManager[None]:
        """Wait until the store still takes such calls; an AwsError within may say that it did not.

        Raises Throttled, before any traffic, when too many others wait.
        """
        ...

    async def mended(self, error: AwsError, keys: Keys, url: str) -> Keys | None:
        """Return keys with which the same call may go well now; None when there are none."""
        ...


@dataclass(frozen=True)
class Call:
    """One request: to a blob, a bucket (no key) or the store (no bucket).

    `what` names the thing in errors. `changes` is whether a lost answer leaves a doubt. A body that
    is streamed has its `size_bytes`, and its `sha256` when that is known, which the store compares;
    it is sent once only, and so is what `is_last`.
    """

    method: str
    what: str
    bucket: str = ""
    key: str = ""
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | AsyncIterator[bytes] = b""
    size_bytes: int | None = None
    sha256: str = UNSIGNED
    changes: bool = False
    region: str | None = None
    is_last: bool = False

    @property
    def family(self) -> str:
        """Which of the store's limits it counts for."""
        return OBJECT_READ if self.method in {"GET", "HEAD"} else OBJECT_CHANGE


class Refused(AwsError):
    """An answer that is an error."""

    def __init__(self, fault: Fault, error: CloudError) -> None:
        super().__init__(
            fault.code,
            str(error),
            fault.status,
            retry_after_s=fault.retry_after_s,
            server_time=fault.server_time,
        )
        self.fault = fault
        self.error = error


class ObjectClient:
    """A login to a store. All calls raise CloudErrors."""

    def __init__(
        self,
        caller: Caller,
        site: Site,
        rules: Rules = DEFAULT_RULES,
        room: Room | None = None,
        *,
        has_conditions: bool = True,
    ) -> None:
        """`room` is for all blobs of the process; `has_conditions` says that writes may have any.

        Stores that do not know `If-None-Match` overwrite what they should not, and say nothing.
        """
        self.caller = caller
        self.site = site
        self.rules = rules
        self.room = room or Room()
        self.has_conditions = has_conditions
        self._regions: OrderedDict[str, str] = OrderedDict()

    async def send(self, call: Call) -> Answer:
        """Return the whole answer to a call whose body is at hand."""
        try:
            return await self._sent(call)
        except CloudUnavailable as error:
            if call.method == "HEAD" and isinstance(error.__cause__, AnswerLost):
                await self._look(call)
            raise

    async def _look(self, call: Call) -> None:
        """Raise NotFound for what is not there.

        Some stores send a body after their answer to HEAD, when nothing is there; no answer is left
        of that.
        """
        query = call.query if call.key else (("location", ""),)
        headers = {"Range": "bytes=0-0"} if call.key else {}
        try:
            await self._sent(replace(call, method="GET", query=query, headers=headers))
        except Invalid as error:
            # An empty blob has no range; any other name that is refused is none of a blob.
            if "(InvalidRange)" not in error.message:
                raise NotFound(f"there is no such thing: {error.message}") from error

    async def _sent(self, call: Call) -> Answer:
        keys: Keys | None = await self.caller.keys()
        while keys is not None:
            try:
                with _plainly(call):
                    async with self.caller.paced("s3", call.family):
                        request = self._signed(call, keys)
                        answer = await self.caller.http.send(request, limit_bytes=LIST_BYTES)
                        self._check(call, answer.status, answer.headers, answer.body)
            except Refused as refused:
                keys = None if call.is_last else await self._mended(call, refused.fault, keys)
                call = replace(call, is_last=True)
                if keys is None:
                    raise refused.error from None
            else:
                return answer
        raise AssertionError("it is returned or raised")

    @asynccontextmanager
    async def stream(self, call: Call) -> AsyncIterator[Stream]:
        """Give the answer to a call before its body has come."""
        keys: Keys | None = await self.caller.keys()
        while keys is not None:
            try:
                with _plainly(call):
                    async with (
                        self.caller.paced("s3", call.family),
                        self.caller.http.stream(self._signed(call, keys)) as stream,
                    ):
                        if stream.status >= 300:
                            body = await stream.read(MIB)
                            self._check(call, stream.status, stream.headers, body)
                        yield stream
                        return
            except Refused as refused:
                keys = None if call.is_last else await self._mended(call, refused.fault, keys)
                call = replace(call, is_last=True)
                if keys is None:
                    raise refused.error from None

    async def send_stream(self, call: Call) -> Answer:
        """Return the answer to a call whose body comes as it is sent, and cannot be sent again."""
        await self._look_for_region(call.bucket)
        keys = await self.caller.keys()
        try:
            with _plainly(call):
                async with self.caller.paced("s3", call.family):
                    answer = await self.caller.http.send(self._signed(call, keys))
                    self._check(call, answer.status, answer.headers, answer.body)
        except Refused as refused:
            await self._mended(call, refused.fault, keys)
            raise refused.error from None
        return answer

    async def link(self, bucket: str, key: str, seconds: int) -> str:
        """Return the URL by which anybody may read a blob for so long."""
        await self._look_for_region(bucket)
        region = self.region_of(bucket)
        url = self.site.url_of(region, bucket, key, ())
        return presigned("GET", url, await self.caller.keys(), Scope(region, "s3"), seconds)

    def region_of(self, bucket: str) -> str:
        """Return the region of a bucket, as far as it is known."""
        return self._regions.get(bucket, self.site.region)

    def keep_region(self, bucket: str, region: str) -> None:
        """Remember in which region a bucket is."""
        self._regions[bucket] = region
        self._regions.move_to_end(bucket)
        while len(self._regions) > MOST_BUCKETS:
            self._regions.popitem(last=False)

    async def _look_for_region(self, bucket: str) -> None:
        """Learn where a bucket is, before something is sent that cannot be sent twice."""
        if self.site.is_aws and bucket not in self._regions:
            answer = await self.send(Call("HEAD", f"the bucket {bucket!r}", bucket))
            told = Fault(200, answer.headers, b"").region
            self.keep_region(bucket, told or self.region_of(bucket))

    def _signed(self, call: Call, keys: Keys) -> Request:
        region = call.region or self.region_of(call.bucket)
        url = self.site.url_of(region, call.bucket, call.key, call.query)
        digest = sha256(call.body).hexdigest() if isinstance(call.body, bytes) else call.sha256
        headers = signed(
            call.method,
            url,
            call.headers,
            digest,
            keys,
            Scope(region, "s3"),
            self.caller.now(self.site.url),
            normalise=False,
        )
        if call.method in {"PUT", "POST"} and call.body == b"":
            headers["Content-Length"] = "0"
        if call.method == "HEAD" and not self.site.is_aws:
            # What some stores send after it would be taken for the beginning of the next answer.
            headers["Connection"] = "close"
        return Request(call.method, url, headers, call.body, call.size_bytes)

    def _check(self, call: Call, status: int, headers: Mapping[str, str], body: bytes) -> None:
        if status >= 300:
            fault = Fault(status, headers, body)
            raise Refused(fault, fault.error(call.what, changes=call.changes))

    async def _mended(self, call: Call, fault: Fault, keys: Keys) -> Keys | None:
        """Return keys with which the same call may go well elsewhere, or now; else None."""
        if self._learn(call, fault):
            return keys
        error = AwsError(fault.code, fault.message, fault.status, server_time=fault.server_time)
        return await self.caller.mended(error, keys, self.site.url) if fault.code else None

    def _learn(self, call: Call, fault: Fault) -> bool:
        """Return whether an error told that the bucket is in another region than was thought.

        What a store names as another address is never looked at: a login is for one store.
        """
        if isinstance(fault.error(call.what, changes=False), NotFound):
            self._regions.pop(call.bucket, None)
        asked = call.region or self.region_of(call.bucket)
        moved = fault.status in {301, 307, 308} or fault.code == "AuthorizationHeaderMalformed"
        # An answer to HEAD has no code.
        moved = moved or (fault.status == 400 and call.method == "HEAD")
        if not (moved and fault.region and fault.region != asked and call.region is None):
            return False
        self.keep_region(call.bucket, fault.region)
        return True


@contextmanager
def _plainly(call: Call) -> Iterator[None]:
    """Say what went wrong on the wire in the words of all clouds."""
    try:
        yield
    except NotReached as error:
        raise CloudUnavailable(f"the store could not be reached: {error}") from error
    except (AnswerLost, TooLarge) as error:
        if call.changes:
            raise UnknownOutcome(f"{call.what}: the answer of the store was lost") from error
        raise CloudUnavailable(f"{call.what}: the store gave no whole answer") from error
    except Unsendable as error:
        raise Invalid(f"{call.what}: {error}") from error
