"""What is killed in the tests of crashes: one operation on a store, up to one of its steps."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import FrameType
from typing import Any

from tests.blobstore.conftest import BUCKET, chunks, put

from nimbi.blobstore import BlobStore, NewBlob, open_store

# Calls that change what is on the disk, or that others may see. A kill comes before each of them,
# and after it.
WATCHED = frozenset({"open", "write", "flock", "fsync", "link", "unlink", "mkdir", "execute"})

OLD, NEW, PARTS = b"old" * 1000, b"new" * 700_000, (b"one" * 1000, b"two" * 1000)


async def write(store: BlobStore) -> None:
    await put(store, "a", NEW)


async def destroy(store: BlobStore) -> None:
    await store.blobs.destroy(BUCKET, "a")


async def upload(store: BlobStore) -> None:
    begun = await store.uploads.begin(NewBlob(bucket=BUCKET, name="a"), "token")
    kept = [
        await store.uploads.write(begun, order, chunks(part)) for order, part in enumerate(PARTS, 1)
    ]
    await store.uploads.finish(begun, kept)


async def abort(store: BlobStore) -> None:
    begun = await store.uploads.begin(NewBlob(bucket=BUCKET, name="a"), "token")
    await store.uploads.write(begun, 1, chunks(b"segment"))
    await store.uploads.abort(begun)


async def bucket(store: BlobStore) -> None:
    await store.blobs.destroy(BUCKET, "a")
    await store.buckets.destroy(BUCKET)
    await store.buckets.create(BUCKET, "token")


OPERATIONS: dict[str, Callable[[BlobStore], Awaitable[None]]] = {
    "write": write,
    "destroy": destroy,
    "upload": upload,
    "abort": abort,
    "bucket": bucket,
}


def run(root: Path, operation: str, at: int) -> None:
    """Do an operation; kill this process at the `at`-th of its steps, if it has so many."""
    left = at

    def hook(_frame: FrameType, event: str, called: Any) -> None:
        nonlocal left
        if event in {"c_call", "c_return"} and called.__name__ in WATCHED:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    async def work() -> None:
        # All that touches the disk is done in threads, the opening and its sweep too.
        threading.setprofile(hook)
        async with open_store(root) as store:
            await OPERATIONS[operation](store)

    asyncio.run(work())
    sys.exit(0)
