"""Contents of blobs: kept whole or not at all, and nothing else is left on the disk."""

import asyncio
import contextlib
import hashlib
import os
from pathlib import Path

import pytest
from tests.blobstore.conftest import BUCKET, chunks, files, got, put

from nimbi.blobstore import BlobStore, Conflict, Damaged, Invalid, NewBlob, NotFound, open_store

NAMES = [
    "/etc/passwd",
    "../../../escape",
    "..",
    ".",
    "a//b/./c/",
    "line\nfeed\r\ttab",
    "nul\0and\x7fescape\x1b",
    "é and e\u0301",
    "\u202eright to left",
    "\U0001d54f🎉" * 512,
    "n" * 1024,
    "%00%2f",
    "' or 1=1; drop table blob --",
]


@pytest.mark.parametrize("name", NAMES)
async def test_any_name_is_kept_as_it_is_and_names_no_path(store: BlobStore, root: Path, name: str):
    before = set(root.parent.rglob("*"))
    assert (await put(store, name, b"content")).name == name
    assert (await store.blobs.get(BUCKET, name)).name == name
    assert [blob.name for blob in (await store.blobs.page(BUCKET)).blobs] == [name]
    assert await got(store, name) == b"content"
    new = {path.relative_to(root).parts[0] for path in set(root.parent.rglob("*")) - before}
    assert new <= {"contents"}


@pytest.mark.parametrize("name", ["", "n" * 1025, "half \ud800 pair"])
async def test_what_is_no_name_is_invalid(store: BlobStore, name: str):
    with pytest.raises(Invalid):
        await put(store, name, b"content")


async def test_the_etag_is_the_digest_of_the_content(store: BlobStore):
    content = os.urandom(3_000_001)
    blob = await put(store, "a", content)
    assert blob.etag == hashlib.sha256(content).hexdigest()
    assert (await store.blobs.get(BUCKET, "a")).etag == blob.etag


async def test_a_replaced_and_a_removed_content_leave_the_disk(store: BlobStore, root: Path):
    await put(store, "a", b"first")
    (first,) = files(root)
    await put(store, "a", b"second")
    (second,) = files(root)
    assert first != second
    await store.blobs.destroy(BUCKET, "a")
    assert files(root) == set()


async def test_many_removed_at_once_leave_the_disk_and_the_others_stay(
    store: BlobStore, root: Path
):
    for name in ("a", "b", "c"):
        await put(store, name, name.encode())
    await store.blobs.destroy_many(BUCKET, {"a", "b", "never was", "\ud800", ""})
    assert [blob.name for blob in (await store.blobs.page(BUCKET, limit=10)).blobs] == ["c"]
    assert len(files(root)) == 1
    with pytest.raises(NotFound):
        await store.blobs.destroy_many("no-such-bucket", {"a"})


async def test_a_reader_goes_on_when_its_blob_is_removed(store: BlobStore):
    content = os.urandom(2_000_000)
    await put(store, "a", content)
    opened = await store.blobs.open(BUCKET, "a")
    begun = await anext(opened.reader)
    await store.blobs.destroy(BUCKET, "a")
    assert begun + b"".join([piece async for piece in opened.reader]) == content


async def test_of_failed_writes_nothing_is_left(store: BlobStore, root: Path):
    async def torn():
        yield os.urandom(3_000_000)
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await store.blobs.write(NewBlob(bucket=BUCKET, name="a"), torn())
    with pytest.raises(Invalid):
        await put(store, "a", b"content", size_bytes=8)
    with pytest.raises(Invalid):
        await put(store, "a", b"content", size_bytes=6)
    with pytest.raises(Conflict):
        await put(store, "a", b"content", expected_etag="another")
    with pytest.raises(NotFound):
        await store.blobs.write(NewBlob(bucket="other", name="a"), chunks(b"content"))
    assert files(root) == set()
    assert (await store.buckets.get(BUCKET)).blob_count == 0


@pytest.mark.parametrize("steps", range(0, 60, 3))
async def test_a_write_cancelled_at_any_step_is_made_or_not(
    store: BlobStore, root: Path, steps: int
):
    async def content():
        for _ in range(3):
            yield os.urandom(1_100_000)

    await put(store, "a", b"before")
    writing = asyncio.ensure_future(store.blobs.write(NewBlob(bucket=BUCKET, name="a"), content()))
    for _ in range(steps):
        await asyncio.sleep(0)
    writing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await writing
    # What threads still do takes its turn before this is answered.
    await put(store, "b", b"other")
    blobs = (await store.blobs.page(BUCKET)).blobs
    assert blobs[0].size_bytes in {6, 3_300_000}
    assert len(files(root)) == 2


async def test_a_store_can_be_opened_by_several_at_once(store: BlobStore, root: Path):
    async with open_store(root) as second, open_store(root) as third:
        stores = [store, second, third]
        await asyncio.gather(*(put(stores[n % 3], f"blob {n % 10}", bytes([n])) for n in range(60)))
        lists = [await each.blobs.page(BUCKET) for each in stores]
        assert len(lists[0].blobs) == 10
        assert lists[0] == lists[1] == lists[2]
        assert len(files(root)) == 10
        # One who opens it sweeps; what another writes at that time is not swept.
        waiting = asyncio.Event()

        async def slow():
            yield b"begun "
            waiting.set()
            async with open_store(root):
                yield b"and ended"

        await second.blobs.write(NewBlob(bucket=BUCKET, name="slow"), slow())
        assert waiting.is_set()
        assert await got(third, "slow") == b"begun and ended"


async def test_a_lost_content_is_told_as_damage(store: BlobStore, root: Path):
    await put(store, "a", b"content")
    for path in (root / "contents").glob("*/*"):
        path.unlink()
    with pytest.raises(Damaged):
        await got(store, "a")


async def test_contents_that_nothing_names_are_found_and_removed(store: BlobStore, root: Path):
    await put(store, "a", b"content")
    upload = await store.uploads.begin(NewBlob(bucket=BUCKET, name="b"))
    await store.uploads.write(upload, 1, chunks(b"segment"))
    assert await store.orphans() == ()
    stray = root / "contents" / "ab" / "abcdef"
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(b"x")
    assert await store.orphans() == ("abcdef",)
    assert await store.remove_orphans() == 1
    assert (stray.exists(), await got(store, "a")) == (False, b"content")


async def test_an_index_of_a_newer_program_is_left_alone(root: Path):
    import sqlite3

    async with open_store(root):
        pass
    with contextlib.closing(sqlite3.connect(root / "index.db")) as db:
        db.execute("pragma user_version = 99")
    with pytest.raises(Damaged, match="newer"):
        async with open_store(root):
            pass


@pytest.fixture
def damaged(root: Path) -> Path:
    root.mkdir()
    (root / "index.db").write_bytes(b"no database" * 1000)
    return root


async def test_a_damaged_index_is_told(damaged: Path):
    with pytest.raises(Damaged):
        async with open_store(damaged):
            pass


@pytest.mark.usefixtures("store")
def test_only_the_owner_can_enter_the_store(root: Path):
    assert root.stat().st_mode & 0o077 == 0
