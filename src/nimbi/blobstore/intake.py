"""Contents on their way in: gathered, written and hashed in threads while more comes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from nimbi.blobstore.contents import Contents, Draft
from nimbi.blobstore.errors import Invalid
from nimbi.blobstore.threads import Threads

# Two of them are in memory at most: one that is written, one that is gathered.
PIECE_BYTES = 1024 * 1024
# Chunks may be tiny; this many are kept at most.
CHUNKS_GATHERED = 1024


@asynccontextmanager
async def taken_in(
    contents: Contents, threads: Threads, chunks: AsyncIterator[bytes], size_bytes: int | None
) -> AsyncIterator[Draft]:
    """Give the content as a draft, which goes at the end of the block unless it was published.

    Raises Invalid as soon as there are more bytes than were told.
    """
    draft = await _begun(contents, threads)
    try:
        await _fill(draft, threads, chunks, size_bytes)
        yield draft
    finally:
        await threads.run(draft.close)


async def _begun(contents: Contents, threads: Threads) -> Draft:
    beginning = threads.begin(contents.draft)
    try:
        return await asyncio.shield(beginning)
    except asyncio.CancelledError:
        beginning.add_done_callback(_closed)
        raise


def _closed(beginning: "asyncio.Future[Draft]") -> None:
    if not beginning.cancelled() and beginning.exception() is None:
        beginning.result().close()


def _adding(draft: Draft, chunks: list[bytes]) -> Callable[[], None]:
    return lambda: draft.add(chunks)


async def _fill(
    draft: Draft, threads: Threads, chunks: AsyncIterator[bytes], size_bytes: int | None
) -> None:
    received = gathered_bytes = 0
    gathered: list[bytes] = []
    writing: asyncio.Future[None] | None = None
    try:
        async for chunk in chunks:
            received += len(chunk)
            if size_bytes is not None and received > size_bytes:
                raise Invalid(f"the content has more than the {size_bytes} bytes told")
            gathered.append(chunk)
            gathered_bytes += len(chunk)
            if gathered_bytes >= PIECE_BYTES or len(gathered) >= CHUNKS_GATHERED:
                if writing is not None:
                    await writing
                writing = threads.begin(_adding(draft, gathered))
                gathered, gathered_bytes = [], 0
        if writing is not None:
            await writing
        if gathered_bytes:
            await threads.run(_adding(draft, gathered))
    finally:
        if writing is not None and not writing.cancel() and not writing.cancelled():
            writing.exception()
