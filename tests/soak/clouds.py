"""Four clouds for the soak: the mock under other names, each of which keeps books of its own.

The books are the operator's: every thing that was ever made, and when it came and went. Nimbi does
not see them.
"""

import json
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nimbi.driver.interface import Driver, Place
from nimbi.drivers.mock import DRIVER, launch
from nimbi.drivers.mock.cloud import MockCloud, Settings
from nimbi.drivers.mock.session import Session, start
from nimbi.drivers.mock.world import State

NAMES = ("east", "west", "north", "south")
KEPT = ("instances", "volumes", "snapshots", "addresses", "buckets")
FILE = "books.jsonl"

Change = Callable[[], AbstractContextManager[State]]


@asynccontextmanager
async def _bookkeeping(settings: Settings, place: Place) -> AsyncIterator[MockCloud]:
    """Start a mock cloud whose changes are written down as they are made."""
    # Like a real cloud, and unlike the mock, none of these gives an id a second time: a client
    # whose answer was lost may ask again for the end of a thing. This process is a server of the
    # soak, and has no other mock.
    launch._lowest_free = lambda _taken: f"inst{secrets.token_hex(6)}"
    async with start(settings, place) as cloud:
        assert settings.storage is not None
        file = os.open(Path(settings.storage) / FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            # Whoever changes the world asks it for a draft: there is no other way.
            cloud.world.change = _noted(cloud.world.change, file)  # type: ignore[method-assign]
            yield cloud
        finally:
            os.close(file)


def _noted(change: Change, file: int) -> Change:
    @contextmanager
    def noted() -> Iterator[State]:
        with change() as draft:
            before = {name: getattr(draft, name) for name in KEPT}
            yield draft
            # Before it is saved: whoever is killed in between writes of something that did not
            # happen, and `read` believes the state, but nothing that happened is missing.
            lines = list(_lines(before, draft))
            if lines:
                os.write(file, "".join(lines).encode())

    return noted


def _lines(before: dict[str, Any], draft: State) -> Iterator[str]:
    now = time.time()
    for collection, table in before.items():
        after = getattr(draft, collection)
        if after is table:
            continue
        old, new = ({item.id: item for item in each.whole.items} for each in (table, after))
        for id in {**old, **new}:
            was, thing = old.get(id), new.get(id)
            if was is not None and thing is not None and _state(was) == _state(thing):
                continue
            some = thing or was
            facts = {
                "at": now,
                "collection": collection,
                "id": id,
                "name": getattr(some, "name", None),
                "before": _state(was),
                "state": _state(thing),
                "profile": getattr(some, "hardware_profile_id", None),
                "size_gib": getattr(some, "size_gib", None),
            }
            yield json.dumps(facts) + "\n"


def _state(thing: Any) -> str | None:
    """Return the state of a thing, None of one that is not there."""
    return None if thing is None else str(getattr(thing, "state", "") or "")


def _driver(name: str) -> Driver[MockCloud, Session]:
    return replace(DRIVER, name=name, title=f"Soak {name}", start=_bookkeeping)


EAST, WEST, NORTH, SOUTH = map(_driver, NAMES)


@dataclass
class Held:
    """One thing that a cloud has, or had. `states` are all that it was in, and since when."""

    cloud: str
    collection: str
    id: str
    name: str | None
    made_at: float
    gone_at: float | None = None
    profile: str | None = None
    size_gib: float | None = None
    states: list[tuple[float, str]] = field(default_factory=list)

    def changed(self, at: float, before: str, state: str) -> None:
        """Take note of another state. What was not so before was killed before it was."""
        while len(self.states) > 1 and self.states[-1][1] != before:
            self.states.pop()
        self.states.append((at, state))


@dataclass(frozen=True)
class Books:
    """All that one cloud ever had, and its state now."""

    things: tuple[Held, ...]
    state: State

    def living(self, collection: str) -> list[Held]:
        return [t for t in self.things if t.collection == collection and t.gone_at is None]


def read(name: str, folder: Path) -> Books:
    """Return the books of a cloud at which nobody is at work now."""
    cloud = MockCloud(Settings(storage=str(folder)))
    try:
        state = cloud.world.state
    finally:
        cloud.close()
    found: dict[tuple[str, str], Held] = {}
    past: list[Held] = []
    file = folder / FILE
    for line in file.read_text().splitlines() if file.exists() else ():
        told = json.loads(line)
        key = told["collection"], told["id"]
        if told["before"] is None:
            # Of two in a row the first was killed before it was so.
            facts = (told["name"], told["at"], None, told["profile"], told["size_gib"])
            found[key] = Held(name, *key, *facts, [(told["at"], told["state"])])
        elif key in found and told["state"] is not None:
            found[key].changed(told["at"], told["before"], told["state"])
        elif key in found:
            # An id may come again, as another thing.
            gone = found.pop(key)
            gone.gone_at = told["at"]
            past.append(gone)
    return Books(tuple(past + [t for t in found.values() if _is_there(state, t)]), state)


def _is_there(state: State, thing: Held) -> bool:
    return thing.id in getattr(state, thing.collection)
