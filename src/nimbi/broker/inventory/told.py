"""What one account's cloud has told of one collection, on its way to a list and to the store."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from nimbi.broker.inventory.bodies import thing_of
from nimbi.broker.inventory.collections import REMEMBERED
from nimbi.broker.inventory.marks import marks_in
from nimbi.broker.inventory.schedule import TRANSIT
from nimbi.broker.inventory.spool import Spool
from nimbi.model.errors import CloudError
from nimbi.model.inventory import Thing
from nimbi.model.resource import Resource
from nimbi.store.inventory import Changes

# Longer lists go through a file, so that memory stays flat.
MOST_IN_MEMORY = 2000


@dataclass(eq=False)
class Told:
    """What one account's cloud told of one collection, `began_at` is when it was asked.

    Short lists are in `resources`, long ones in `spool`; then `resources` is empty. `problem` is
    why its end is missing, if it is. `marked` tells which of the looked-for `marks` (digests of
    tokens) were found at which things.
    """

    account: str
    collection: str
    began_at: datetime
    resources: list[Resource] = field(default_factory=list)
    spool: Spool | None = None
    problem: CloudError | None = None
    in_transit: bool = False
    marks: tuple[bytes, ...] = ()
    marked: dict[bytes, list[str]] = field(default_factory=dict)
    kept: "asyncio.Task[Changes | None] | None" = None

    def add(self, items: Sequence[Any]) -> None:
        """Take a page of things. Raises CloudError when one of them is none."""
        if not all(isinstance(item, Resource) and type(item.id) is str for item in items):
            raise CloudError(f"{self.account} gave something that is no thing of {self.collection}")
        states = {getattr(item, "state", None) for item in items}
        self.in_transit = self.in_transit or not TRANSIT.isdisjoint(states)
        for item in items if self.marks else ():
            for mark in marks_in(item, self.marks):
                self.marked.setdefault(mark, []).append(item.id)
        if self.spool is None and len(self.resources) + len(items) > MOST_IN_MEMORY:
            self._spill()
        if self.spool is None:
            self.resources.extend(items)
        else:
            for item in items:
                self.spool.add(self.thing(item))

    def _spill(self) -> None:
        """Go on in a file, if this is a list that the store will keep."""
        if self.collection in REMEMBERED:
            self.spool = Spool()
            for resource in self.resources:
                self.spool.add(self.thing(resource))
            self.resources = []

    @property
    def count(self) -> int:
        """How many things it has."""
        return self.spool.count if self.spool is not None else len(self.resources)

    @property
    def is_short(self) -> bool:
        """Whether it is whole, and in memory."""
        return self.spool is None and self.problem is None

    def thing(self, resource: Resource) -> Thing:
        """Return a thing as the store keeps it."""
        return thing_of(self.account, self.collection, resource)

    def things(self) -> Iterable[Thing]:
        """Return all things as the store keeps them."""
        if self.spool is not None:
            return self.spool
        return map(self.thing, self.resources)
