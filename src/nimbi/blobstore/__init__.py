"""A store of blobs on disk: buckets, contents, an index. Stands alone, knows no cloud."""

from nimbi.blobstore.blobs import Opened
from nimbi.blobstore.errors import (
    BlobstoreError,
    Busy,
    Conflict,
    Damaged,
    Full,
    Invalid,
    NotFound,
)
from nimbi.blobstore.facts import Blob, Bucket, Listing, NewBlob, Segment, Upload
from nimbi.blobstore.store import BlobStore, open_store

__all__ = [
    "Blob",
    "BlobStore",
    "BlobstoreError",
    "Bucket",
    "Busy",
    "Conflict",
    "Damaged",
    "Full",
    "Invalid",
    "Listing",
    "NewBlob",
    "NotFound",
    "Opened",
    "Segment",
    "Upload",
    "open_store",
]
