"""Sizes of blobs and of their parts."""

from dataclasses import dataclass

MIB = 2**20
GIB = 2**30

# Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
MOST_PARTS = 10_000
LEAST_PART_BYTES = 5 * MIB
MOST_PART_BYTES = 5 * GIB
MOST_BYTES = 5 * 2**40

# Of content whose length nobody knows, this many parts have one size, then as many the double.
_SAME = 1000


@dataclass(frozen=True)
class Rules:
    """How large the parts are, and how many of a blob are on their way at once.

    A blob up to `part_bytes` goes up in one request, one up to `copy_bytes` is copied in one.
    """

    part_bytes: int = 8 * MIB
    at_once: int = 4
    copy_bytes: int = 5 * GIB
    copy_part_bytes: int = 512 * MIB
    # Of blobs up to this size, what comes down is compared with the checksum in its etag: larger
    # ones have come up in parts as a rule, and then there is none.
    verified_bytes: int = 64 * MIB

    def part_of(self, size_bytes: int) -> int:
        """Return the size of the parts of a blob: as set, or so much that 10,000 are enough."""
        return _enough(self.part_bytes, size_bytes)

    def copied_part_of(self, size_bytes: int) -> int:
        """Return the size of the parts in which a blob is copied."""
        return _enough(self.copy_part_bytes, size_bytes)

    def growing_part(self, number: int) -> int:
        """Return the size of the part of this number, from 1, of content of unknown length.

        All 10,000 together hold more than the largest blob.
        """
        return int(min(self.part_bytes * 2 ** ((number - 1) // _SAME), MOST_PART_BYTES))


def _enough(part_bytes: int, size_bytes: int) -> int:
    """Return the size of parts of which 10,000 hold so much, beyond the usual one in whole MiB."""
    if size_bytes <= part_bytes * MOST_PARTS:
        return part_bytes
    return -(-size_bytes // (MOST_PARTS * MIB)) * MIB


DEFAULT_RULES = Rules()
