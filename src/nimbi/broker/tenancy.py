"""Whose things a caller may see and change in an account: others' are not there for it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from inspect import signature
from typing import Any, TypeVar

from nimbi.broker.access import Caller, may_touch
from nimbi.driver.capabilities import OPERATIONS
from nimbi.gateway.rehearsal import REFERENCES, named_in
from nimbi.gateway.shape import Shape
from nimbi.model.errors import Forbidden, NotFound
from nimbi.model.page import Page
from nimbi.model.people import ROOT
from nimbi.model.resource import Resource
from nimbi.store.holdings import HoldingStore
from nimbi.store.listing import Visible
from nimbi.store.quotas import Path

# What belongs to the cloud itself.
OF_CLOUD = frozenset({"hardware_profiles", "realms"})
# What the account's owner has in these may be read and used by all who may use the account.
COMMON = frozenset({"images", "networks", "subnets"})
# Things whose ids are those of others, to whose owner they belong.
OF_OTHERS: Mapping[str, str] = {"metrics": "instances"}

# The collection that each field names a thing of.
COLLECTIONS: Mapping[str, str] = {
    "source_image_id": "images",
    **{field: OPERATIONS[get].interface.name for field, get in REFERENCES.items()},
}


R = TypeVar("R", bound=Resource)


class Tenancy:
    """One account as one caller sees it, who does not act in the root domain."""

    def __init__(self, holdings: HoldingStore, caller: Caller, account: str) -> None:
        self._holdings = holdings
        self._caller = caller
        self._account = account
        # What nobody holds is the account's own.
        self._has_rest = caller.owned is None or account in caller.owned

    async def check(
        self,
        operation: Callable[..., Any],
        shape: Shape,
        args: tuple[Any, ...],
        named: Mapping[str, Any],
    ) -> None:
        """Raise NotFound for what is another tenant's, Forbidden for what is everybody's to use."""
        given = signature(operation).bind(None, *args, **named).arguments
        own = OF_OTHERS.get(shape.interface, shape.interface)
        if (id := given.get("id")) is not None and own != "blobs":
            await self._check_own(own, id, is_change=shape.changes)
        for name, value in given.items():
            for field, ids in named_in(name, value, COLLECTIONS):
                await self._check_seen(COLLECTIONS[field], ids)

    async def shown(self, shape: Shape, answer: Any) -> Any:
        """Return an answer without what is not the caller's to see."""
        if not isinstance(answer, Page) or shape.interface == "blobs":
            return answer
        items = tuple(await self.of(shape.interface, answer.items))
        if len(items) == len(answer.items):
            return answer
        return replace(answer, items=items)

    async def of(self, collection: str, things: Sequence[R]) -> list[R]:
        """Return those of some things that the caller may see."""
        own = OF_OTHERS.get(collection, collection)
        seen = await self.seen(own, [thing.id for thing in things])
        return [thing for thing in things if thing.id in seen]

    async def seen(self, collection: str, ids: Sequence[str]) -> frozenset[str]:
        """Return which of these things the caller may see."""
        if collection in OF_CLOUD or not ids:
            return frozenset(ids)
        paths = await self._holdings.paths_of(self._account, collection, ids)
        has_rest = self._has_rest or collection in COMMON
        return frozenset(id for id in ids if self._is_seen(paths.get(id), has_rest))

    def _is_seen(self, path: Any, has_rest: bool) -> bool:
        return has_rest if path is None else may_touch(self._caller, path.tenants)

    async def _check_seen(self, collection: str, ids: Sequence[str]) -> None:
        seen = await self.seen(collection, ids)
        for id in ids:
            if id not in seen:
                raise NotFound(f"there is no {id!r} in {collection}")

    async def _check_own(self, collection: str, id: str, *, is_change: bool) -> None:
        await self._check_seen(collection, [id])
        if not is_change or self._has_rest:
            return
        if collection in COMMON:
            path = await self._holdings.path_of(self._account, collection, id)
            if path is None:
                raise Forbidden(f"{id!r} of {collection} belongs to the account's owner")


def tenancy_of(holdings: HoldingStore, caller: Caller, account: str) -> Tenancy | None:
    """Return how a caller sees an account; None for one who sees all that there is."""
    return None if caller.tenant == ROOT else Tenancy(holdings, caller, account)


def visible_to(caller: Caller, collection: str) -> Visible | None:
    """Return whose things a caller's lists have; None for all."""
    if caller.tenant == ROOT or collection in OF_CLOUD:
        return None
    rest = None if collection in COMMON or caller.owned is None else tuple(sorted(caller.owned))
    is_leaf = caller.below is not None and len(caller.below) == 1
    return Visible(path=Path(caller.path).stored, rest=rest, is_leaf=is_leaf)
