"""Many blobs destroyed at once: what is sent, and what a store may answer."""

import hashlib
import re
from base64 import b64encode
from xml.sax.saxutils import unescape

import pytest
from tests.drivers.s3.conftest import OpenStore
from tests.targets.exchange import Asked, Reply, served

from nimbi.model.buckets import BlobFailure
from nimbi.model.errors import CloudUnavailable, Forbidden, NotFound, UnknownOutcome

RESULT = '<DeleteResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{}</DeleteResult>'
REFUSED = "<Error><Key>{}</Key><Code>{}</Code><Message>Told by the test.</Message></Error>"
WHOLE = "<Error><Code>{}</Code><Message>Told by the test.</Message></Error>"


GONE = Reply(204, b"")


class Answering:
    """A store that has this answer to a removal of many, and nothing against one of one."""

    def __init__(self, *replies: Reply, alone: Reply = GONE) -> None:
        self.replies = list(replies)
        self.alone = alone
        self.asked: list[Asked] = []

    async def __call__(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        if asked.method == "DELETE":
            return self.alone
        if asked.method == "HEAD":
            return Reply(200, b"", {"content-length": "0"})
        return self.replies.pop(0)

    @property
    def keys(self) -> list[list[str]]:
        """The keys of each request for many."""
        return [
            [unescape(key) for key in re.findall("<Key>(.*?)</Key>", asked.body.decode())]
            for asked in self.asked
            if asked.method == "POST"
        ]


def removed(*refused: tuple[str, str]) -> Reply:
    errors = "".join(REFUSED.format(key, code) for key, code in refused)
    return Reply(200, RESULT.format(errors).encode())


async def test_one_request_names_all_keys_and_bears_its_checksum(open_store: OpenStore) -> None:
    store_side = Answering(removed())
    async with served(store_side) as url, open_store(url) as store:
        found = await store.blobs.destroy_many("u", ("a", "<b>&amp;", "é/☃", "a"))
    assert found == ()
    (asked,) = store_side.asked
    assert (asked.method, asked.target) == ("POST", "/u?delete=")
    assert store_side.keys == [["a", "<b>&amp;", "é/☃"]]
    digest = hashlib.md5(asked.body, usedforsecurity=False).digest()
    assert asked.headers["content-md5"] == b64encode(digest).decode()


async def test_what_stays_is_told_with_our_word_for_it(open_store: OpenStore) -> None:
    reply = removed(("a", "AccessDenied"), ("b", "NoSuchKey"), ("c", "Odd"), ("d", "SlowDown"))
    async with served(Answering(reply)) as url, open_store(url) as store:
        found = await store.blobs.destroy_many("u", ("a", "b", "c", "d", "e"))
    assert found == (
        BlobFailure(id="a", code="forbidden", reason="Told by the test. (AccessDenied)"),
        BlobFailure(id="c", code="cloud_error", reason="Told by the test. (Odd)"),
        BlobFailure(id="d", code="throttled", reason="Told by the test. (SlowDown)"),
    )


async def test_keys_that_no_xml_can_name_go_one_by_one(open_store: OpenStore) -> None:
    store_side = Answering(removed())
    async with served(store_side) as url, open_store(url) as store:
        assert await store.blobs.destroy_many("u", ("a", "b\x01", "c\r")) == ()
    assert store_side.keys == [["a"]]
    alone = [asked.target for asked in store_side.asked if asked.method == "DELETE"]
    assert alone == ["/u/b%01", "/u/c%0D"]


async def test_a_store_without_the_request_is_asked_for_each(open_store: OpenStore) -> None:
    lacking = Reply(501, WHOLE.format("NotImplemented").encode())
    refusal = Reply(403, WHOLE.format("AccessDenied").encode())
    store_side = Answering(lacking, alone=refusal)
    async with served(store_side) as url, open_store(url) as store:
        found = await store.blobs.destroy_many("u", ("a", "b"))
    assert [(failure.id, failure.code) for failure in found] == [
        ("a", "forbidden"),
        ("b", "forbidden"),
    ]


async def test_names_that_no_blob_can_have_are_not_sent(open_store: OpenStore) -> None:
    store_side = Answering()
    async with served(store_side) as url, open_store(url) as store:
        assert await store.blobs.destroy_many("u", ("", "x" * 2000, "\ud800")) == ()
    assert [asked.method for asked in store_side.asked] == ["HEAD"]


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (404, WHOLE.format("NoSuchBucket"), NotFound),
        (403, WHOLE.format("AccessDenied"), Forbidden),
        (200, WHOLE.format("InternalError"), UnknownOutcome),
        (200, "<DeleteResult", UnknownOutcome),
        (400, WHOLE.format("BadDigest"), CloudUnavailable),
    ],
)
async def test_what_concerns_all_of_them_is_an_error(
    open_store: OpenStore, status: int, body: str, kind: type[Exception]
) -> None:
    async with served(Answering(Reply(status, body.encode()))) as url, open_store(url) as store:
        with pytest.raises(kind):
            await store.blobs.destroy_many("u", ("a", "b"))
