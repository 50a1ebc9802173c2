"""Volumes, snapshots and buckets."""

import asyncio

from nimbi.driver.blobs import Blobs, Buckets
from nimbi.driver.storage import Snapshots, Volumes
from nimbi.frontends.deltacloud.answers import created, listed, redirect, shown
from nimbi.frontends.deltacloud.bucket_listing import BucketListing
from nimbi.frontends.deltacloud.catalog import KINDS
from nimbi.frontends.deltacloud.exchange import Exchange
from nimbi.frontends.deltacloud.formats import HTML
from nimbi.frontends.deltacloud.handlers.collections import everything, timed, with_id
from nimbi.frontends.deltacloud.reply import Reply
from nimbi.frontends.deltacloud.requests import storage as wishes
from nimbi.frontends.deltacloud.view import segment
from nimbi.model.buckets import Bucket
from nimbi.model.errors import NotFound
from nimbi.model.volumes import Volume

VOLUMES = KINDS["storage_volumes"]
SNAPSHOTS = KINDS["storage_snapshots"]
BUCKETS = KINDS["buckets"]

# Buckets larger than this are listed with their count alone, where the cloud tells it.
LISTED_BLOBS = 1000
LISTINGS_AT_ONCE = 8


async def create_volume(exchange: Exchange) -> Reply:
    item = await exchange.cloud.call(Volumes.create, wishes.new_volume(exchange.parameters))
    return created(exchange, VOLUMES, item, item.id)


async def attach_volume(exchange: Exchange) -> Reply:
    id, target = exchange.arguments["id"], wishes.volume_target(exchange.parameters)
    return _changed(exchange, await exchange.cloud.call(Volumes.attach, id, target))


async def detach_volume(exchange: Exchange) -> Reply:
    return _changed(exchange, await exchange.cloud.call(Volumes.detach, exchange.arguments["id"]))


async def create_snapshot(exchange: Exchange) -> Reply:
    item = await exchange.cloud.call(Snapshots.create, wishes.new_snapshot(exchange.parameters))
    return created(exchange, SNAPSHOTS, item, item.id)


async def list_buckets(exchange: Exchange) -> Reply:
    return listed(exchange, BUCKETS, await timed(exchange, _listings(exchange)))


async def show_bucket(exchange: Exchange) -> Reply:
    listing = await timed(exchange, _listing(exchange, exchange.arguments["id"]))
    return shown(exchange, BUCKETS, listing)


async def create_bucket(exchange: Exchange) -> Reply:
    bucket = await exchange.cloud.call(Buckets.create, wishes.new_bucket(exchange.parameters))
    # A create that was repeated may find blobs in it already.
    listing = await _with_blobs(exchange, bucket)
    return created(exchange, BUCKETS, listing or BucketListing(bucket, ()), bucket.id)


def _changed(exchange: Exchange, item: Volume) -> Reply:
    if exchange.format is HTML:
        return redirect(exchange, f"/storage_volumes/{segment(item.id)}")
    return shown(exchange, VOLUMES, item, 202)


async def _listings(exchange: Exchange) -> list[BucketListing]:
    buckets = with_id(exchange, await everything(exchange, Buckets.page))
    gate = asyncio.Semaphore(LISTINGS_AT_ONCE)

    async def listing(bucket: Bucket) -> BucketListing | None:
        if bucket.blob_count is not None and bucket.blob_count > LISTED_BLOBS:
            return BucketListing(bucket, None)
        async with gate:
            return await _with_blobs(exchange, bucket)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(listing(bucket)) for bucket in buckets]
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [found for task in tasks if (found := task.result()) is not None]


async def _listing(exchange: Exchange, id: str) -> BucketListing:
    bucket = await exchange.cloud.call(Buckets.get, id)
    if not exchange.cloud.supports(Blobs.page):
        return BucketListing(bucket, ())
    blobs = await everything(exchange, Blobs.page, id)
    return BucketListing(bucket, tuple(blob.id for blob in blobs))


async def _with_blobs(exchange: Exchange, bucket: Bucket) -> BucketListing | None:
    """Return the bucket with its blobs, None when it is gone by now."""
    if not exchange.cloud.supports(Blobs.page):
        return BucketListing(bucket, ())
    try:
        blobs = await everything(exchange, Blobs.page, bucket.id)
    except NotFound:
        return None
    return BucketListing(bucket, tuple(blob.id for blob in blobs))
