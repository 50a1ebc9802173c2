"""Lists over all accounts: what is known, and what the clouds say when they are asked."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import msgspec

from nimbi.broker.accounts import Accounts
from nimbi.broker.fanout import fan_out
from nimbi.broker.inventory.collections import REMEMBERED
from nimbi.broker.inventory.markers import Markers, Position
from nimbi.broker.inventory.ordering import Key, Keyed, first, fitting, keyed, merged
from nimbi.broker.inventory.parts import cut, known_part, part_after_failure, part_of_answer
from nimbi.broker.inventory.query import limit_of, query_of
from nimbi.broker.inventory.refresh import JOIN_S, Refresher
from nimbi.broker.inventory.told import Told
from nimbi.broker.inventory.wishes import LARGEST_LIMIT, Listing, Row, Wish
from nimbi.broker.tenancy import tenancy_of, visible_to
from nimbi.gateway.registry import Registry
from nimbi.model.accounts import Account, Part
from nimbi.model.errors import CloudError, Conflict, Invalid, NotFound, Unsupported
from nimbi.store.inventory import InventoryStore
from nimbi.store.listing import Found, Query
from nimbi.store.polls import PollState
from nimbi.store.quotas import Path

# What should have been asked for so long ago is asked by whoever lists: nobody polls.
OVERDUE = timedelta(seconds=120)
# A tenant that holds fewer things has them looked up one by one; of one that holds fewer than SOME
# they are gathered first. The list is in the order of the things otherwise.
FEW = 2000
SOME = 20_000
# How old the states may be that other processes have changed.
STATES_S = 0.5

States = Mapping[str, PollState]


@dataclass
class _Plan:
    """One list: of which accounts, and what came of each so far."""

    wish: Wish
    query: Query
    listed_at: datetime
    accounts: list[Account]
    states: States
    # What this process was told before, and has perhaps not kept yet.
    pending: frozenset[asyncio.Task[Any]]
    # Whether it is of all accounts that there are.
    is_everything: bool = False
    # Why an account is not asked though it was named, or did not answer.
    refused: dict[str, CloudError] = field(default_factory=dict)
    parts: dict[str, Part] = field(default_factory=dict)
    # Those that have no such things, which nobody asked them for by name.
    without: set[str] = field(default_factory=set)

    def is_asked(self, account: Account) -> bool:
        """Return whether the cloud has to be asked."""
        if account.id in self.refused:
            return False
        if self.wish.collection not in REMEMBERED:
            return True
        state = self.states.get(account.id)
        if state is None or state.polled_at is None:
            return True
        if self.wish.fresh:
            if self.wish.marker is None:
                return True
            # The page before has asked.
            asked_for = self.listed_at - timedelta(seconds=JOIN_S)
            return not state.complete or state.ok_at is None or state.ok_at < asked_for
        return state.next_at + OVERDUE < self.listed_at

    def failed(self, account: str, error: CloudError) -> None:
        """Take note that an account's cloud did not answer."""
        if isinstance(error, Unsupported) and self.wish.accounts is None:
            self.without.add(account)
        else:
            self.refused[account] = error

    def in_order(self) -> tuple[Part, ...]:
        """Return all parts in the order of the accounts."""
        return tuple(self.parts[one.id] for one in self.accounts if one.id in self.parts)


class Lists:
    """Answers wishes for lists."""

    def __init__(
        self,
        accounts: Accounts,
        store: InventoryStore,
        refresher: Refresher,
        registry: Registry,
        markers: Markers,
    ) -> None:
        self._accounts = accounts
        self._store = store
        self._refresher = refresher
        self._registry = registry
        self._markers = markers
        self._states: dict[str, tuple[float, States]] = {}

    def changed(self, collection: str) -> None:
        """Read the states of a collection anew: this process has changed them."""
        self._states.pop(collection, None)

    async def page(self, wish: Wish) -> Listing:
        """Return one page over all accounts of the wish; never raises for a cloud that fails."""
        limit = limit_of(wish)
        plan = await self._plan(wish)
        plan.query = msgspec.structs.replace(plan.query, limit=limit + 1)
        found = await self._told(plan)
        stored = [one.id for one in plan.accounts if one.id not in plan.parts]
        await self._settle(plan, stored)
        if stored and wish.collection in REMEMBERED:
            found = merged(found, await self._store.query(self._of(plan, stored)), plan.query)
        following = self._marker(plan, found[limit - 1].key) if len(found) > limit else None
        items = tuple(msgspec.Raw(each.body) for each in found[:limit])
        return Listing(items, plan.in_order(), following)

    async def stream(self, wish: Wish) -> AsyncIterator[Row | Part]:
        """Yield things as clouds answer, sorted within an account; its Part comes after them."""
        if wish.marker is not None:
            raise Invalid("a stream has no pages, and so takes no marker")
        if wish.limit is not None and wish.limit < 1:
            raise Invalid(f"limit is 1 or more, not {wish.limit}")
        plan = await self._plan(wish)
        left = wish.limit
        async for id, told in self._answers(plan, [one.id for one in plan.accounts]):
            sent, cut_off = 0, False
            async for row in self._rows(plan, id, told):
                if left is not None and sent >= left:
                    cut_off = True
                    break
                sent += 1
                yield row
            left = None if left is None else left - sent
            if id in plan.parts:
                yield cut(plan.parts[id]) if cut_off else plan.parts[id]

    async def _plan(self, wish: Wish) -> _Plan:
        """Check a wish, and find out which accounts it is about."""
        query = await self._sighted(wish, query_of(wish))
        pending = self._refresher.pending(wish.collection)
        if wish.marker is not None or not wish.fresh:
            await self._refresher.settled(pending)
        listed_at = datetime.now(UTC)
        if wish.marker is not None:
            position = self._markers.read(wish, wish.marker)
            listed_at = position.listed
            query = msgspec.structs.replace(query, after=_key(position, query))
        known = {account.id: account for account in await self._accounts.all()}
        states = await self._known_states(wish.collection)
        plan = _Plan(wish, query, listed_at, [], states, pending)
        if wish.accounts is None:
            enabled = [account for account in known.values() if account.is_enabled]
            plan.accounts = [one for one in enabled if self._can(one, wish.collection)]
            plan.is_everything = len(plan.accounts) == len(known)
            return plan
        for id in dict.fromkeys(wish.accounts):
            account = known.get(id)
            if account is None:
                raise NotFound(f"there is no account {id!r}")
            plan.accounts.append(account)
            if not account.is_enabled:
                plan.refused[id] = Conflict(f"account {id!r} is disabled")
            elif not self._can(account, wish.collection):
                plan.refused[id] = Unsupported(
                    f"{account.driver} does not have {wish.collection}", f"{wish.collection}.page"
                )
        return plan

    async def _sighted(self, wish: Wish, query: Query) -> Query:
        """Return the query of what the caller may see."""
        visible = None if wish.caller is None else visible_to(wish.caller, wish.collection)
        if visible is not None and wish.caller is not None:
            path = Path(wish.caller.path)
            count = await self._store.holdings.count(wish.collection, path, SOME)
            visible = msgspec.structs.replace(
                visible, is_narrow=count < FEW and visible.rest == (), is_gathered=count < SOME
            )
        return msgspec.structs.replace(query, visible=visible)

    async def _told(self, plan: _Plan) -> list[Found]:
        """Ask whom has to be asked; return the first rows of those that answered."""
        asked = [one.id for one in plan.accounts if plan.is_asked(one)]
        if not asked:
            return []
        in_memory: list[Keyed] = []
        with self._refresher.gathering():
            async for _id, told in self._answers(plan, asked):
                if isinstance(told, Told):
                    in_memory += await self._fitting(plan, told)
            return first(in_memory, plan.query)

    async def _fitting(self, plan: _Plan, told: Told) -> list[Keyed]:
        fit = fitting(told.resources, plan.query)
        if plan.wish.caller is not None:
            seen = tenancy_of(self._store.holdings, plan.wish.caller, told.account)
            fit = fit if seen is None else await seen.of(plan.wish.collection, fit)
        plan.parts[told.account] = part_of_answer(told, len(fit))
        return keyed(told.account, fit, plan.query)

    async def _answers(self, plan: _Plan, ids: list[str]) -> AsyncIterator[tuple[str, Told | None]]:
        """Yield what clouds say as they say it; None for what the store knows better.

        That is when a cloud was not asked or did not answer, and when its list is long.
        """
        jobs = {id: partial(self._answer, plan, id) for id in ids}
        async for id, told in fan_out(jobs, plan.wish.deadline_s):
            if isinstance(told, CloudError):
                plan.failed(id, told)
                yield id, None
            else:
                yield id, told

    async def _answer(self, plan: _Plan, id: str) -> Told | None:
        """Ask one cloud, if it has to be asked."""
        name = plan.wish.collection
        if not any(one.id == id and plan.is_asked(one) for one in plan.accounts):
            return None
        try:
            told = await self._refresher.ask(id, name)
        except CloudError as error:
            self._refresher.later(self._refresher.note_failure(id, name, error))
            raise
        if told.is_short:
            self._refresher.keep_later(told)
            return told
        # It is kept while others are still asked; then SQL sorts it.
        await self._refresher.keep(told)
        return None

    async def _rows(self, plan: _Plan, id: str, told: Told | None) -> AsyncIterator[Row]:
        """Yield all rows of one account."""
        if told is not None:
            plan.query = msgspec.structs.replace(plan.query, limit=max(1, told.count))
            for each in first(await self._fitting(plan, told), plan.query):
                yield Row(each.account, each.id, msgspec.Raw(each.body))
            return
        await self._settle(plan, [id])
        if plan.wish.collection not in REMEMBERED:
            return
        query = msgspec.structs.replace(plan.query, accounts=(id,), limit=LARGEST_LIMIT)
        while found_here := await self._store.query(query):
            for each in found_here:
                yield Row(each.account, each.id, msgspec.Raw(each.body))
            if len(found_here) < LARGEST_LIMIT:
                return
            query = msgspec.structs.replace(query, after=found_here[-1].key)

    async def _settle(self, plan: _Plan, ids: list[str]) -> None:
        """Say how well the store knows each account, unless something worse is known."""
        if ids:
            await self._refresher.settled(plan.pending)
        states = await self._known_states(plan.wish.collection)
        for id in ids:
            if id in plan.refused:
                plan.parts[id] = part_after_failure(id, states.get(id), plan.refused[id])
            elif id not in plan.parts and id not in plan.without:
                part = known_part(id, states.get(id))
                if not _lacks(part) or plan.wish.accounts is not None:
                    plan.parts[id] = part

    def _of(self, plan: _Plan, ids: list[str]) -> Query:
        """Return the query of some accounts; of all there are when that is so, which is quicker."""
        if plan.is_everything and len(ids) == len(plan.accounts):
            return plan.query
        return msgspec.structs.replace(plan.query, accounts=tuple(ids))

    def _marker(self, plan: _Plan, last: Key) -> str:
        position = Position(last, plan.listed_at.timestamp())
        return self._markers.make(plan.wish, position)

    def _can(self, account: Account, collection: str) -> bool:
        try:
            return f"{collection}.page" in self._registry.supported(account.driver)
        except CloudError:
            # A driver that is not installed: asking it says so.
            return True

    async def _known_states(self, collection: str) -> States:
        if collection not in REMEMBERED:
            return {}
        read_at, states = self._states.get(collection, (float("-inf"), {}))
        now = time.monotonic()
        if now - read_at > STATES_S:
            states = await self._store.polls.states(collection)
            self._states[collection] = now, states
        return states


def _key(position: Position, query: Query) -> Key:
    """Return where to go on. Raises Invalid for what this server never gave."""
    value, account, id = position.keys
    is_number = query.sort == "created_at"
    if isinstance(value, int) is not is_number:
        raise Invalid("this marker is of no use any more: begin anew without one")
    return value, account, id


def _lacks(part: Part) -> bool:
    """Return whether the account's cloud has no such things at all."""
    return part.problem is not None and part.problem.code == Unsupported.code and not part.age_s
