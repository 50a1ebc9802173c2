"""Realms of Shelf: its two boards."""

from nimbi.driver.compute import Realms
from nimbi.model.errors import Invalid, NotFound
from nimbi.model.page import Page
from nimbi.model.realms import Realm, RealmState
from nimbi_shelf.cloud import BOARDS
from nimbi_shelf.session import Session

REALMS = tuple(
    Realm(id=id, name=title, state=RealmState.AVAILABLE) for id, title in sorted(BOARDS.items())
)


class ShelfRealms(Realms):
    def __init__(self, session: Session) -> None:
        self.session = session

    async def page(self, marker: str | None, limit: int) -> Page[Realm]:
        """Return a page; its marker is the id of its last realm."""
        if marker is not None and marker not in BOARDS:
            raise Invalid("the marker is not one that this list gave")
        rest = [realm for realm in REALMS if marker is None or realm.id > marker]
        items = tuple(rest[:limit])
        return Page(items, items[-1].id if len(rest) > limit else None)

    async def get(self, id: str) -> Realm:
        for realm in REALMS:
            if realm.id == id:
                return realm
        raise NotFound(f"Shelf: there is no board {id!r}")
