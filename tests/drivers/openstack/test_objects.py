"""Swift's containers and objects, where they are unlike those of other clouds."""

import asyncio
import hashlib
import urllib.request
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import pytest
from openstack.connection import Connection
from tests.targets.exchange import Asked, Handler, Reply, forwarding
from tests.targets.openstack.projects import Project
from tests.targets.proxy import Proxy, proxied

from nimbi.driver.interface import Account, Place
from nimbi.drivers.openstack.backend import start
from nimbi.drivers.openstack.login import Login
from nimbi.drivers.openstack.objects.blobs import SwiftBlobs
from nimbi.drivers.openstack.objects.buckets import SwiftBuckets
from nimbi.drivers.openstack.objects.client import ObjectClient
from nimbi.drivers.openstack.objects.listing import entries_of
from nimbi.drivers.openstack.objects.names import segments_of
from nimbi.drivers.openstack.objects.rules import Rules
from nimbi.drivers.openstack.session import Session, open_session
from nimbi.drivers.openstack.settings import Settings
from nimbi.drivertest.conformance import fresh_name
from nimbi.drivertest.streams import Torn, content_of, in_chunks, torn_after
from nimbi.model.buckets import BlobFilter, BlobPlace, NewBlob, NewBucket, Segment
from nimbi.model.errors import CloudError, CloudUnavailable, Conflict, Invalid, NotFound

PART = 100_000
RULES = Rules(whole_bytes=PART, segment_bytes=PART, at_once=3)
CONTENT = content_of(7 * PART + 12_345)
KEY = "large ü//..%2F"

KEYS = [
    "a//b",
    "/a/",
    "two  words ",
    "a+b",
    "a%2Fb",
    "ü/☃/\U0001d54f",
    "\x01\x7f\t\r\n",
    "a?b#c&d=e;f",
    "'quoted\"<x>&amp;",
    "..",
    ".",
    "a/../../b",
    "../other/x",
    "x" * 1024,
]


class Store:
    """A login to a store, with sizes of the test's choice."""

    def __init__(self, session: Session, rules: Rules) -> None:
        vars(session)["objects"] = ObjectClient(session, rules)
        self.objects: ObjectClient = session.objects
        self.blobs = SwiftBlobs(session)
        self.buckets = SwiftBuckets(session)

    async def content(self, bucket: str, key: str = KEY) -> bytes:
        found = await self.blobs.read(bucket, key)
        return b"".join([chunk async for chunk in found.chunks])

    async def segments(self, bucket: str) -> list[str]:
        """Return the names of all segments of blobs of a bucket."""
        try:
            entries = await entries_of(self.objects, segments_of(bucket), "segments")
        except NotFound:
            return []
        return [entry["name"] for entry in entries]


class OpenStore(Protocol):
    def __call__(
        self, url: str | None = None, **settings: Any
    ) -> AbstractAsyncContextManager[Store]: ...


@pytest.fixture(scope="session")
def token(oracle: Connection) -> Login:
    """A token of the project, which Keystone looks up sooner than it checks a password."""
    return Login("token=", str(oracle.session.get_token()))


@pytest.fixture
def open_store(project: Project, token: Login, tmp_path: Path) -> OpenStore:
    """Return what opens a store, at another URL than that of the catalogue if one is told."""

    @asynccontextmanager
    async def opening(url: str | None = None, **settings: Any) -> AsyncIterator[Store]:
        urls = {} if url is None else {"object-store": url}
        async with (
            start(Settings(endpoint_urls=urls, **settings), Place(tmp_path)) as backend,
            open_session(backend, Account(token, project.auth_url)) as session,
        ):
            yield Store(session, RULES)

    return opening


@pytest.fixture
async def store(open_store: OpenStore) -> AsyncIterator[Store]:
    async with open_store() as store:
        yield store


@pytest.fixture
async def bucket(store: Store) -> AsyncIterator[str]:
    """A bucket that is gone afterwards, with all that is in it."""
    name = fresh_name()
    await store.buckets.create(NewBucket(name=name))
    yield name
    ids = [blob.id for blob in (await store.blobs.page(name, None, 1000)).items]
    assert not ids or not await store.blobs.destroy_many(name, tuple(ids))
    await store.buckets.destroy(name)
    assert not await store.segments(name)


@pytest.fixture
async def spoiled(open_store: OpenStore, oracle: Connection) -> AsyncIterator[tuple[Store, Proxy]]:
    """A store behind a proxy, and the proxy."""
    url = oracle.object_store.get_endpoint()
    host, _, path = url.partition("/v1/")
    async with (
        forwarding(host) as carry_out,
        proxied(carry_out) as (place, proxy),
        open_store(f"{place}/v1/{path}") as store,
    ):
        yield store, proxy


def large(bucket: str, *, told: bool = True, **facts: Any) -> NewBlob:
    size = len(CONTENT) if told else None
    return NewBlob(bucket_id=bucket, id=KEY, size_bytes=size, **facts)


@pytest.mark.parametrize("told", [True, False], ids=["told", "untold"])
@pytest.mark.parametrize("has_room", [True, False], ids=["memory", "no memory"])
async def test_segments_make_the_whole_and_go_with_it(
    store: Store, bucket: str, told: bool, has_room: bool
) -> None:
    if not has_room:
        assert store.objects.room.take(store.objects.room.free_bytes)
    free = store.objects.room.free_bytes
    new = large(bucket, told=told, content_type="text/x-test", metadata={"colour": "blue"})
    blob = await store.blobs.write(new, in_chunks(CONTENT, 70_001))
    assert (blob.size_bytes, blob.content_type) == (len(CONTENT), "text/x-test")
    assert blob.metadata == {"colour": "blue"}
    assert await store.content(bucket) == CONTENT
    assert len(await store.segments(bucket)) == 8
    assert store.objects.room.free_bytes == free
    await store.blobs.destroy(bucket, KEY)
    assert not await store.segments(bucket)


async def test_segments_are_shown_to_nobody(store: Store, bucket: str) -> None:
    await store.blobs.write(large(bucket), in_chunks(CONTENT))
    hidden = segments_of(bucket)
    marker, names = None, []
    while True:
        page = await store.buckets.page(marker, 1)
        names += [found.id for found in page.items]
        if (marker := page.next) is None:
            break
    assert bucket in names
    assert hidden not in names
    assert [blob.id for blob in (await store.blobs.page(bucket, None, 10)).items] == [KEY]
    for refused in (store.buckets.get(hidden), store.blobs.page(hidden, None, 10)):
        with pytest.raises(NotFound):
            await refused
    with pytest.raises(Invalid):
        await store.buckets.create(NewBucket(name=hidden))


async def test_a_list_tells_a_large_blob_as_a_look_does(store: Store, bucket: str) -> None:
    written = await store.blobs.write(large(bucket), in_chunks(CONTENT))
    (listed,) = (await store.blobs.page(bucket, None, 10)).items
    looked = await store.blobs.get(bucket, KEY)
    assert (listed.etag, listed.size_bytes) == (written.etag, len(CONTENT))
    assert (looked.etag, looked.modified_at) == (listed.etag, listed.modified_at)


@pytest.mark.parametrize("size", [3, 2 * PART])
async def test_writing_over_a_large_blob_leaves_no_segment_of_it(
    store: Store, bucket: str, size: int
) -> None:
    await store.blobs.write(large(bucket), in_chunks(CONTENT))
    await store.blobs.write(NewBlob(bucket_id=bucket, id=KEY), in_chunks(CONTENT[:size]))
    assert await store.content(bucket) == CONTENT[:size]
    assert len(await store.segments(bucket)) == (0 if size < PART else 2)


async def test_a_copy_of_a_large_blob_is_its_own(store: Store, bucket: str) -> None:
    await store.blobs.write(large(bucket, metadata={"a": "b"}), in_chunks(CONTENT))
    copy = await store.blobs.copy(BlobPlace(bucket, KEY), NewBlob(bucket_id=bucket, id="copy"))
    assert (copy.size_bytes, copy.metadata) == (len(CONTENT), {"a": "b"})
    await store.blobs.destroy(bucket, KEY)
    assert await store.content(bucket, "copy") == CONTENT


async def test_a_blob_too_large_for_one_object_is_copied_segment_by_segment(
    store: Store, bucket: str
) -> None:
    await store.blobs.write(large(bucket), in_chunks(CONTENT))
    limits = await store.objects.limits()
    small = replace(limits, object_bytes=3 * PART)
    store.objects.limits = lambda: _soon(small)  # type: ignore[method-assign]
    await store.blobs.copy(BlobPlace(bucket, KEY), NewBlob(bucket_id=bucket, id="copy"))
    await store.blobs.destroy(bucket, KEY)
    assert await store.content(bucket, "copy") == CONTENT
    assert len(await store.segments(bucket)) == 8


async def test_more_segments_than_a_manifest_holds_are_joined_in_groups(
    store: Store, bucket: str
) -> None:
    small = replace(await store.objects.limits(), manifest_segments=3)
    store.objects.limits = lambda: _soon(small)  # type: ignore[method-assign]
    await store.blobs.write(large(bucket), in_chunks(CONTENT))
    assert await store.content(bucket) == CONTENT
    await store.blobs.destroy(bucket, KEY)
    assert not await store.segments(bucket)


@pytest.mark.parametrize("size", [len(CONTENT) - 1, len(CONTENT) + 1])
async def test_content_of_another_size_leaves_no_segment(
    store: Store, bucket: str, size: int
) -> None:
    with pytest.raises(Invalid):
        new = NewBlob(bucket_id=bucket, id=KEY, size_bytes=size)
        await store.blobs.write(new, in_chunks(CONTENT))
    assert not await store.segments(bucket)


async def test_a_sender_who_leaves_or_is_cancelled_leaves_no_segment(
    store: Store, bucket: str
) -> None:
    with pytest.raises(Torn):
        await store.blobs.write(large(bucket, told=False), torn_after(CONTENT))
    assert not await store.segments(bucket)
    waits = asyncio.Event()

    async def chunks() -> AsyncIterator[bytes]:
        async for chunk in in_chunks(CONTENT[: 5 * PART]):
            yield chunk
        waits.set()
        await asyncio.Event().wait()

    writing = asyncio.ensure_future(store.blobs.write(large(bucket), chunks()))
    await waits.wait()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert not await store.segments(bucket)


async def test_an_upload_that_is_given_up_leaves_nothing(store: Store, bucket: str) -> None:
    upload = await store.blobs.begin_upload(large(bucket))
    for order in (1, 2):
        await store.blobs.write_segment(upload, order, in_chunks(CONTENT[:PART]), PART)
    assert len(await store.segments(bucket)) == 3
    await store.blobs.abort_upload(upload)
    assert not await store.segments(bucket)
    with pytest.raises(NotFound):
        await store.blobs.abort_upload(upload)


async def test_a_finished_upload_keeps_its_segments_only(store: Store, bucket: str) -> None:
    upload = await store.blobs.begin_upload(large(bucket))
    sent = {}
    for order in (1, 2, 3):
        sent[order] = await store.blobs.write_segment(upload, order, in_chunks(CONTENT[:PART]))
    await store.blobs.finish_upload(upload, (sent[1], sent[3]))
    assert await store.content(bucket) == CONTENT[:PART] * 2
    assert [name.partition("/")[2] for name in await store.segments(bucket)] == ["00001", "00003"]
    with pytest.raises(NotFound):
        await store.blobs.abort_upload(upload)
    assert await store.content(bucket) == CONTENT[:PART] * 2


async def test_the_same_token_is_the_same_upload(store: Store, bucket: str) -> None:
    new = large(bucket, token="a token")
    first, second = await store.blobs.begin_upload(new), await store.blobs.begin_upload(new)
    assert first == second
    await store.blobs.abort_upload(first)


async def test_a_segment_that_holds_nothing_is_left_out(store: Store, bucket: str) -> None:
    upload = await store.blobs.begin_upload(large(bucket))
    empty = await store.blobs.write_segment(upload, 1, in_chunks(b""))
    full = await store.blobs.write_segment(upload, 2, in_chunks(b"content"))
    with pytest.raises(Invalid):
        made_up = Segment(order=3, id=empty.id)
        await store.blobs.finish_upload(upload, (full, made_up))
    await store.blobs.finish_upload(upload, (empty, full))
    assert await store.content(bucket) == b"content"


async def test_many_go_at_once_and_large_ones_with_their_segments(
    store: Store, bucket: str
) -> None:
    await store.blobs.write(large(bucket), in_chunks(CONTENT))
    ids = ["one", "two\nlines", "ü☃", "a//b", "a%2Fb"]
    for id in ids:
        await store.blobs.write(NewBlob(bucket_id=bucket, id=id), in_chunks(b"x"))
    gone = (KEY, *ids, "not there", "", "x" * 2000)
    assert await store.blobs.destroy_many(bucket, gone) == ()
    assert not (await store.blobs.page(bucket, None, 10)).items
    assert not await store.segments(bucket)
    with pytest.raises(NotFound):
        await store.blobs.destroy_many("no-such-bucket", ("one",))


@pytest.mark.parametrize("deletes", [0, 2])
async def test_what_a_store_takes_at_once_is_not_exceeded(
    store: Store, bucket: str, deletes: int
) -> None:
    few = replace(await store.objects.limits(), deletes=deletes)
    store.objects.limits = lambda: _soon(few)  # type: ignore[method-assign]
    ids = tuple(f"blob {number}" for number in range(5))
    for id in ids:
        await store.blobs.write(NewBlob(bucket_id=bucket, id=id), in_chunks(b"x"))
    assert await store.blobs.destroy_many(bucket, (*ids, "not there")) == ()
    assert not (await store.blobs.page(bucket, None, 10)).items


@pytest.mark.parametrize("key", KEYS)
async def test_what_is_written_here_is_read_by_openstacksdk_and_the_other_way_round(
    store: Store, bucket: str, oracle: Connection, key: str
) -> None:
    new = NewBlob(bucket_id=bucket, id=key, metadata={"colour": "blåu Å"})
    await store.blobs.write(new, in_chunks(b"content"))
    (listed,) = await asyncio.to_thread(
        lambda: list(oracle.object_store.get(f"/{bucket}?format=json").json())
    )
    assert listed["name"] == key
    assert listed["hash"] == hashlib.md5(b"content").hexdigest()
    assert (await store.blobs.get(bucket, key)).metadata == {"colour": "blåu Å"}
    by_prefix = await store.blobs.page(bucket, None, 10, BlobFilter(prefix=key))
    assert [blob.id for blob in by_prefix.items] == [key]
    assert await store.content(bucket, key) == b"content"


async def test_a_large_blob_of_another_client_goes_with_its_segments(
    store: Store, bucket: str, oracle: Connection
) -> None:
    def made() -> None:
        swift = oracle.object_store
        for number in (1, 2):
            swift.put(f"/{bucket}/parts/{number}", data=CONTENT[:PART]).raise_for_status()
        manifest = [{"path": f"/{bucket}/parts/{number}"} for number in (1, 2)]
        path = f"/{bucket}/theirs?multipart-manifest=put"
        swift.put(path, json=manifest).raise_for_status()

    await asyncio.to_thread(made)
    assert await store.content(bucket, "theirs") == CONTENT[:PART] * 2
    await store.blobs.destroy(bucket, "theirs")
    assert not (await store.blobs.page(bucket, None, 10)).items


@pytest.mark.parametrize("key", ["plain", KEY])
@pytest.mark.parametrize("is_large", [False, True], ids=["small", "large"])
async def test_whoever_has_a_link_reads_the_blob(
    store: Store, bucket: str, key: str, is_large: bool
) -> None:
    content = CONTENT if is_large else b"content"
    await store.blobs.write(NewBlob(bucket_id=bucket, id=key), in_chunks(content))
    link = await store.blobs.link(bucket, key, 60)
    assert await asyncio.to_thread(_fetched, link) == content


async def test_a_link_is_signed_by_the_key_of_the_settings(
    store: Store, open_store: OpenStore, bucket: str, oracle: Connection
) -> None:
    await store.blobs.write(NewBlob(bucket_id=bucket, id="a blob"), in_chunks(b"content"))
    await asyncio.to_thread(oracle.object_store.set_account_temp_url_key, "told", True)
    async with open_store(temp_url_key="told") as other:
        link = await other.blobs.link(bucket, "a blob", 60)
    assert await asyncio.to_thread(_fetched, link) == b"content"


async def test_a_segment_that_is_refused_for_now_is_sent_again(
    spoiled: tuple[Store, Proxy], bucket: str
) -> None:
    store, proxy = spoiled
    proxy.spoil("PUT */0000*", _answered(503), calls=2, passing=3)
    await store.blobs.write(large(bucket), in_chunks(CONTENT))
    assert await store.content(bucket) == CONTENT


@pytest.mark.parametrize("told", [True, False], ids=["told", "untold"])
async def test_a_segment_that_is_refused_for_good_ends_the_upload(
    spoiled: tuple[Store, Proxy], bucket: str, told: bool
) -> None:
    store, proxy = spoiled
    proxy.spoil("PUT */0000*", _answered(403), calls=None, passing=4)
    with pytest.raises(CloudError):
        await store.blobs.write(large(bucket, told=told), in_chunks(CONTENT))
    proxy.mend()
    assert not await store.segments(bucket)


async def test_a_manifest_whose_answer_is_lost_is_sent_again(
    spoiled: tuple[Store, Proxy], bucket: str
) -> None:
    async def lost(asked: Asked, carry_out: Handler) -> Reply:
        reply = await carry_out(asked)
        return replace(reply, cut=0) if "multipart-manifest" in asked.target else reply

    store, proxy = spoiled
    proxy.spoil(f"PUT */{bucket}/*", lost, calls=1)
    blob = await store.blobs.write(large(bucket), in_chunks(CONTENT))
    assert blob.size_bytes == len(CONTENT)
    assert await store.content(bucket) == CONTENT


async def test_content_that_differs_from_its_checksum_is_an_error(
    spoiled: tuple[Store, Proxy], bucket: str
) -> None:
    async def damaged(asked: Asked, carry_out: Handler) -> Reply:
        reply = await carry_out(asked)
        return replace(reply, body=b"C" + reply.body[1:])

    store, proxy = spoiled
    await store.blobs.write(NewBlob(bucket_id=bucket, id="a blob"), in_chunks(b"content"))
    proxy.spoil("GET */a%20blob", damaged)
    with pytest.raises(CloudError, match="checksum"):
        await store.content(bucket, "a blob")


async def test_content_that_is_damaged_on_its_way_up_is_never_stored(
    spoiled: tuple[Store, Proxy], bucket: str
) -> None:
    async def damaged(asked: Asked, carry_out: Handler) -> Reply:
        return await carry_out(replace(asked, body=b"C" + asked.body[1:]))

    store, proxy = spoiled
    proxy.spoil("PUT */a%20blob", damaged)
    with pytest.raises(CloudUnavailable):
        await store.blobs.write(NewBlob(bucket_id=bucket, id="a blob"), in_chunks(b"content"))
    with pytest.raises(NotFound):
        await store.blobs.get(bucket, "a blob")


async def test_a_write_on_a_condition_is_made_where_settings_allow_it(
    open_store: OpenStore, bucket: str
) -> None:
    async with open_store(write_conditions=True) as store:
        assert "write_condition" in store.blobs.features
        new = large(bucket, only_new=True)
        first = await store.blobs.write(new, in_chunks(CONTENT))
        with pytest.raises(Conflict):
            await store.blobs.write(new, in_chunks(CONTENT))
        assert len(await store.segments(bucket)) == 8
        assert first.etag is not None
        over = NewBlob(bucket_id=bucket, id=KEY, only_over=first.etag)
        await store.blobs.write(over, in_chunks(b"other"))
        with pytest.raises(Conflict):
            await store.blobs.write(over, in_chunks(b"third"))


async def test_a_bucket_takes_abandoned_uploads_with_it(store: Store) -> None:
    name = fresh_name()
    await store.buckets.create(NewBucket(name=name))
    upload = await store.blobs.begin_upload(large(name))
    await store.blobs.write_segment(upload, 1, in_chunks(b"content"))
    await store.buckets.destroy(name)
    assert not await store.segments(name)


async def test_a_long_name_of_a_bucket_has_room_for_segments(store: Store) -> None:
    name = fresh_name() + "x" * 200
    await store.buckets.create(NewBucket(name=name))
    await store.blobs.write(large(name), in_chunks(CONTENT))
    assert await store.content(name) == CONTENT
    await store.blobs.destroy(name, KEY)
    await store.buckets.destroy(name)


async def _soon(value: Any) -> Any:
    return value


def _fetched(link: str) -> bytes:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(link) as answer:
        return bytes(answer.read())


def _answered(status: int) -> Any:
    async def spoil(_asked: Asked, _carry_out: Handler) -> Reply:
        return Reply(status, b"<html><h1>No</h1></html>", {"content-type": "text/html"})

    return spoil
