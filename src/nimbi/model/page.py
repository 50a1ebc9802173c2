"""One page of a list, as a cloud gives it."""

from dataclasses import dataclass
from typing import Generic, TypeVar

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True)
class Page(Generic[T_co]):
    """Some items of a list in an order stable across pages.

    `next` is the cloud's own marker for the page after this one; None says that the list ends here.
    """

    items: tuple[T_co, ...]
    next: str | None = None
