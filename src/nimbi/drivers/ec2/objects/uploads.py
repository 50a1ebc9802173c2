"""Uploads in parts: begun, sent part by part, finished, or given up so that nothing is left."""

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar
from xml.sax.saxutils import escape

from nimbi.drivers.ec2.objects.client import Call, ObjectClient
from nimbi.drivers.ec2.objects.errors import late_fault
from nimbi.drivers.ec2.objects.facts import plain_etag
from nimbi.drivers.ec2.objects.listing import root_of
from nimbi.model.errors import (
    CloudError,
    CloudUnavailable,
    NotFound,
    Throttled,
    UnknownOutcome,
)
from nimbi.wire.held import Held
from nimbi.wire.sigv4 import UNSIGNED

T = TypeVar("T")

# A part that is at hand, and what begins or ends an upload, is sent so often: whoever has sent a
# terabyte does not begin anew for one lost answer. The gateway repeats no stream.
ATTEMPTS = 4
PAUSE_S = 0.2
GIVE_UP_S = 10.0

PASSING = (Throttled, CloudUnavailable, UnknownOutcome)


@dataclass(frozen=True)
class Parts:
    """An upload under way at the store."""

    client: ObjectClient
    bucket: str
    key: str
    id: str

    @property
    def what(self) -> str:
        return f"the upload of the blob {self.key[:80]!r}"

    async def put(self, number: int, held: Held) -> str:
        """Return the etag of a part that is at hand, sent again after a passing fault."""

        async def attempt() -> str:
            return await self.put_once(number, held.chunks(), held.size_bytes, held.digest)

        return await repeated(attempt)

    async def put_once(
        self,
        number: int,
        chunks: AsyncIterator[bytes],
        size_bytes: int,
        sha256: str = UNSIGNED,
    ) -> str:
        """Return the etag of a part that is sent as it comes."""
        answer = await self.client.send_stream(
            Call(
                "PUT",
                self.what,
                self.bucket,
                self.key,
                query=(("partNumber", str(number)), ("uploadId", self.id)),
                body=chunks if size_bytes else b"",
                size_bytes=size_bytes,
                sha256=sha256,
                changes=True,
            )
        )
        return plain_etag(answer.headers.get("ETag")) or ""

    async def copy(self, number: int, headers: Mapping[str, str]) -> str:
        """Return the etag of a part that the store takes from another blob."""
        call = Call(
            "PUT",
            self.what,
            self.bucket,
            self.key,
            query=(("partNumber", str(number)), ("uploadId", self.id)),
            headers=headers,
            changes=True,
        )

        async def attempt() -> str:
            return plain_etag(await copied(self.client, call)) or ""

        return await repeated(attempt)

    async def finish(self, etags: Iterable[tuple[int, str]], conditions: Mapping[str, str]) -> None:
        """Make the blob of its parts. Raises NotFound, Invalid, Conflict, UnknownOutcome."""
        parts = sorted(etags)
        body = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>&quot;{escape(etag)}&quot;</ETag></Part>"
            for number, etag in parts
        )
        call = Call(
            "POST",
            self.what,
            self.bucket,
            self.key,
            query=(("uploadId", self.id),),
            headers={"Content-Type": "application/xml", **conditions},
            body=f'<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{body}'
            "</CompleteMultipartUpload>".encode(),
            changes=True,
        )
        in_doubt = False

        async def attempt() -> None:
            nonlocal in_doubt
            try:
                await self._complete(call)
            except NotFound:
                # The attempt before may have gone well: then the upload is gone, the blob there.
                if not (in_doubt and await self._is_there(parts)):
                    raise
            except UnknownOutcome:
                in_doubt = True
                raise

        await repeated(attempt)

    async def give_up(self) -> None:
        """Remove all parts. Raises NotFound for an upload that is not under way."""
        call = Call(
            "DELETE",
            self.what,
            self.bucket,
            self.key,
            query=(("uploadId", self.id),),
            changes=True,
        )
        await self.client.send(call)

    async def clean_up(self) -> None:
        """Remove all parts as well as that can be done, also while the caller is cancelled.

        A part that was on its way may have come after the first time.
        """
        cleaning = asyncio.ensure_future(self._clean())
        with suppress(asyncio.CancelledError):
            await asyncio.shield(cleaning)
        if not cleaning.done():
            await asyncio.wait({cleaning}, timeout=GIVE_UP_S)

    async def _clean(self) -> None:
        with suppress(CloudError, TimeoutError):
            async with asyncio.timeout(GIVE_UP_S):
                for _ in range(2):
                    await repeated(self.give_up)

    async def _complete(self, call: Call) -> None:
        answer = await self.client.send(call)
        _root, fault = late_fault(answer.headers, answer.body)
        if fault is not None:
            raise fault.error(self.what, changes=True)

    async def _is_there(self, parts: list[tuple[int, str]]) -> bool:
        try:
            expected = joined_etag(etag for _number, etag in parts)
            answer = await self.client.send(Call("HEAD", self.what, self.bucket, self.key))
        except (CloudError, ValueError):
            return False
        return plain_etag(answer.headers.get("ETag")) == expected


async def begun(client: ObjectClient, bucket: str, key: str, headers: Mapping[str, str]) -> Parts:
    """Begin an upload. It is sent once: the id of one whose answer is lost is never known."""
    what = f"the blob {key[:80]!r}"
    call = Call("POST", what, bucket, key, query=(("uploads", ""),), headers=headers, changes=True)
    answer = await client.send(call)
    id = root_of(answer, "InitiateMultipartUploadResult", what).findtext("UploadId")
    if not id:
        raise UnknownOutcome(f"{what}: the store tells no upload")
    return Parts(client, bucket, key, id)


async def copied(client: ObjectClient, call: Call) -> str | None:
    """Return the etag of what the store copied."""
    answer = await client.send(call)
    root, fault = late_fault(answer.headers, answer.body)
    if fault is not None:
        raise fault.error(call.what, changes=True)
    return root.findtext("ETag")


async def repeated(attempt: Callable[[], Awaitable[T]]) -> T:
    """Return what an attempt returns, made again after passing faults."""
    for number in range(1, ATTEMPTS):
        try:
            return await attempt()
        except PASSING as error:
            pause_s = random.random() * PAUSE_S * 2**number  # noqa: S311  no secret
            if isinstance(error, Throttled) and error.retry_after_s is not None:
                pause_s += error.retry_after_s
        await asyncio.sleep(pause_s)
    return await attempt()


def joined_etag(etags: Iterable[str]) -> str:
    """Return the etag that S3 gives to a blob of parts. Raises ValueError for odd ones."""
    raw = [bytes.fromhex(etag) for etag in etags]
    digest = hashlib.md5(b"".join(raw), usedforsecurity=False).hexdigest()
    return f"{digest}-{len(raw)}"
