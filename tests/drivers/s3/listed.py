"""What a list of S3 tells less than a look at one thing, and the other way round."""

from typing import Any

from msgspec.structs import replace

from nimbi.drivertest.shapes import plain
from nimbi.model.buckets import Blob


class TellsLess:
    """A list has no types and no metadata of blobs; a look has no times of buckets."""

    def as_listed(self, thing: Any) -> Any:
        if isinstance(thing, Blob):
            return plain(replace(thing, content_type=None, metadata={}, modified_at=None))
        return plain(replace(thing, location=None, created_at=None))
