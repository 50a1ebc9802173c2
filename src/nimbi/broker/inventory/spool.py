"""Things on their way from a cloud to the store: few in memory, many in a file."""

import tempfile
from collections.abc import Iterator
from typing import IO

import msgspec

from nimbi.model.inventory import Thing

# Below this a list needs no file.
IN_MEMORY_BYTES = 1 << 20
LENGTH_BYTES = 4


class Spool:
    """A list of things that takes the same memory however long it is; close it in the end."""

    def __init__(self) -> None:
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES)  # noqa: SIM115
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(Thing).decode
        self.count = 0

    def add(self, thing: Thing) -> None:
        """Put a thing behind the others."""
        told = self._encode(thing)
        self._file.write(len(told).to_bytes(LENGTH_BYTES, "big"))
        self._file.write(told)
        self.count += 1

    def __iter__(self) -> Iterator[Thing]:
        """Yield all things in order, from the first; nothing may be added meanwhile."""
        self._file.seek(0)
        while length := self._file.read(LENGTH_BYTES):
            yield self._decode(self._file.read(int.from_bytes(length, "big")))

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()
