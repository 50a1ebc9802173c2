"""Objects taken away, many in one request where the store has such requests."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from nimbi.drivers.openstack.errors import OpenStackError
from nimbi.drivers.openstack.objects.client import Call, ObjectClient, fault, json_of
from nimbi.drivers.openstack.objects.listing import entries_of
from nimbi.drivers.openstack.objects.names import in_path, known_key
from nimbi.model.buckets import BlobFailure
from nimbi.model.errors import CloudError, CloudUnavailable, NotFound

AT_ONCE = 8
MOST_AT_A_TIME = 1000


@dataclass(frozen=True)
class Kept:
    """An object that could not be taken away, by its path, and why."""

    path: str
    error: CloudError


async def remove(client: ObjectClient, container: str, keys: Iterable[str]) -> list[Kept]:
    """Take away objects, not the segments of large ones; return those that are still there."""
    paths = [in_path(container, key) for key in keys]
    size = min((await client.limits()).deletes, MOST_AT_A_TIME)
    if not size:
        return await _one_by_one(client, paths)
    kept: list[Kept] = []
    for start in range(0, len(paths), size):
        kept += await _at_once(client, paths[start : start + size])
    return kept


async def remove_large(client: ObjectClient, container: str, key: str) -> None:
    """Take away a large object with its segments. Raises NotFound."""
    call = Call(
        "DELETE",
        f"the blob {key[:80]!r}",
        in_path(container, key),
        query={"multipart-manifest": "delete"},
        headers={"Accept": "application/json"},
        changes=True,
    )
    for kept in await _told(client, call):
        if kept.path == in_path(container, key):
            raise kept.error


async def _one_by_one(client: ObjectClient, paths: Sequence[str]) -> list[Kept]:
    places = asyncio.Semaphore(AT_ONCE)

    async def one(path: str) -> Kept | None:
        async with places:
            try:
                await client.send(Call("DELETE", "the blob", path, changes=True))
            except NotFound:
                return None
            except CloudError as error:
                return Kept(path, error)
        return None

    found = await asyncio.gather(*map(one, paths))
    return [kept for kept in found if kept is not None]


async def _at_once(client: ObjectClient, paths: Sequence[str]) -> list[Kept]:
    call = Call(
        "POST",
        "the blobs",
        query={"bulk-delete": "1"},
        headers={"Content-Type": "text/plain", "Accept": "application/json"},
        body="\n".join(path for path in paths).encode(),
        changes=True,
    )
    return await _told(client, call)


async def _told(client: ObjectClient, call: Call) -> list[Kept]:
    """Return what an answer says was not done: its real status stands in its body.

    Source: https://docs.openstack.org/swift/latest/api/bulk-delete.html
    """
    told = json_of(await client.send(call))
    if not isinstance(told, dict):
        raise CloudUnavailable(f"{call.what}: the answer of the store is not Swift's")
    kept = [
        Kept(in_path_of(str(path)), _error(call, str(status)))
        for path, status in told.get("Errors") or []
    ]
    if not kept and not str(told.get("Response Status", "200")).startswith("2"):
        status = str(told["Response Status"])
        if status.startswith("404"):
            raise NotFound(f"{call.what}: there is no such thing")
        if not told.get("Number Deleted") and not told.get("Number Not Found"):
            raise _error(call, f"{status} {told.get('Response Body') or ''}")
    return [each for each in kept if not isinstance(each.error, NotFound)]


def in_path_of(told: str) -> str:
    """Return a path that the store tells, encoded as here."""
    container, _, key = unquote(told, errors="surrogateescape").lstrip("/").partition("/")
    return in_path(container, key)


def _error(call: Call, status: str) -> CloudError:
    number = int(status[:3]) if status[:3].isascii() and status[:3].isdigit() else 500
    return fault(OpenStackError("object-store", number, "", status, changes=True), call)


async def destroy_many(
    client: ObjectClient, bucket: str, ids: Sequence[str]
) -> tuple[BlobFailure, ...]:
    """Destroy blobs, large ones with their segments, and return those that are still there."""
    large, small = await _found(client, bucket, ids)
    kept = await remove(client, bucket, small)
    for start in range(0, len(large), AT_ONCE):
        tasks = [_large(client, bucket, key) for key in large[start : start + AT_ONCE]]
        kept += [each for each in await asyncio.gather(*tasks) if each is not None]
    by_path = {in_path(bucket, id): id for id in (*small, *large)}
    return tuple(
        BlobFailure(id=by_path[each.path], code=each.error.code, reason=each.error.message)
        for each in kept
        if each.path in by_path
    )


async def _large(client: ObjectClient, bucket: str, key: str) -> Kept | None:
    try:
        await remove_large(client, bucket, key)
    except NotFound:
        return None
    except CloudError as error:
        return Kept(in_path(bucket, key), error)
    return None


async def _found(
    client: ObjectClient, bucket: str, ids: Iterable[str]
) -> tuple[list[str], list[str]]:
    """Return which ids are of large blobs, and which of others.

    A request that takes away many leaves the segments of large ones, which only a list tells at
    once: it is read from each id that was not passed yet.
    """
    large: list[str] = []
    left = sorted({id for id in ids if _can_be(id)})
    others = list(left)
    what = f"the bucket {bucket[:80]!r}"
    if not left:
        await entries_of(client, bucket, what, limit=1)
    while left:
        marker = before(left[0])
        entries = await entries_of(client, bucket, what, limit=MOST_AT_A_TIME, marker=marker)
        large += [e["name"] for e in entries if "slo_etag" in e and e["name"] in left]
        passed = entries[-1]["name"] if len(entries) == MOST_AT_A_TIME else None
        left = [id for id in left if passed is not None and id > passed]
    is_large = set(large)
    return large, [id for id in others if id not in is_large]


def before(id: str) -> str | None:
    """Return a text that comes before an id, with little between the two."""
    head, last = id[:-1], ord(id[-1])
    if last <= 1:
        return head or None
    last = 0xD7FF if last == 0xE000 else last - 1
    return f"{head}{chr(last)}\U0010fffd"


def _can_be(id: str) -> bool:
    try:
        known_key(id)
    except NotFound:
        return False
    return True
