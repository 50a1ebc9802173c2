"""A bucket with the names of what is in it."""

from dataclasses import dataclass

from nimbi.model.buckets import Bucket


@dataclass(frozen=True)
class BucketListing:
    """`blob_ids` None says that they were not asked for, then the bucket tells its count."""

    bucket: Bucket
    blob_ids: tuple[str, ...] | None

    @property
    def size(self) -> int:
        """The number of blobs."""
        if self.blob_ids is not None:
            return len(self.blob_ids)
        return self.bucket.blob_count or 0
