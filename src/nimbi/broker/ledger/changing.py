"""Resizing and removing things: what they count for changes with them."""

from typing import Any

import msgspec

from nimbi.broker.ledger.entry import Call, Entry, is_sure
from nimbi.broker.sizing import Measured
from nimbi.model.errors import NotFound
from nimbi.model.holdings import RESOURCES, Amounts
from nimbi.model.resource import Resource
from nimbi.store.connection import AsyncConnection, Row
from nimbi.store.holdings import amounts_of

# By operation the argument that tells the new size.
RESIZING = {"instances.resize": "sizes", "volumes.resize": "size_gib"}
# What a thing has beside its own size.
ALONG = ("volumes", "volume_bytes")


class Resizing(Entry):
    """A thing gets another size: it counts for the larger one until the cloud has answered."""

    def __init__(self, call: Call, before: Amounts, kind: str | None) -> None:
        super().__init__(call)
        self._before = before
        self._kind = kind

    @classmethod
    async def begun(cls, call: Call) -> Entry:
        """Check the limits, and reserve what the thing will have more. Raises QuotaExceeded."""
        stores = call.stores
        async with stores.database.reading() as connection:
            row = await _row(call, connection)
        if row is None:
            return Entry(call)
        before, wish = amounts_of(row), call.given[RESIZING[call.shape.id]]
        place = (call.account, call.shape.interface, call.given["id"])
        after = await stores.sizing.resized(*place, wish, before, call.fetch)
        # Where it is and of which profile does not change by this.
        limited = Measured(after, row.kind, None)
        await stores.limits.check_price(call.caller, call.account, limited)
        async with stores.database.writing() as connection:
            await stores.holdings.quotas.alone(connection)
            row = await _row(call, connection)
            if row is None:
                return Entry(call)
            before = amounts_of(row)
            await stores.holdings.change(connection, row, _larger(before, after), kind=None)
        return cls(call, before, row.kind)

    async def done(self, answer: Any) -> None:
        """Count the size that the cloud tells."""
        call, kind = self.call, self._kind
        amounts = None
        if isinstance(answer, Resource):
            sizing, collection = call.stores.sizing, call.shape.interface
            found = await sizing.of_thing(call.account, collection, answer, call.fetch)
            if found.is_sure:
                amounts, kind = found.amounts, found.kind or ""
        if amounts is not None:
            if call.shape.interface == "instances":
                along = {name: getattr(self._before, name) for name in ALONG}
                amounts = msgspec.structs.replace(amounts, **along)
            await self._count(amounts, kind)

    async def failed(self, error: BaseException) -> None:
        """Count the old size again, unless the cloud may have changed it."""
        if is_sure(error):
            await self._count(self._before, self._kind)

    async def _count(self, amounts: Amounts, kind: str | None) -> None:
        stores = self.call.stores
        async with stores.database.writing() as connection:
            await stores.holdings.quotas.alone(connection)
            row = await _row(self.call, connection)
            if row is not None:
                await stores.holdings.change(connection, row, amounts, is_checked=False, kind=kind)


class Removing(Entry):
    """A thing is removed: it counts no more."""

    async def done(self, answer: Any) -> None:
        """Give back what it counted for."""
        call, id = self.call, self.call.given.get("id")
        place = (call.account, call.shape.interface)
        if id is not None and await call.stores.holdings.path_of(*place, id) is not None:
            await call.stores.holdings.gone(*place, id)

    async def failed(self, error: BaseException) -> None:
        """Give it back too when the cloud has it no more."""
        if isinstance(error, NotFound):
            await self.done(None)


async def _row(call: Call, connection: AsyncConnection) -> Row[Any] | None:
    place = (call.account, call.shape.interface, call.given["id"])
    return await call.stores.holdings.row_of(connection, *place)


def _larger(one: Amounts, other: Amounts) -> Amounts:
    """Return the larger of each amount."""
    values: dict[str, Any] = {}
    for name in RESOURCES:
        known = [v for each in (one, other) if (v := getattr(each, name)) is not None]
        values[name] = max(known) if known else None
    return Amounts(**values)
