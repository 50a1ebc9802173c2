"""Volumes, snapshots, buckets and blobs as JSON."""

from typing import Any

from nimbi.frontends.deltacloud.bucket_listing import BucketListing
from nimbi.frontends.deltacloud.links import volume_links
from nimbi.frontends.deltacloud.render_json.instances import reference
from nimbi.frontends.deltacloud.view import View, segment
from nimbi.frontends.deltacloud.words import blob_time, date_text, number
from nimbi.model.buckets import Blob
from nimbi.model.snapshots import Snapshot
from nimbi.model.volumes import Volume


def storage_volume(item: Volume, view: View) -> dict[str, Any]:
    return {
        "id": item.id,
        "href": view.href("storage_volumes", item.id),
        "name": item.name or item.id,
        "description": item.description,
        "state": item.state.upper(),
        "created": date_text(item.created_at),
        "realm": reference("realm", item.realm_id, view.api),
        "device": item.device,
        "kind": item.kind,
        "capacity": number(item.size_gib),
        "actions": [
            {"rel": link.rel, "href": link.href, "method": link.method}
            for link in volume_links(item, view)
        ],
        "instance": reference("instance", item.instance_id, view.api) or {},
    }


def storage_snapshot(item: Snapshot, view: View) -> dict[str, Any]:
    return {
        "id": item.id,
        "href": view.href("storage_snapshots", item.id),
        "name": item.name or item.id,
        "description": item.description,
        "state": item.state.upper(),
        "storage_volume": reference("storage_volume", item.volume_id, view.api) or {},
        "created": date_text(item.created_at),
    }


def bucket(item: BucketListing, view: View) -> dict[str, Any]:
    href = view.href("buckets", item.bucket.id)
    return {
        "id": item.bucket.id,
        "href": href,
        "name": item.bucket.name,
        "size": str(item.size),
        "blob_list": [
            {"rel": "blob", "href": f"{href}/{segment(id)}", "id": id} for id in item.blob_ids or ()
        ],
    }


def blob(item: Blob, view: View) -> dict[str, Any]:
    """Return a blob's facts; the content is not told here, whatever its size (as real clouds)."""
    bucket_href = view.href("buckets", item.bucket_id)
    href = f"{bucket_href}/{segment(item.id)}"
    return {
        "id": item.id,
        "href": href,
        "bucket": {"rel": "bucket", "href": bucket_href, "id": item.bucket_id},
        "content_length": str(item.size_bytes),
        "content_type": item.content_type,
        "last_modified": blob_time(item.modified_at),
        "content": None,
        "content_href": f"{href}/content",
        "user_metadata": dict(item.metadata),
    }
