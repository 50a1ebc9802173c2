"""What AWS does and no stand-in: regions of buckets, pages of buckets, damaged answers."""

import hashlib
import re
from collections.abc import Mapping

import pytest
from tests.drivers.s3.conftest import LOGIN, OpenStore
from tests.targets.exchange import Asked, Reply, served

from nimbi.drivers.ec2.objects.sites import Site
from nimbi.drivertest.streams import in_chunks
from nimbi.model.buckets import BlobFilter, NewBlob, NewBucket
from nimbi.model.errors import (
    CloudError,
    CloudUnavailable,
    Conflict,
    Invalid,
    NotFound,
    Throttled,
    Unauthorized,
)

ERROR = "<Error><Code>{}</Code><Message>Told by the test.</Message>{}</Error>"


def error(status: int, code: str, more: str = "", headers: Mapping[str, str] = {}) -> Reply:
    return Reply(status, ERROR.format(code, more).encode(), headers)


def region_of(asked: Asked) -> str:
    """Return the region for which a request was signed."""
    found = re.search(r"Credential=[^/]+/\d+/([^/]+)/s3/", asked.headers["authorization"])
    assert found
    return found[1]


class Abroad:
    """A bucket in Frankfurt, asked for elsewhere."""

    def __init__(self, answer: Reply) -> None:
        self.answer = answer
        self.asked: list[Asked] = []

    async def __call__(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        if region_of(asked) != "eu-central-1":
            return self.answer
        size = {"content-length": "7", "etag": '"x"'} if asked.method == "HEAD" else {}
        return Reply(200, b"content" if asked.method == "GET" else b"", {"etag": '"x"', **size})


MOVED = {
    "redirect": error(301, "PermanentRedirect", "<Endpoint>evil.example</Endpoint>"),
    "header": error(400, "AuthorizationHeaderMalformed", "<Region>eu-central-1</Region>"),
}


@pytest.mark.parametrize("label", list(MOVED))
async def test_the_region_of_a_bucket_is_learned_once(open_store: OpenStore, label: str) -> None:
    told = MOVED[label]
    headers = {"x-amz-bucket-region": "eu-central-1", "location": "http://evil.example/"}
    moved = Abroad(Reply(told.status, told.body, headers))
    async with served(moved) as url, open_store(url, is_aws=True) as store:
        assert (await store.blobs.get("abroad", "a blob")).size_bytes == 7
        await store.blobs.get("abroad", "a blob")
        link = await store.blobs.link("abroad", "a blob", 60)
    assert [region_of(asked) for asked in moved.asked] == ["us-east-1", *["eu-central-1"] * 2]
    assert "eu-central-1" in link


async def test_content_is_sent_only_where_the_bucket_is(open_store: OpenStore) -> None:
    moved = Abroad(Reply(301, b"", {"x-amz-bucket-region": "eu-central-1"}))
    async with served(moved) as url, open_store(url, is_aws=True) as store:
        new = NewBlob(bucket_id="abroad", id="a blob", size_bytes=7)
        await store.blobs.write(new, in_chunks(b"content"))
    assert [(a.method, region_of(a)) for a in moved.asked] == [
        ("HEAD", "us-east-1"),
        ("HEAD", "eu-central-1"),
        ("PUT", "eu-central-1"),
    ]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_no_redirect_is_followed_to_another_host(open_store: OpenStore, status: int) -> None:
    async def stranger(asked: Asked) -> Reply:
        raise AssertionError(f"{asked.headers} came here")

    async def sends_away(_asked: Asked) -> Reply:
        return Reply(status, b"", {"location": f"{elsewhere}/a/b"})

    async with served(stranger) as elsewhere, served(sends_away) as url, open_store(url) as store:
        with pytest.raises(CloudError):
            await store.blobs.get("bucket", "a blob")
        with pytest.raises(CloudError):
            new = NewBlob(bucket_id="bucket", id="a blob", size_bytes=7)
            await store.blobs.write(new, in_chunks(b"content"))


@pytest.mark.parametrize(
    ("location", "body"),
    [(None, ""), ("us-east-1", ""), ("eu-west-3", "<LocationConstraint>eu-west-3</")],
)
async def test_a_location_is_told_unless_it_is_the_first_region(
    open_store: OpenStore, location: str | None, body: str
) -> None:
    asked: list[Asked] = []

    async def answer(one: Asked) -> Reply:
        asked.append(one)
        return Reply(404 if one.method == "HEAD" else 200)

    async with served(answer) as url, open_store(url, is_aws=True) as store:
        bucket = await store.buckets.create(NewBucket(name="a-bucket", location=location))
    assert bucket.location == (location or "us-east-1")
    assert body in asked[-1].body.decode()
    assert bool(body) == bool(asked[-1].body)
    assert region_of(asked[-1]) == (location or "us-east-1")


async def test_buckets_are_listed_by_the_store_s_own_pages(open_store: OpenStore) -> None:
    pages = {None: (["a", "b"], "t0k/en="), "t0k/en=": (["c"], None)}
    limits = []

    async def answer(asked: Asked) -> Reply:
        names, next = pages[asked.form.get("continuation-token")]
        limits.append(asked.form["max-buckets"])
        told = "".join(
            f"<Bucket><Name>{n}</Name><BucketRegion>eu-west-1</BucketRegion></Bucket>"
            for n in names
        )
        token = f"<ContinuationToken>{next}</ContinuationToken>" if next else ""
        text = f"<ListAllMyBucketsResult><Buckets>{told}</Buckets>{token}</ListAllMyBucketsResult>"
        return Reply(200, text.encode())

    async with served(answer) as url, open_store(url, is_aws=True) as store:
        first = await store.buckets.page(None, 2)
        second = await store.buckets.page(first.next, 2)
    assert [bucket.id for bucket in (*first.items, *second.items)] == ["a", "b", "c"]
    assert first.items[0].location == "eu-west-1"
    assert (second.next, limits) == (None, ["2", "2"])


CONTENT = b"what came down"
MD5 = hashlib.md5(CONTENT).hexdigest()


@pytest.mark.parametrize(
    ("headers", "is_refused"),
    [
        ({"etag": f'"{MD5}"'}, False),
        ({"etag": f'"{"0" * 32}"'}, True),
        ({"etag": f'"{"0" * 32}-2"'}, False),
        ({"etag": f'"{"0" * 32}"', "x-amz-server-side-encryption": "aws:kms"}, False),
        ({}, False),
    ],
)
async def test_what_comes_down_is_what_its_etag_says(
    open_store: OpenStore, headers: dict[str, str], is_refused: bool
) -> None:
    async def answer(_asked: Asked) -> Reply:
        return Reply(200, CONTENT, headers)

    async with served(answer) as url, open_store(url) as store:
        found = await store.blobs.read("bucket", "a blob")
        if is_refused:
            with pytest.raises(CloudError):
                _ = [chunk async for chunk in found.chunks]
        else:
            assert b"".join([chunk async for chunk in found.chunks]) == CONTENT


async def test_an_answer_that_breaks_off_is_no_whole_blob(open_store: OpenStore) -> None:
    async def answer(_asked: Asked) -> Reply:
        reply = Reply(200, CONTENT)
        return Reply(200, CONTENT, cut=len(reply.lines(has_body=True)) + 4)

    async with served(answer) as url, open_store(url) as store:
        with pytest.raises(CloudUnavailable):
            found = await store.blobs.read("bucket", "a blob")
            _ = [chunk async for chunk in found.chunks]


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (error(503, "SlowDown", headers={"retry-after": "7"}), Throttled),
        (error(403, "InvalidAccessKeyId"), Unauthorized),
        (error(404, "NoSuchBucket"), NotFound),
        (error(409, "OperationAborted"), Conflict),
        (error(400, "InvalidArgument"), Invalid),
        (Reply(503, b"<html>busy</html>"), Throttled),
        (Reply(200, b"<ListBucketResult><Contents>"), CloudUnavailable),
        (Reply(200, b"<!DOCTYPE x><ListBucketResult/>"), CloudUnavailable),
        (Reply(200, b"<html/>"), CloudUnavailable),
        (Reply(200, b""), CloudUnavailable),
        (error(200, "InternalError"), CloudUnavailable),
    ],
)
async def test_a_list_that_fails_says_why(
    open_store: OpenStore, reply: Reply, kind: type[CloudError]
) -> None:
    async def answer(_asked: Asked) -> Reply:
        return reply

    async with served(answer) as url, open_store(url) as store:
        with pytest.raises(kind) as failed:
            await store.blobs.page("bucket", None, 10, BlobFilter())
    assert LOGIN.password not in str(failed.value)
    if isinstance(failed.value, Throttled) and "SlowDown" in failed.value.message:
        assert failed.value.retry_after_s == 7


@pytest.mark.parametrize(
    ("site", "region", "bucket", "url"),
    [
        ("https://s3.eu-west-1.amazonaws.com", None, "b-1", "https://b-1.{}/k%20%2B//x"),
        ("https://s3.eu-west-1.amazonaws.com", None, "b.1", "https://{}/b.1/k%20%2B//x"),
        ("https://s3.eu-west-1.amazonaws.com", None, "Old_1", "https://{}/Old_1/k%20%2B//x"),
    ],
)
def test_a_bucket_is_in_the_host_where_a_certificate_allows(
    site: str, region: str | None, bucket: str, url: str
) -> None:
    here = Site(site, "eu-west-1", is_aws=True)
    host = "s3.eu-west-1.amazonaws.com"
    assert here.url_of("eu-west-1", bucket, "k +//x", ()) == url.format(host)
    elsewhere = "s3.cn-north-1.amazonaws.com"
    assert here.url_of("cn-north-1", bucket, "k +//x", ()) == url.format(elsewhere)
