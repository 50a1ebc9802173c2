"""A caller's content on its way up, cut where its parts end."""

from collections.abc import AsyncIterator, Callable


class Source:
    """Chunks, one of which is always read ahead: so the last one is known as the last.

    Raises what `wrong` makes of a text, before the last chunk is given, when the content is not of
    the told size, or of more than `most_bytes`.
    """

    def __init__(
        self,
        chunks: AsyncIterator[bytes],
        told_bytes: int | None,
        most_bytes: int,
        wrong: Callable[[str], Exception] = ValueError,
    ) -> None:
        self._wrong = wrong
        self._chunks = chunks
        self._told = told_bytes
        self._most = most_bytes if told_bytes is None else told_bytes
        self._ahead: bytes | None = None
        self._rest = b""
        self.seen_bytes = 0

    async def next(self) -> bytes:
        """Return more of the content; empty after its end."""
        if self._rest:
            rest, self._rest = self._rest, b""
            return rest
        if self._ahead is None:
            self._ahead = await self._pull()
        chunk = self._ahead
        if chunk:
            self._ahead = await self._pull()
        return chunk

    @property
    def is_over(self) -> bool:
        """Whether nothing comes any more, as far as was asked."""
        return self._ahead == b"" and not self._rest

    async def take(self, size_bytes: int) -> AsyncIterator[bytes]:
        """Yield the next bytes, up to so many."""
        left = size_bytes
        while left and (chunk := await self.next()):
            if len(chunk) > left:
                self._rest, chunk = chunk[left:], chunk[:left]
            left -= len(chunk)
            yield chunk

    async def _pull(self) -> bytes:
        chunk = b""
        while not chunk:
            try:
                chunk = await anext(self._chunks)
            except StopAsyncIteration:
                if self._told is not None and self.seen_bytes < self._told:
                    raise self._wrong(
                        f"the content has {self.seen_bytes} bytes, not the {self._told} told"
                    ) from None
                return b""
            self.seen_bytes += len(chunk)
            if self.seen_bytes > self._most:
                raise self._wrong(f"the content has more than {self._most} bytes")
        return chunk
