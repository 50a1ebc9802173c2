"""A store with one bucket, and short ways to put content in and get it out."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from nimbi.blobstore import Blob, BlobStore, NewBlob, open_store

BUCKET = "bucket"


async def chunks(content: bytes, size: int = 64 * 1024) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


async def put(store: BlobStore, name: str, content: bytes, **told: Any) -> Blob:
    return await store.blobs.write(NewBlob(bucket=BUCKET, name=name, **told), chunks(content))


async def got(
    store: BlobStore, name: str, first: int | None = None, last: int | None = None
) -> bytes:
    opened = await store.blobs.open(BUCKET, name, first, last)
    return b"".join([piece async for piece in opened.reader])


def files(root: Path) -> set[str]:
    """Return the ids of all content files, finished or not."""
    found = [*(root / "new").iterdir(), *(root / "contents").glob("*/*")]
    return {path.name for path in found}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "blobs"


@pytest.fixture
async def store(root: Path) -> AsyncIterator[BlobStore]:
    async with open_store(root) as store:
        await store.buckets.create(BUCKET)
        yield store
