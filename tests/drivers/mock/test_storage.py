"""A cloud on disk: found again, and shared."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nimbi.driver.interface import Place
from nimbi.drivers.mock import DRIVER
from nimbi.drivers.mock.blobs import MockBlobs
from nimbi.drivers.mock.cloud import MockCloud, Settings
from nimbi.drivers.mock.contents import LEFTOVER_S
from nimbi.drivers.mock.firewalls import MockFirewalls
from nimbi.drivers.mock.instances import MockInstances
from nimbi.drivers.mock.session import LOGIN, Session
from nimbi.drivers.mock.volumes import MockVolumes
from nimbi.model.buckets import NewBlob
from nimbi.model.errors import CloudUnavailable, NotFound
from nimbi.model.firewalls import AddressSource, GroupSource, NewFirewall, NewRule, Protocol
from nimbi.model.hardware_profiles import Sizes
from nimbi.model.instances import NewInstance, UserFile
from nimbi.model.volumes import NewVolume


@contextmanager
def kept(folder: Path) -> Iterator[Session]:
    cloud = MockCloud(Settings(storage=str(folder)))
    try:
        yield Session(cloud, LOGIN.user)
    finally:
        cloud.close()


async def content(session: Session, id: str) -> bytes:
    found = await MockBlobs(session).read("bucket1", id)
    return b"".join([chunk async for chunk in found.chunks])


async def hello() -> AsyncIterator[bytes]:
    yield b"hello"


async def test_a_restart_finds_the_same_cloud(tmp_path: Path) -> None:
    wish = NewInstance(
        image_id="img1",
        hardware_profile_id="m1-large",
        sizes=Sizes(cpus=3),
        user_data=b"\x00\xff",
        user_files=(UserFile("/a", b"b"),),
        password="secret",
        token="t",
    )
    rule = NewRule(
        protocol=Protocol.UDP,
        port_from=1,
        port_to=2,
        sources=(AddressSource("10.0.0.0", 8), GroupSource("web")),
    )
    with kept(tmp_path / "cloud") as session:
        await MockFirewalls(session).create(NewFirewall(name="web", description="Web"))
        await MockFirewalls(session).create_rule("web", rule)
        await MockBlobs(session).write(NewBlob(bucket_id="bucket1", id="b/ü"), hello())
        made = await MockInstances(session).create(wish)
        before = session.state
        marker = (await MockInstances(session).page(None, 2)).next
    with kept(tmp_path / "cloud") as session:
        after = session.state
        for table in ("images", "instances", "firewalls", "volumes", "networks", "buckets"):
            assert getattr(after, table).whole == getattr(before, table).whole, table
        assert await content(session, "b/ü") == b"hello"
        assert await content(session, "blob1") == b"content of blob 1"
        assert await MockInstances(session).create(wish) == made
        assert b"\x00\xff" in await MockInstances(session).console(made.id)
        assert len((await MockInstances(session).page(marker, 9)).items) == 3


async def test_an_upload_goes_on_after_a_restart(tmp_path: Path) -> None:
    with kept(tmp_path) as session:
        upload = await MockBlobs(session).begin_upload(NewBlob(bucket_id="bucket1", id="big"))
        one = await MockBlobs(session).write_segment(upload, 1, hello())
    with kept(tmp_path) as session:
        two = await MockBlobs(session).write_segment(upload, 2, hello())
        await MockBlobs(session).finish_upload(upload, (one, two))
        assert await content(session, "big") == b"hellohello"


async def test_a_change_is_seen_by_all_that_share_the_folder(tmp_path: Path) -> None:
    with kept(tmp_path) as one, kept(tmp_path) as other:
        for n in range(5):
            writer, reader = (one, other) if n % 2 else (other, one)
            made = await MockVolumes(writer).create(NewVolume())
            assert (await MockVolumes(reader).get(made.id)) == made
        await MockBlobs(one).write(NewBlob(bucket_id="bucket1", id="blob1"), hello())
        assert await content(other, "blob1") == b"hello"


CHILD = """
import asyncio, sys
from nimbi.drivers.mock.cloud import MockCloud, Settings
from nimbi.drivers.mock.session import LOGIN, Session
from nimbi.drivers.mock.instances import MockInstances
from nimbi.model.instances import NewInstance

async def main():
    session = Session(MockCloud(Settings(storage=sys.argv[1])), LOGIN.user)
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(100):
        print((await MockInstances(session).create(NewInstance(image_id="img1"))).id)

asyncio.run(main())
"""


def test_processes_that_share_a_folder_make_different_things(tmp_path: Path) -> None:
    children = [
        subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    # None begins before all can, so that they do get in each other's way.
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    ids = [id for child in children for id in child.communicate()[0].split()]
    assert [child.returncode for child in children] == [0, 0, 0]
    assert sorted(ids, key=lambda id: int(id[4:])) == [f"inst{n}" for n in range(4, 304)]


async def test_a_folder_is_only_for_its_owner(tmp_path: Path) -> None:
    with kept(tmp_path / "cloud"):
        folder = tmp_path / "cloud"
        assert folder.stat().st_mode & 0o777 == 0o700
        assert (folder / "cloud.json").stat().st_mode & 0o777 == 0o600


async def test_what_killed_processes_left_is_removed_when_it_is_old(tmp_path: Path) -> None:
    with kept(tmp_path):
        pass
    contents = tmp_path / "contents"
    for name in ("old", "young"):
        (contents / name).write_bytes(b"left")
    past = (contents / "old").stat().st_mtime - LEFTOVER_S - 60
    for name in ("old", "seed-blob1"):
        os.utime(contents / name, (past, past))
    with kept(tmp_path) as session:
        assert not (contents / "old").exists()
        assert (contents / "young").exists()
        assert await content(session, "blob1") == b"content of blob 1"


@pytest.mark.parametrize("text", ["", "{", '{"version": 2}', '{"images": [{}]}', "[]"])
async def test_a_file_that_is_no_cloud_is_told_by_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "cloud.json").write_text(text)
    with pytest.raises(CloudUnavailable, match=r"cloud\.json"), kept(tmp_path):
        pass
    assert (tmp_path / "cloud.json").read_text() == text


async def test_a_cloud_that_is_gone_is_unavailable(tmp_path: Path) -> None:
    with kept(tmp_path) as session:
        (tmp_path / "cloud.json").unlink()
        with pytest.raises(CloudUnavailable):
            await MockInstances(session).get("inst0")


async def test_a_blob_whose_file_is_gone_is_not_found(tmp_path: Path) -> None:
    with kept(tmp_path) as session:
        (tmp_path / "contents" / "seed-blob1").unlink()
        with pytest.raises(NotFound):
            await content(session, "blob1")


async def test_64_creates_at_once_are_64_instances(tmp_path: Path) -> None:
    with kept(tmp_path) as session:
        instances = MockInstances(session)
        wish = NewInstance(image_id="img1")
        made = await asyncio.gather(*(instances.create(wish) for _ in range(64)))
        assert {instance.id for instance in made} == {f"inst{n}" for n in range(4, 68)}


async def test_what_a_killed_process_left_is_removed_at_the_next_start(tmp_path: Path) -> None:
    scratch = tmp_path / "state" / "scratch"
    no_process = "4194305"  # one more than the largest number that Linux gives
    (scratch / f"{no_process}-left").mkdir(parents=True)
    async with DRIVER.start(Settings(storage=None), Place(tmp_path / "state")):
        made = [path.name for path in scratch.iterdir()]
        assert len(made) == 1
        assert made[0].startswith(f"{os.getpid()}-")
    assert list(scratch.iterdir()) == []
