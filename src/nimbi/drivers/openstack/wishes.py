"""Making things for which the cloud itself takes no token: one thing for one wish."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import TypeVar

from nimbi.drivers.openstack.marks import digest
from nimbi.drivers.openstack.session import Session

T = TypeVar("T")

MOST_SENT = 1000


class Sent:
    """The last tokens that were sent, after which a look may find what they made."""

    def __init__(self) -> None:
        self._tokens: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, token: str | None) -> bool:
        return digest(token) in self._tokens

    def add(self, token: str | None) -> None:
        """Remember a token."""
        self._tokens[digest(token)] = None
        while len(self._tokens) > MOST_SENT:
            self._tokens.popitem(last=False)


async def once(
    session: Session,
    kind: str,
    token: str | None,
    find: Callable[[], Awaitable[T | None]],
    make: Callable[[], Awaitable[T]],
) -> T:
    """Return what `find` finds, else what `make` makes; who wishes the same meanwhile waits for it.

    Goes on when the caller gives up, so that nothing is left half made.
    """

    async def found_or_made() -> T:
        found = await find()
        return await make() if found is None else found

    return await session.backend.cached(
        ("wish", *session.key, kind, digest(token)), 0.0, found_or_made
    )
