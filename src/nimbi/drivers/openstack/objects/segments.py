"""Segments of a blob: sent one by one, joined by a manifest, or removed so that none is left."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from uuid import uuid4

import msgspec

from nimbi.drivers.openstack.objects.client import Call, ObjectClient, json_of
from nimbi.drivers.openstack.objects.digests import Digest
from nimbi.drivers.openstack.objects.facts import is_manifest, plain_etag
from nimbi.drivers.openstack.objects.insisting import insisting
from nimbi.drivers.openstack.objects.listing import entries_of
from nimbi.drivers.openstack.objects.names import in_path, segments_of
from nimbi.drivers.openstack.objects.removal import remove
from nimbi.model.errors import CloudError, CloudUnavailable, Conflict, NotFound, UnknownOutcome
from nimbi.wire.held import Held

GIVE_UP_S = 30.0
# Of a bucket, what its segments share.
SHARED_HEADERS = ("X-Storage-Policy", "X-Container-Read")


@dataclass(frozen=True)
class Piece:
    """A stored segment. `name` is that in the container of segments."""

    name: str
    etag: str
    size_bytes: int


@dataclass(frozen=True)
class Segments:
    """The segments of one blob, stored or on their way; `id` is no other's."""

    client: ObjectClient
    bucket: str
    key: str
    id: str

    @property
    def what(self) -> str:
        return f"the upload of the blob {self.key[:80]!r}"

    @property
    def container(self) -> str:
        return segments_of(self.bucket)

    def name(self, order: int) -> str:
        return f"{self.id}/{order:05d}"

    async def put(self, order: int, held: Held) -> Piece:
        """Store a segment that is at hand, sent again after a passing fault."""

        async def attempt() -> Piece:
            return await self._put(order, held.chunks(), held.size_bytes, held.digest)

        return await insisting(attempt)

    async def put_once(self, order: int, chunks: AsyncIterator[bytes], size_bytes: int) -> Piece:
        """Store a segment that is sent as it comes."""
        digest = Digest()
        piece = await self._put(order, digest.of(chunks), size_bytes, None)
        if piece.etag != await digest.text():
            raise CloudUnavailable(f"{self.what}: what was stored is not what was sent")
        return piece

    async def copy(self, order: int, path: str, etag: str, size_bytes: int) -> Piece:
        """Store a segment that the store takes from another object."""
        headers = {"X-Copy-From": path, "X-Fresh-Metadata": "true"}
        call = Call(
            "PUT",
            self.what,
            in_path(self.container, self.name(order)),
            headers=headers | {"Content-Type": "application/octet-stream"},
            changes=True,
        )
        answer = await insisting(lambda: self.client.send(call))
        if plain_etag(answer.headers.get("ETag")) != etag:
            raise Conflict(f"{self.what}: its source was written meanwhile")
        return Piece(self.name(order), etag, size_bytes)

    async def join(
        self, pieces: Iterable[Piece], headers: Mapping[str, str], conditions: Mapping[str, str]
    ) -> None:
        """Make the blob of its segments. Raises NotFound, Invalid, Conflict, UnknownOutcome."""
        # No segment of a manifest may be empty.
        found = [piece for piece in pieces if piece.size_bytes]
        most = (await self.client.limits()).manifest_segments
        if len(found) > most:
            groups = [found[start : start + most] for start in range(0, len(found), most)]
            found = [await self._group(number, group) for number, group in enumerate(groups, 1)]
        call = self._manifest(in_path(self.bucket, self.key), found, headers)
        await self._joined(call, joined_etag(found), conditions)

    async def names(self) -> list[str]:
        """Return the names of all that is stored; none for what never was."""
        with suppress(NotFound):
            prefix = f"{self.id}/"
            entries = await entries_of(self.client, self.container, self.what, prefix=prefix)
            return [str(entry["name"]) for entry in entries if "name" in entry]
        return []

    async def forget(self, besides: Iterable[str] = ()) -> None:
        """Remove all that is stored, save what is named."""
        kept = set(besides)
        while names := [name for name in await self.names() if name not in kept]:
            failed = await remove(self.client, self.container, names)
            if failed:
                raise failed[0].error

    async def clean_up(self) -> None:
        """Remove all as well as that can be done, also while the caller is cancelled.

        A segment that was on its way may come after the first time.
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
                    await insisting(self.forget)

    async def _put(
        self, order: int, chunks: AsyncIterator[bytes], size_bytes: int, md5: str | None
    ) -> Piece:
        call = Call(
            "PUT",
            self.what,
            in_path(self.container, self.name(order)),
            headers={"Content-Type": "application/octet-stream"} | ({"ETag": md5} if md5 else {}),
            body=chunks,
            size_bytes=size_bytes,
            changes=True,
        )
        answer = await self.client.send(call)
        etag = plain_etag(answer.headers.get("ETag")) or md5 or ""
        return Piece(self.name(order), etag, size_bytes)

    async def _group(self, number: int, pieces: Sequence[Piece]) -> Piece:
        """Store a manifest of segments that another manifest names."""
        name = f"{self.id}/m{number:05d}"
        call = self._manifest(in_path(self.container, name), pieces, {})
        await insisting(lambda: self.client.send(call))
        return Piece(name, joined_etag(pieces), sum(piece.size_bytes for piece in pieces))

    def _manifest(self, path: str, pieces: Sequence[Piece], headers: Mapping[str, str]) -> Call:
        if not pieces:
            return Call("PUT", self.what, path, headers={**headers}, changes=True)
        segments = [
            {"path": f"/{self.container}/{p.name}", "etag": p.etag, "size_bytes": p.size_bytes}
            for p in pieces
        ]
        return Call(
            "PUT",
            self.what,
            path,
            query={"multipart-manifest": "put"},
            headers={"Content-Type": "application/octet-stream", **headers},
            body=msgspec.json.encode(segments),
            changes=True,
        )

    async def _joined(self, call: Call, etag: str, conditions: Mapping[str, str]) -> None:
        in_doubt = False
        told = Call(
            call.method,
            call.what,
            call.path,
            call.query,
            {**call.headers, **conditions},
            call.body,
            changes=True,
        )

        async def attempt() -> None:
            nonlocal in_doubt
            try:
                await self.client.send(told)
            except Conflict:
                # The attempt before may have gone well, and the condition holds no more.
                if not (in_doubt and await self._is_there(etag)):
                    raise
            except UnknownOutcome:
                in_doubt = True
                raise

        await insisting(attempt)

    async def _is_there(self, etag: str) -> bool:
        call = Call("HEAD", self.what, in_path(self.bucket, self.key))
        with suppress(CloudError):
            answer = await self.client.send(call)
            return plain_etag(answer.headers.get("ETag")) == etag
        return False


async def begun(client: ObjectClient, bucket: str, key: str, id: str | None = None) -> Segments:
    """Make room for the segments of a blob. Raises NotFound for an unknown bucket."""
    what = f"the bucket {bucket[:80]!r}"
    found = await client.send(Call("HEAD", what, in_path(bucket)))
    headers = {name: found.headers[name] for name in SHARED_HEADERS if found.headers.get(name)}
    segments = Segments(client, bucket, key, id or uuid4().hex)
    path = in_path(segments.container)
    try:
        await client.send(Call("PUT", what, path, headers=headers, changes=True))
    except Conflict:
        # It is there, of the storage policy of a bucket that had this name before.
        headers.pop("X-Storage-Policy", None)
        await client.send(Call("PUT", what, path, headers=headers, changes=True))
    return segments


async def segments_under(
    client: ObjectClient, bucket: str, key: str, headers: Mapping[str, str] | None
) -> list[Segments]:
    """Return the segments of a blob whose headers are known, as far as they are Nimbi's own."""
    if headers is None or not is_manifest(headers):
        return []
    container = segments_of(bucket)
    ids: dict[str, None] = {}
    for entry in await manifest_of(client, bucket, key):
        of, _, name = str(entry.get("name", "")).lstrip("/").partition("/")
        if of == container:
            ids[name.partition("/")[0]] = None
    return [Segments(client, bucket, key, id) for id in ids]


async def manifest_of(client: ObjectClient, bucket: str, key: str) -> list[dict[str, object]]:
    """Return the segments of a large object: `[{"name": "/c/o", "hash": …, "bytes": …}]`."""
    call = Call(
        "GET",
        f"the blob {key[:80]!r}",
        in_path(bucket, key),
        query={"multipart-manifest": "get"},
    )
    try:
        found = json_of(await client.send(call))
    except NotFound:
        return []
    return [e for e in found if isinstance(e, dict)] if isinstance(found, list) else []


async def forget_segments(client: ObjectClient, bucket: str) -> None:
    """Remove the container of a bucket's segments, as well as that can be done."""
    container, what = segments_of(bucket), f"the segments of the bucket {bucket[:80]!r}"
    with suppress(CloudError):
        while entries := await entries_of(client, container, what):
            if await remove(client, container, [str(e["name"]) for e in entries if "name" in e]):
                return
        await client.send(Call("DELETE", what, in_path(container), changes=True))


def joined_etag(pieces: Iterable[Piece]) -> str:
    """Return the etag that Swift gives to a blob of segments."""
    text = "".join(piece.etag for piece in pieces)
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
