"""Whole lists, made of pages."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from nimbi.model.errors import CloudError
from nimbi.model.page import Page

T = TypeVar("T")


async def items(fetch: Callable[[str | None], Awaitable[Page[T]]], what: str) -> AsyncIterator[T]:
    """Yield the items of all pages in order, just as the cloud gives them, twice if it does.

    Raises what `each` raises.
    """
    async for page in each(fetch, what):
        for item in page.items:
            yield item


async def each(
    fetch: Callable[[str | None], Awaitable[Page[T]]], what: str
) -> AsyncIterator[Page[T]]:
    """Yield all pages in order.

    Raises what `fetch` raises, never ends early. Raises CloudError when a marker comes again,
    since such a list has no end.
    """
    seen: set[str] = set()
    marker: str | None = None
    while True:
        page = await fetch(marker)
        yield page
        marker = page.next
        if marker is None:
            return
        if marker in seen:
            raise CloudError(f"{what} gave the same marker twice, so the list has no end")
        seen.add(marker)
