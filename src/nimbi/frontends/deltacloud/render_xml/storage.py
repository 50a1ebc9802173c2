"""Volumes, snapshots, buckets and blobs as XML."""

from nimbi.frontends.deltacloud.bucket_listing import BucketListing
from nimbi.frontends.deltacloud.links import volume_links
from nimbi.frontends.deltacloud.view import View, segment
from nimbi.frontends.deltacloud.words import blob_time, date_text, number
from nimbi.model.buckets import Blob
from nimbi.model.snapshots import Snapshot
from nimbi.model.volumes import Volume
from nimbi.wire.xml import cdata, escape


def storage_volume(item: Volume, view: View) -> str:
    href = view.href("storage_volumes", item.id)
    return (
        f"  <storage_volume href='{href}' id='{escape(item.id)}'>\n"
        f"{_line('created', date_text(item.created_at))}"
        f"    <capacity unit='GB'>{number(item.size_gib)}</capacity>\n"
        f"{_line('kind', item.kind)}"
        f"    <name>{escape(item.name or item.id)}</name>\n"
        f"{_line('description', item.description)}"
        f"{_line('device', item.device)}{_realm(item, view)}"
        f"    <state>{item.state._value_.upper()}</state>\n"
        f"{_mount(item, view)}{_volume_actions(item, view)}  </storage_volume>\n"
    )


def storage_snapshot(item: Snapshot, view: View) -> str:
    volume = (
        f"    <storage_volume href='{view.href('storage_volumes', item.volume_id)}'"
        f" id='{escape(item.volume_id)}'></storage_volume>\n"
        if item.volume_id is not None
        else ""
    )
    return (
        f"  <storage_snapshot href='{view.href('storage_snapshots', item.id)}'"
        f" id='{escape(item.id)}'>\n"
        f"    <name>{escape(item.name or item.id)}</name>\n"
        f"{_line('description', item.description)}"
        f"    <state>{item.state._value_.upper()}</state>\n"
        f"{_line('created', date_text(item.created_at))}{volume}  </storage_snapshot>\n"
    )


def bucket(item: BucketListing, view: View) -> str:
    href = view.href("buckets", item.bucket.id)
    blobs = "".join(
        f"    <blob href='{href}/{segment(id)}' id='{escape(id)}'></blob>\n"
        for id in item.blob_ids or ()
    )
    return (
        f"  <bucket href='{href}' id='{escape(item.bucket.id)}'>\n"
        f"    <name>{escape(item.bucket.name)}</name>\n"
        f"    <size>{item.size}</size>\n{blobs}  </bucket>\n"
    )


def blob(item: Blob, view: View) -> str:
    href = f"{view.href('buckets', item.bucket_id)}/{segment(item.id)}"
    metadata = "".join(
        f"      <entry key='{escape(name)}'>{cdata(value)}</entry>\n"
        for name, value in item.metadata.items()
    )
    return (
        f"  <blob href='{href}' id='{escape(item.id)}'>\n"
        f"    <bucket>{escape(item.bucket_id)}</bucket>\n"
        f"    <content_length>{item.size_bytes}</content_length>\n"
        f"    <content_type>{escape(item.content_type or '')}</content_type>\n"
        f"    <last_modified>{blob_time(item.modified_at) or ''}</last_modified>\n"
        f"    <user_metadata>\n{metadata}    </user_metadata>\n"
        f"    <content href='{href}/content' rel='blob_content'></content>\n  </blob>\n"
    )


def _line(name: str, value: str | None) -> str:
    return f"    <{name}>{escape(value)}</{name}>\n" if value is not None else ""


def _realm(item: Volume, view: View) -> str:
    if item.realm_id is None:
        return ""
    id = escape(item.realm_id)
    return (
        f"    <realm href='{view.href('realms', item.realm_id)}' id='{id}'></realm>\n"
        f"    <realm_id>{id}</realm_id>\n"
    )


def _mount(item: Volume, view: View) -> str:
    if item.instance_id is None:
        return ""
    device = f"      <device name='{escape(item.device)}'></device>\n" if item.device else ""
    return (
        f"    <mount>\n      <instance href='{view.href('instances', item.instance_id)}'"
        f" id='{escape(item.instance_id)}'></instance>\n{device}    </mount>\n"
    )


def _volume_actions(item: Volume, view: View) -> str:
    links = "".join(
        f"      <link href='{link.href}' method='{link.method}' rel='{link.rel}' />\n"
        for link in volume_links(item, view)
    )
    return f"    <actions>\n{links}    </actions>\n"
