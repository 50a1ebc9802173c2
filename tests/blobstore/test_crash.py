"""A process that works on a store is killed at one step after the other."""

import contextlib
import hashlib
import multiprocessing
import shutil
import signal
import sqlite3
from pathlib import Path

import pytest
from tests.blobstore import victim
from tests.blobstore.conftest import BUCKET, files, got, put

from nimbi.blobstore import BlobStore, open_store

PROCESSES = multiprocessing.get_context("forkserver")
MOST_STEPS = 400
NEVER = 10**9


def killed(root: Path, operation: str, at: int) -> bool:
    """Run the victim, and say whether it was killed before its end."""
    process = PROCESSES.Process(target=victim.run, args=(root, operation, at))
    process.start()
    process.join()
    assert process.exitcode in {0, -signal.SIGKILL}
    return process.exitcode != 0


@pytest.fixture
async def prepared(tmp_path: Path) -> Path:
    """A store with one blob, to be copied."""
    root = tmp_path / "prepared"
    async with open_store(root) as store:
        await store.buckets.create(BUCKET, "first token")
        await put(store, "a", victim.OLD)
    return root


@pytest.mark.parametrize("operation", list(victim.OPERATIONS))
async def test_killed_at_any_step_the_index_and_the_files_agree(prepared: Path, operation: str):
    PROCESSES.set_forkserver_preload(["tests.blobstore.victim"])
    wholes = {victim.OLD, victim.NEW, b"".join(victim.PARTS)}
    for at in range(1, MOST_STEPS):
        root = prepared.with_name(f"{operation}-{at}")
        shutil.copytree(prepared, root)
        was_killed = killed(root, operation, at)
        async with open_store(root) as store:
            await check(store, root, wholes)
            # Whatever was done of it, the same can be done again.
            with contextlib.suppress(LookupError):
                await repeated(store, operation)
            await check(store, root, wholes)
        shutil.rmtree(root)
        if not was_killed:
            assert at > 20, "it was hardly ever killed"
            return
    pytest.fail(f"{operation} has more than {MOST_STEPS} steps")


async def test_processes_that_write_at_once_lose_nothing(prepared: Path):
    PROCESSES.set_forkserver_preload(["tests.blobstore.victim"])
    operations = ["write", "upload", "abort", "write", "destroy", "write"]
    running = [
        PROCESSES.Process(target=victim.run, args=(prepared, operation, NEVER))
        for operation in operations
    ]
    for process in running:
        process.start()
    for process in running:
        process.join()
    # One of those that remove or upload may find that another was first.
    assert [process.exitcode for process in running if process.exitcode not in {0, 1}] == []
    assert [running[n].exitcode for n in (0, 3, 5)] == [0, 0, 0]
    async with open_store(prepared) as store:
        await check(store, prepared, {victim.OLD, victim.NEW, b"".join(victim.PARTS)})


async def repeated(store: BlobStore, operation: str) -> None:
    for bucket in await store.buckets.all():
        if operation in {"destroy", "bucket"} and bucket.blob_count == 0:
            await put(store, "a", victim.OLD)
    if not await store.buckets.all():
        await store.buckets.create(BUCKET, "token")
        raise LookupError
    await victim.OPERATIONS[operation](store)


async def check(store: BlobStore, root: Path, wholes: set[bytes]) -> None:
    """Blobs are whole, counts are right, and no file is there that the index does not name."""
    counted = 0
    for bucket in await store.buckets.all():
        blobs = (await store.blobs.page(bucket.name)).blobs
        counted += len(blobs)
        assert bucket.blob_count == len(blobs)
        for blob in blobs:
            content = await got(store, blob.name)
            assert content in wholes
            assert len(content) == blob.size_bytes
            if "-" not in blob.etag:
                assert hashlib.sha256(content).hexdigest() == blob.etag
    assert list((root / "new").iterdir()) == []
    assert files(root) == named(root)
    assert await store.orphans() == ()


def named(root: Path) -> set[str]:
    """Return the ids of the files that the index names, by looking at the database itself."""
    with contextlib.closing(sqlite3.connect(root / "index.db")) as db:
        rows = db.execute(
            "select content from blob where parts = 0 union select file from part"
            " union select file from segment"
        ).fetchall()
    return {id for (id,) in rows}
