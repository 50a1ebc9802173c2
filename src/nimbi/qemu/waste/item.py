"""One thing that nothing owns."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Waste:
    """What it is, and why it is waste. `size_bytes` is the room that it takes, if any.

    `remove` looks again, under the lock of whoever could own it by now, and says whether the
    thing is gone; it may be called by several processes, and again.
    """

    kind: str
    what: str
    why: str
    size_bytes: int = 0
    remove: Callable[[], Awaitable[bool]] = field(repr=False, compare=False)
