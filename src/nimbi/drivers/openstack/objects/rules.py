"""Sizes of blobs and of their segments, and what a store says about its limits."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MIB = 2**20
GIB = 2**30

MOST_ORDER = 10_000
# Beyond what a store takes in one object, so many of its largest segments make a blob.
MOST_SEGMENTS = 1000
MOST_BYTES = MOST_SEGMENTS * 5 * GIB

# Of content whose length nobody knows, this many segments have one size, then as many the double.
_SAME = 100


@dataclass(frozen=True)
class Rules:
    """How large the segments are, and how many of a blob are on their way at once.

    A blob of a told size up to `whole_bytes` goes up in one request, one of an unknown size when it
    ends within the first segment.
    """

    whole_bytes: int = GIB
    segment_bytes: int = 32 * MIB
    at_once: int = 4
    # What goes or comes in one piece is compared with its checksum up to this size: for more, that
    # would cost most of the speed. Segments always are.
    verified_bytes: int = 64 * MIB

    def segment_of(self, size_bytes: int) -> int:
        """Return the size of the segments of a blob: as set, or so much that 1,000 are enough."""
        if size_bytes <= self.segment_bytes * MOST_SEGMENTS:
            return self.segment_bytes
        return -(-size_bytes // (MOST_SEGMENTS * MIB)) * MIB

    def growing_segment(self, number: int, most_bytes: int) -> int:
        """Return the size of the segment of this number, from 1, of content of unknown length."""
        return int(min(self.segment_bytes * 2 ** ((number - 1) // _SAME), most_bytes))


@dataclass(frozen=True)
class Limits:
    """What a store takes; the defaults are Swift's own.

    `deletes` is how many names one request may delete, 0 where there is no such request; `digests`
    are those that sign temporary URLs, none where there are no such URLs.
    Source: https://docs.openstack.org/api-ref/object-store/#list-activated-capabilities
    """

    object_bytes: int = 5 * GIB
    object_name_bytes: int = 1024
    container_name_bytes: int = 256
    metadata_name_bytes: int = 128
    metadata_value_bytes: int = 256
    metadata_count: int = 90
    metadata_bytes: int = 4096
    manifest_segments: int = MOST_SEGMENTS
    has_manifests: bool = True
    deletes: int = 1000
    digests: tuple[str, ...] = ("sha1", "sha256", "sha512")


# Where a store tells of each limit.
_TOLD = {
    "object_bytes": ("swift", "max_file_size"),
    "object_name_bytes": ("swift", "max_object_name_length"),
    "container_name_bytes": ("swift", "max_container_name_length"),
    "metadata_name_bytes": ("swift", "max_meta_name_length"),
    "metadata_value_bytes": ("swift", "max_meta_value_length"),
    "metadata_count": ("swift", "max_meta_count"),
    "metadata_bytes": ("swift", "max_meta_overall_size"),
    "manifest_segments": ("slo", "max_manifest_segments"),
    "deletes": ("bulk_delete", "max_deletes_per_request"),
}
# What stores older than they tell sign temporary URLs with.
_FIRST_DIGESTS = ("sha1",)


def limits_of(told: Any) -> Limits:
    """Return what the answer to `/info` says: `{"swift": {"max_file_size": …}, "slo": {…}}`."""
    if not isinstance(told, dict) or not isinstance(told.get("swift"), dict):
        return Limits()
    known = {name: found for name, at in _TOLD.items() if (found := _number(told, *at)) is not None}
    if "bulk_delete" not in told:
        known["deletes"] = 0
    return Limits(**known, has_manifests="slo" in told, digests=_digests(told.get("tempurl")))


def _number(told: Mapping[str, Any], part: str, name: str) -> int | None:
    found = told.get(part)
    value = found.get(name) if isinstance(found, dict) else None
    return value if isinstance(value, int) and value > 0 else None


def _digests(told: Any) -> tuple[str, ...]:
    if not isinstance(told, dict):
        return ()
    found = told.get("allowed_digests")
    return tuple(map(str, found)) if isinstance(found, list) else _FIRST_DIGESTS
