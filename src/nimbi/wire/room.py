"""How much of blobs on their way up may be held in memory, all of them together."""

MIB = 2**20


class Room:
    """Bytes of memory that parts may take; who finds none left does without."""

    def __init__(self, size_bytes: int = 32 * MIB) -> None:
        self._free = size_bytes

    @property
    def free_bytes(self) -> int:
        return self._free

    def take(self, size_bytes: int) -> bool:
        """Take so much, or nothing. Returns whether it was there."""
        if size_bytes > self._free:
            return False
        self._free -= size_bytes
        return True

    def give(self, size_bytes: int) -> None:
        """Give back what was taken."""
        self._free += size_bytes
