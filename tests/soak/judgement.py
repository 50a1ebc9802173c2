"""Holds what clients were told against what the clouds' own books say."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tests.soak.clients import Wish
from tests.soak.clouds import Books

# What the clients make; the rest of a new mock cloud was there before.
PREFIX = "soak-"


@dataclass
class Verdict:
    """What was found wrong, each finding a line for people."""

    requests: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    leaked: list[str] = field(default_factory=list)
    quota_drift: list[str] = field(default_factory=list)
    unaudited: list[str] = field(default_factory=list)
    bill_difference: list[str] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        """The numbers of the last line, in its order."""
        return {
            "lost": len(self.lost),
            "doubled": len(self.doubled),
            "leaked": len(self.leaked),
            "quota-drift": len(self.quota_drift),
            "unaudited": len(self.unaudited),
            "bill-difference": len(self.bill_difference),
        }

    def line(self) -> str:
        """Return the last line."""
        numbers = " ".join(f"{name} {count}" for name, count in self.counts.items())
        return f"soak: requests {self.requests} {numbers}"

    def findings(self) -> list[str]:
        found = {
            "lost": self.lost,
            "doubled": self.doubled,
            "leaked": self.leaked,
            "quota-drift": self.quota_drift,
            "unaudited": self.unaudited,
            "bill-difference": self.bill_difference,
        }
        return [f"{name}: {each}" for name, lines in found.items() for each in lines]


def judge_things(
    verdict: Verdict,
    wishes: Iterable[Wish],
    books: Mapping[str, Books],
    orphans: frozenset[tuple[str, str, str]],
) -> None:
    """Compare each wish with what its cloud ever had under its name.

    `orphans` are (account, collection, id) of what Nimbi itself says that nobody owns: the operator
    knows of them.
    """
    made: Counter[tuple[str, str]] = Counter()
    alive: dict[tuple[str, str], list[str]] = {}
    for cloud, book in books.items():
        for thing in book.things:
            key = cloud, thing.name or ""
            if key[1].startswith(PREFIX):
                made[key] += 1
                alive.setdefault(key, [])
                alive[key] += [thing.id] if thing.gone_at is None else []
    verdict.doubled += [f"{name} in {cloud}: {n}" for (cloud, name), n in made.items() if n > 1]
    for wish in wishes:
        _judge_wish(verdict, wish, alive.pop((wish.cloud, wish.name), []), books, orphans)
    for (cloud, name), ids in alive.items():
        verdict.leaked += [f"{name} in {cloud}: {id}, which nobody asked for" for id in ids]


def _judge_wish(
    verdict: Verdict,
    wish: Wish,
    ids: list[str],
    books: Mapping[str, Books],
    orphans: frozenset[tuple[str, str, str]],
) -> None:
    """Hold one wish against the things that are there under its name."""
    known = {(wish.cloud, wish.collection, wish.id)} if wish.is_held else set()
    verdict.leaked += [
        f"{wish.name} in {wish.cloud}: {id}, and its client was told: {wish}"
        for id in ids
        if (wish.cloud, wish.collection, id) not in known | orphans
    ]
    if not wish.is_held:
        return
    if wish.id not in ids:
        verdict.lost.append(f"{wish.name} was told as {wish.path}, and is not there")
    elif wish.collection == "instances":
        state = books[wish.cloud].state.instances.get(wish.id or "", "instance").state
        if state != wish.state:
            verdict.lost.append(f"{wish.path} is {state}, and its client made it {wish.state}")


def judge_list(
    verdict: Verdict, books: Mapping[str, Books], collection: str, listed: set[tuple[str, str]]
) -> None:
    """Compare Nimbi's one list of a collection, as (account, id), with the clouds."""
    real = {(cloud, item.id) for cloud, book in books.items() for item in _all(book, collection)}
    verdict.lost += [f"{collection} {key} is in no list" for key in sorted(real - listed)]
    verdict.leaked += [f"{collection} {key} is listed, and gone" for key in sorted(listed - real)]


def _all(book: Books, collection: str) -> Iterable[object]:
    return getattr(book.state, collection).whole.items
