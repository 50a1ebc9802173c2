"""Lists of objects, page by page."""

from collections.abc import Mapping
from typing import Any

from nimbi.drivers.openstack.objects.client import Call, ObjectClient, json_of
from nimbi.drivers.openstack.objects.facts import listed
from nimbi.drivers.openstack.objects.names import in_path, known_bucket
from nimbi.drivers.openstack.objects.seals import sealed, unsealed
from nimbi.model.buckets import BlobFilter, BlobPage
from nimbi.model.errors import CloudUnavailable, Invalid
from nimbi.wire.http import Answer

MOST_LISTED = 10_000


async def page_of(
    client: ObjectClient, bucket: str, marker: str | None, limit: int, where: BlobFilter
) -> BlobPage:
    """Return a page of blobs and of common starts."""
    scope = f"{bucket}\0{len(where.prefix or '')}\0{where.prefix or ''}{where.delimiter or ''}"
    last = None if marker is None else unsealed(marker, scope)
    _check(where.prefix)
    _check(where.delimiter)
    # One more than asked for tells whether there is another page.
    entries = await entries_of(
        client,
        known_bucket(bucket),
        f"the bucket {bucket[:80]!r}",
        limit=limit + 1,
        prefix=where.prefix,
        delimiter=where.delimiter,
        marker=last,
    )
    shown = entries[:limit]
    next = sealed(name_of(shown[-1]), scope) if len(entries) > limit else None
    blobs = tuple(listed(bucket, entry) for entry in shown if "name" in entry)
    return BlobPage(blobs, next, tuple(entry["subdir"] for entry in shown if "subdir" in entry))


async def entries_of(
    client: ObjectClient,
    container: str,
    what: str,
    *,
    limit: int = MOST_LISTED,
    prefix: str | None = None,
    delimiter: str | None = None,
    marker: str | None = None,
) -> list[dict[str, Any]]:
    """Return entries of a container after `marker`, as Swift tells them, in order."""
    told = {"prefix": prefix, "delimiter": delimiter, "marker": marker}
    query = {name: value for name, value in told.items() if value}
    query |= {"format": "json", "limit": str(limit)}
    return entries_in(await client.send(Call("GET", what, in_path(container), query=query)), what)


def entries_in(answer: Answer, what: str) -> list[dict[str, Any]]:
    """Return the entries of a list. Raises CloudUnavailable when it is none of Swift's."""
    found = json_of(answer) if answer.status != 204 else []
    if not isinstance(found, list) or not all(map(_is_entry, found)):
        raise CloudUnavailable(f"{what}: the answer of the store is not Swift's")
    return found


def name_of(entry: Mapping[str, Any]) -> str:
    """Return the name of an entry, or the common start that it stands for."""
    return str(entry.get("name", entry.get("subdir")))


def _is_entry(entry: object) -> bool:
    if not isinstance(entry, dict):
        return False
    return isinstance(entry.get("subdir"), str) or (
        isinstance(entry.get("name"), str) and isinstance(entry.get("bytes"), int)
    )


def _check(text: str | None) -> None:
    try:
        (text or "").encode()
    except UnicodeEncodeError:
        raise Invalid("the filter is no Unicode text") from None
    if "\0" in (text or ""):
        raise Invalid("no name of a blob has a NUL")
