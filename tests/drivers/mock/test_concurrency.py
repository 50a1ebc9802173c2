"""Many callers at once, in one loop and in many threads."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

from nimbi.drivers.mock.blobs import MockBlobs
from nimbi.drivers.mock.buckets import MockBuckets
from nimbi.drivers.mock.cloud import MockCloud
from nimbi.drivers.mock.instances import MockInstances
from nimbi.drivers.mock.session import LOGIN, Session
from nimbi.drivers.mock.volumes import MockVolumes
from nimbi.model.buckets import NewBlob
from nimbi.model.errors import Conflict
from nimbi.model.instances import NewInstance
from nimbi.model.volumes import NewVolume, VolumeTarget

WISH = NewInstance(image_id="img1")


async def test_64_creates_at_once_are_64_instances(session: Session) -> None:
    made = await asyncio.gather(*(MockInstances(session).create(WISH) for _ in range(64)))
    assert {instance.id for instance in made} == {f"inst{n}" for n in range(4, 68)}


def test_threads_with_loops_of_their_own_share_the_cloud(cloud: MockCloud) -> None:
    session = Session(cloud, LOGIN.user)

    def work(_: int) -> list[str]:
        async def create() -> list[str]:
            return [(await MockVolumes(session).create(NewVolume())).id for _ in range(50)]

        return asyncio.run(create())

    with ThreadPoolExecutor(8) as threads:
        ids = [id for made in threads.map(work, range(8)) for id in made]
    assert len(set(ids)) == 400
    assert len(cloud.world.state.volumes) == 403


async def test_one_of_many_attaches_the_volume(session: Session) -> None:
    volumes = MockVolumes(session)
    replies = await asyncio.gather(
        *(volumes.attach("vol1", VolumeTarget(instance_id=f"inst{n % 4}")) for n in range(64)),
        return_exceptions=True,
    )
    assert sum(not isinstance(reply, Conflict) for reply in replies) == 1


async def test_writers_of_one_blob_leave_one_whole_blob(session: Session, cloud: MockCloud) -> None:
    async def letters(letter: bytes) -> AsyncIterator[bytes]:
        for _ in range(3):
            yield letter * 300_000

    blobs = MockBlobs(session)
    wish = NewBlob(bucket_id="bucket1", id="b")
    await asyncio.gather(*(blobs.write(wish, letters(bytes([n]))) for n in range(64, 96)))
    found = await blobs.read("bucket1", "b")
    content = b"".join([chunk async for chunk in found.chunks])
    assert content == content[:1] * 900_000
    assert (await MockBuckets(session).get("bucket1")).blob_count == 4
    assert len(list(cloud.contents.folder.iterdir())) == 6
