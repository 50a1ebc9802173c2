"""A store on a disk that is full, in a mount namespace of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

# The disk is a tmpfs of a few MiB that only this process sees.
WORK = """
import asyncio, os, sys
from pathlib import Path
from nimbi.blobstore import Full, NewBlob, open_store
from tests.blobstore.conftest import BUCKET, chunks, files, got, put

async def refused(writing):
    try:
        await writing
    except Full:
        return
    raise SystemExit("the disk was not full")

async def main(root):
    async with open_store(root) as store:
        await store.buckets.create(BUCKET)
        await put(store, "a", b"old" * 1000)
        upload = await store.uploads.begin(NewBlob(bucket=BUCKET, name="s"))
        segment = await store.uploads.write(upload, 1, chunks(b"segment"))
        before = files(root)
        # One that is too large, of a told size and of none, over another and beside it.
        for name in ("a", "b"):
            for size in (None, 30 << 20):
                await refused(put(store, name, bytes(30 << 20), size_bytes=size))
        await refused(store.uploads.write(upload, 2, chunks(bytes(30 << 20))))
        assert files(root) == before
        assert await got(store, "a") == b"old" * 1000
        # Then the disk is filled to the last page, and so is the index.
        count = 0
        with (root / "filler").open("wb", buffering=0) as filler:
            for size in (1 << 16, 1 << 12, 1):
                try:
                    while filler.write(bytes(size)):
                        pass
                except OSError:
                    pass
        try:
            while True:
                await put(store, f"{'n' * 900}{count}", b"")
                count += 1
        except Full:
            pass
        assert await got(store, "a") == b"old" * 1000
        assert len((await store.blobs.page(BUCKET)).blobs) == count + 1
        # What frees space works even now.
        await store.uploads.abort(upload)
        for blob in (await store.blobs.page(BUCKET)).blobs:
            await store.blobs.destroy(BUCKET, blob.name)
        await store.buckets.destroy(BUCKET)
        assert files(root) == set()
        (root / "filler").unlink()
        await store.buckets.create(BUCKET)
        await put(store, "a", b"new")
    async with open_store(root) as store:
        assert await got(store, "a") == b"new"
        assert await store.orphans() == ()

asyncio.run(main(Path(sys.argv[1]) / "blobs"))
print("done")
"""


def test_a_full_disk_takes_nothing_and_loses_nothing(tmp_path: Path) -> None:
    unshare = shutil.which("unshare")
    # Who is not root can mount a tmpfs in a user namespace, where the system allows that.
    flags = ["--mount"] if os.geteuid() == 0 else ["--mount", "--map-root-user"]
    script = tmp_path / "work.py"
    script.write_text(WORK)
    mounted = tmp_path / "disk"
    mounted.mkdir()
    shell = 'mount -t tmpfs -o size=16m,mode=0700 tmpfs "$0" || exit 77; exec "$@"'
    command = ["/bin/sh", "-c", shell, str(mounted), sys.executable, str(script), str(mounted)]
    if unshare is None:
        pytest.skip("unshare is missing")
    ended = subprocess.run(
        [unshare, *flags, *command],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        timeout=120,
    )
    if ended.returncode == 77 and not os.environ.get("CI"):
        pytest.skip(f"no tmpfs can be mounted here: {ended.stderr}")
    assert (ended.returncode, ended.stdout) == (0, "done\n"), ended.stderr


def test_a_limit_of_file_sizes_is_as_good_as_a_full_disk(tmp_path: Path) -> None:
    work = (
        f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (8 << 20, 8 << 20))\n{LIMITED}"
    )
    ended = subprocess.run(
        [sys.executable, "-c", work, str(tmp_path)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        timeout=120,
    )
    assert (ended.returncode, ended.stdout) == (0, "done\n"), ended.stderr


LIMITED = """
import asyncio, sys
from pathlib import Path
from nimbi.blobstore import Full, open_store
from tests.blobstore.conftest import BUCKET, files, got, put

async def main(root):
    async with open_store(root) as store:
        await store.buckets.create(BUCKET)
        await put(store, "a", b"old")
        try:
            await put(store, "a", bytes(9 << 20))
        except Full:
            print("done")
        assert (await got(store, "a"), len(files(root))) == (b"old", 1)

asyncio.run(main(Path(sys.argv[1]) / "blobs"))
"""
