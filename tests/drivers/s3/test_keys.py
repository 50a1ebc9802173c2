"""Keys that stock clients meet: ours and boto3's name the same blobs."""

import asyncio
import urllib.request
from typing import Any

import boto3
import pytest
from botocore.config import Config
from hypothesis import given
from hypothesis import strategies as st
from tests.drivers.s3.conftest import LOGIN

from nimbi.drivers.ec2.objects.names import metadata_headers, metadata_of, new_bucket
from nimbi.drivertest.streams import read, write
from nimbi.gateway.cloud import Cloud
from nimbi.model.buckets import BlobFilter, NewBucket
from nimbi.model.errors import Invalid

KEYS = [
    "a//b",
    "a/",
    "two  words ",
    "a+b",
    "a%2Fb",
    "a%20b",
    "ü/☃/\U0001d54f",
    "\x01\x7f\t",
    "a?b#c&d=e;f",
    "'quoted\"<x>&amp;",
    "~!*()-._",
    "x" * 1024,
]
# urllib3, below boto3, takes these for paths.
DOTS = ["..", ".", "a/../b", "a/./b", "../../etc/passwd"]


@pytest.fixture
def boto(moto: str) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=moto,
        region_name="us-east-1",
        aws_access_key_id=LOGIN.user,
        aws_secret_access_key=LOGIN.password,
        config=Config(s3={"addressing_style": "path"}),
    )


@pytest.fixture
async def bucket(cloud: Cloud) -> str:
    return (await cloud.buckets.create(NewBucket(name="odd-keys"))).id


@pytest.mark.parametrize("key", KEYS)
async def test_what_is_written_here_is_read_by_boto3(
    cloud: Cloud, boto: Any, bucket: str, key: str
) -> None:
    await write(cloud, bucket, key, b"content", metadata={"colour": "blåu"})
    found = await asyncio.to_thread(boto.get_object, Bucket=bucket, Key=key)
    assert found["Body"].read() == b"content"
    assert (await cloud.blobs.get(bucket, key)).metadata == {"colour": "blåu"}


@pytest.mark.parametrize("key", KEYS)
async def test_what_boto3_writes_is_listed_and_read_here(
    cloud: Cloud, boto: Any, bucket: str, key: str
) -> None:
    await asyncio.to_thread(boto.put_object, Bucket=bucket, Key=key, Body=b"content")
    page = await cloud.blobs.page(bucket, None, 10)
    assert [blob.id for blob in page.items] == [key]
    assert await read(cloud, bucket, key) == b"content"
    by_prefix = await cloud.blobs.page(bucket, None, 10, BlobFilter(prefix=key))
    assert [blob.id for blob in by_prefix.items] == [key]


@pytest.mark.parametrize("key", DOTS)
async def test_dots_are_names_and_no_way_out_of_a_bucket(
    cloud: Cloud, bucket: str, key: str
) -> None:
    await write(cloud, bucket, key, b"content")
    assert [blob.id async for blob in _all(cloud, bucket)] == [key]
    assert await read(cloud, bucket, key) == b"content"


@pytest.mark.parametrize("key", ["plain", "a//b +%2F", "ü/☃"])
async def test_whoever_has_a_link_reads_the_blob(cloud: Cloud, bucket: str, key: str) -> None:
    await write(cloud, bucket, key, b"content")
    link = await cloud.blobs.link(bucket, key, 60)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with await asyncio.to_thread(opener.open, link) as answer:
        assert answer.read() == b"content"
    assert LOGIN.password not in link


@pytest.mark.parametrize("seconds", [0, -1, 7 * 24 * 3600 + 1])
async def test_a_link_is_for_a_week_at_most(cloud: Cloud, bucket: str, seconds: int) -> None:
    with pytest.raises(Invalid):
        await cloud.blobs.link(bucket, "a blob", seconds)


@pytest.mark.parametrize(
    "name",
    ["", "ab", "a" * 64, "Upper", "under_score", "-a-b", "a-b-", "a..b", "a.-b", "10.0.0.1", "a/b"],
)
def test_a_bucket_that_could_be_no_host_is_refused(name: str) -> None:
    with pytest.raises(Invalid):
        new_bucket(name)


@given(st.text(st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="\ufffe\uffff")))
def test_metadata_come_back_as_they_were_given(value: str) -> None:
    if len(value.encode()) > 1000:
        return
    headers = metadata_headers({"name": value})
    assert all(text.isascii() and text.isprintable() for text in headers.values())
    assert metadata_of(headers) == {"name": value}


def _all(cloud: Cloud, bucket: str) -> Any:
    from nimbi.driver.blobs import Blobs

    return cloud.each(Blobs.page, bucket)
