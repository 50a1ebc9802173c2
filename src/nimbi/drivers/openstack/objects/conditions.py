"""Writes on a condition, which Swift can look at before a write only, and not while it writes."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from nimbi.drivers.openstack.objects.client import Call, ObjectClient
from nimbi.drivers.openstack.objects.facts import plain_etag
from nimbi.drivers.openstack.objects.names import in_path
from nimbi.model.buckets import NewBlob
from nimbi.model.errors import Conflict, NotFound


@asynccontextmanager
async def guarded(client: ObjectClient, new: NewBlob) -> AsyncIterator[Mapping[str, str]]:
    """Give the headers for the conditions of a write, with no other such writer here meanwhile.

    Raises Conflict when they do not hold.
    """
    if not new.only_new and new.only_over is None:
        yield {}
        return
    async with client.writing(new.bucket_id, new.id):
        check(new, await seen(client, new.bucket_id, new.id))
        yield {"If-None-Match": "*"} if new.only_new else {}


async def seen(client: ObjectClient, bucket: str, key: str) -> Mapping[str, str] | None:
    """Return the headers of a blob; None when there is none."""
    what = f"the blob {key[:80]!r}"
    call = Call("HEAD", what, in_path(bucket, key), headers={"X-Newest": "true"})
    try:
        return (await client.send(call)).headers
    except NotFound:
        return None


def check(new: NewBlob, found: Mapping[str, str] | None) -> None:
    """Raise Conflict when a condition of a write does not hold."""
    what = f"the blob {new.id[:80]!r}"
    if new.only_new and found is not None:
        raise Conflict(f"there is {what} already")
    if new.only_over is not None:
        if found is None:
            raise Conflict(f"{what} is not there to be written over")
        if plain_etag(found.get("ETag")) != new.only_over:
            raise Conflict(f"{what} is not as it was expected to be")
