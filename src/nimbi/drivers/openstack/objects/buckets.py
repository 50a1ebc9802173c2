"""Buckets, each under the name of its container."""

import asyncio
from hashlib import blake2s
from typing import Any, ClassVar

from nimbi.driver.blobs import Buckets
from nimbi.drivers.openstack.objects.client import Call, ObjectClient
from nimbi.drivers.openstack.objects.facts import timestamp
from nimbi.drivers.openstack.objects.listing import entries_in, entries_of
from nimbi.drivers.openstack.objects.names import SEGMENTS, in_path, known_bucket, new_bucket
from nimbi.drivers.openstack.objects.seals import sealed, unsealed
from nimbi.drivers.openstack.objects.segments import forget_segments
from nimbi.drivers.openstack.session import Session
from nimbi.model.buckets import Bucket, NewBucket
from nimbi.model.errors import Conflict, NotFound
from nimbi.model.page import Page
from nimbi.wire.http import Answer

CREATED = 201
TOKEN = "X-Container-Meta-Nimbi-Token"  # noqa: S105  the name of a header
POLICY = "X-Storage-Policy"

# After all containers of segments, in the order of names.
AFTER_SEGMENTS = SEGMENTS + "\U0010ffff"
# A container may count a blob that went just before.
ATTEMPTS = 4
PAUSE_S = 0.5


class SwiftBuckets(Buckets):
    """Containers, save those that hold segments. Their location is their storage policy."""

    features: ClassVar[frozenset[str]] = frozenset({"bucket_location"})

    def __init__(self, session: Session) -> None:
        self.client: ObjectClient = session.objects

    async def page(self, marker: str | None, limit: int) -> Page[Bucket]:
        found: list[dict[str, Any]] = []
        last = None if marker is None else unsealed(marker, "buckets")
        while len(found) <= limit:
            entries = await self._entries(last, limit + 1)
            found += [entry for entry in entries if not entry["name"].startswith(SEGMENTS)]
            if len(entries) <= limit:
                break
            last = entries[-1]["name"]
            if last.startswith(SEGMENTS):
                last = AFTER_SEGMENTS
        buckets = tuple(Bucket(id=e["name"], name=e["name"]) for e in found[:limit])
        more = len(found) > limit
        return Page(buckets, sealed(buckets[-1].id, "buckets") if more else None)

    async def get(self, id: str) -> Bucket:
        return _told(id, await self._head(known_bucket(id)))

    async def create(self, new: NewBucket) -> Bucket:
        name = new_bucket(new.name, await self.client.limits())
        mark = blake2s(new.token.encode()).hexdigest() if new.token is not None else None
        try:
            found = await self._head(name)
        except NotFound:
            pass
        else:
            if mark is not None and found.headers.get(TOKEN) == mark:
                return _told(name, found)
            raise Conflict(f"there is a bucket {name!r} already")
        asked = {TOKEN: mark, POLICY: new.location}
        headers = {key: value for key, value in asked.items() if value is not None}
        call = Call("PUT", f"the bucket {name!r}", in_path(name), headers=headers, changes=True)
        answer = await self.client.send(call)
        if answer.status != CREATED:
            raise Conflict(f"there is a bucket {name!r} already")
        return _told(name, await self._head(name))

    async def destroy(self, id: str) -> None:
        name = known_bucket(id)
        try:
            await self._delete(name)
        except NotFound:
            # Whoever destroyed it may not have come to what belongs to it.
            await forget_segments(self.client, name)
            raise
        await forget_segments(self.client, name)

    async def _delete(self, name: str) -> None:
        what = f"the bucket {name[:80]!r}"
        call = Call("DELETE", what, in_path(name), changes=True)
        for attempt in range(ATTEMPTS):
            try:
                await self.client.send(call)
            except Conflict:
                is_empty = not await entries_of(self.client, name, what, limit=1)
                if not is_empty or attempt == ATTEMPTS - 1:
                    raise Conflict(f"{what} is not empty") from None
            else:
                return
            await asyncio.sleep(PAUSE_S)

    async def _head(self, name: str) -> Answer:
        return await self.client.send(Call("HEAD", f"the bucket {name[:80]!r}", in_path(name)))

    async def _entries(self, last: str | None, limit: int) -> list[dict[str, Any]]:
        query = {"format": "json", "limit": str(limit)}
        if last:
            query["marker"] = last
        what = "the list of buckets"
        return entries_in(await self.client.send(Call("GET", what, query=query)), what)


def _told(name: str, answer: Answer) -> Bucket:
    count = answer.headers.get("X-Container-Object-Count", "")
    return Bucket(
        id=name,
        name=name,
        blob_count=int(count) if count.isascii() and count.isdigit() else None,
        location=answer.headers.get(POLICY),
        created_at=timestamp(answer.headers.get("X-Timestamp")),
    )
