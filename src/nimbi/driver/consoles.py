"""What an open console is: bytes both ways, until one side ends it."""

from typing import Protocol


class ConsoleStream(Protocol):
    """An open console. Whoever opened it must `aclose` it; one reader and one writer at a time.

    `read` and `write` may be cancelled; what a cancelled `write` had taken is lost.
    """

    async def read(self) -> bytes:
        """Return the next bytes, 1 to 64 KiB, waiting for them as long as it takes.

        Empty once the instance has ended its side, or the stream is closed.
        """
        ...

    async def write(self, data: bytes) -> None:
        """Send bytes; return when there is room for more.

        Raises Conflict when the instance has ended its side, or the stream is closed.
        """
        ...

    async def aclose(self) -> None:
        """End it; may be called again. A `read` that waits returns empty."""
        ...
