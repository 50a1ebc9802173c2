"""What a list of Swift tells less than a look at one thing."""

from typing import Any

from msgspec.structs import replace

from nimbi.drivertest.shapes import plain
from nimbi.model.buckets import Blob


class TellsLess:
    """A list has no metadata of blobs; of buckets it has names only, as counts come late there."""

    def as_listed(self, thing: Any) -> Any:
        if isinstance(thing, Blob):
            return plain(replace(thing, metadata={}))
        return plain(replace(thing, location=None, created_at=None, blob_count=None))
