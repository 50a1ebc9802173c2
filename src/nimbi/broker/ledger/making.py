"""Making things: written down, and taken out of the quotas, before the cloud is asked."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec

from nimbi.broker.ledger.entry import Call, Entry, is_sure
from nimbi.broker.sizing import Measured
from nimbi.model.errors import Invalid, Throttled
from nimbi.model.holdings import Amounts
from nimbi.model.instances import Instance
from nimbi.model.resource import NewResource, Resource
from nimbi.store.connection import AsyncConnection
from nimbi.store.holdings import Want
from nimbi.store.quotas import Path

# What only a size that is known beforehand can be checked for.
BY_SIZE = ("vcpus", "memory_mib", "volume_bytes", "price_hour_micros", "price_month_micros")
# When a request comes again whose first answer is being looked after.
LOOKED_S = 30.0
SIZED = frozenset({"instances", "volumes"})


class Making(Entry):
    """A request that makes one thing or several, which the intent and the holdings tell of."""

    def __init__(self, call: Call, wish: NewResource, measured: Measured) -> None:
        super().__init__(call)
        self._wish = wish
        self._token = wish.token or ""
        self._measured = measured
        self._begun_at = datetime.now(UTC)

    @classmethod
    async def begun(cls, call: Call) -> Entry:
        """Check the limits, reserve, and write the intent, in one transaction.

        Raises Forbidden, QuotaExceeded, and Throttled while the same token is being looked after.
        """
        call, wish = with_token(call)
        if wish is None:
            return Entry(call)
        stores, collection = call.stores, call.shape.interface
        measured = await stores.sizing.of_wish(call.account, collection, wish, call.fetch)
        await stores.limits.check(call.caller, call.account, collection, measured)
        await _check_size(call, measured)
        entry = cls(call, wish, measured)
        is_ours = await stores.intents.write(
            call.account,
            entry._token,
            call.shape.id,
            entry._begun_at,
            # Who has the same token has the same request, come again after a process died: its
            # Idempotency-Key lets in one at a time, and the cloud makes one thing of a token.
            holder=entry._token,
            seconds=call.due_s,
            name=getattr(wish, "name", None),
            along=entry._reserved,
        )
        if not is_ours:
            raise Throttled("what became of the request before is being looked at", LOOKED_S)
        return entry

    @staticmethod
    async def rehearsed(call: Call, wish: NewResource) -> None:
        """Raise what `begun` would for its limits and quotas; nothing is written or reserved."""
        stores, collection = call.stores, call.shape.interface
        measured = await stores.sizing.of_wish(call.account, collection, wish, call.fetch)
        await stores.limits.check(call.caller, call.account, collection, measured)
        await _check_size(call, measured)
        count = call.given.get("count", 1)
        more = {name: value * count for name, value in measured.amounts.counted().items()}
        await stores.holdings.quotas.check(call.holder.path, more)

    async def done(self, answer: Any) -> None:
        """Say what was made; it is held from now on."""
        made: tuple[Resource, ...] = answer if isinstance(answer, tuple) else (answer,)
        call = self.call
        await call.stores.intents.done(call.account, self._token, *(one.id for one in made))
        if not self._measured.is_sure:
            for one in made:
                await _settled(call, one)
        for one in made:
            await _with_parts(call, one, self._wish, self._begun_at)

    async def failed(self, error: BaseException) -> None:
        """Give back what was reserved, unless something may have been made."""
        intents, account = self.call.stores.intents, self.call.account
        if is_sure(error):
            self.is_doubtful = not await intents.failed(account, self._token, self._begun_at)
        else:
            await intents.unknown(account, self._token)

    async def _reserved(self, connection: AsyncConnection) -> None:
        call, measured = self.call, self._measured
        want = Want(
            account=call.account,
            token=self._token,
            collection=call.shape.interface,
            amounts=measured.amounts,
            count=call.given.get("count", 1),
            name=getattr(self._wish, "name", None),
            kind=(measured.kind or "") if measured.is_sure else None,
        )
        await call.stores.holdings.reserve(connection, call.holder, want)


class Uploading(Entry):
    """A request with a stream, which cannot be sent twice: what it made is held at its end."""

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        self._begun_at = datetime.now(UTC)

    async def done(self, answer: Any) -> None:
        """Say what was made."""
        if isinstance(answer, Resource):
            await _claimed(self.call, self.call.shape.interface, answer.id, self._begun_at)


def with_token(call: Call) -> tuple[Call, NewResource | None]:
    """Return a call with a token in its wish, and the wish."""
    parameter = call.shape.requests[0]
    wish = call.given.get(parameter.name)
    if not isinstance(wish, NewResource):
        return call, None
    if wish.token is None:
        wish = msgspec.structs.replace(wish, token=str(uuid.uuid4()))
        if parameter.at >= len(call.args):
            call = replace(call, named={**call.named, parameter.name: wish})
        else:
            args = (*call.args[: parameter.at], wish, *call.args[parameter.at + 1 :])
            call = replace(call, args=args)
    return call, wish


async def _check_size(call: Call, measured: Measured) -> None:
    """Raise Invalid for a wish whose size is left to the cloud, where sizes are limited."""
    if measured.is_sure or call.shape.interface not in SIZED:
        return
    quotas = call.stores.holdings.quotas
    if await quotas.are_limited(Path(call.caller.path), BY_SIZE):
        raise Invalid("there is a quota on sizes: name a hardware profile, or the size of a volume")


async def _settled(call: Call, thing: Resource) -> None:
    """Let a thing count for what it is, now that the cloud has told."""
    stores, collection = call.stores, call.shape.interface
    measured = await stores.sizing.of_thing(call.account, collection, thing, call.fetch)
    if not measured.is_sure:
        return
    async with stores.database.writing() as connection:
        await stores.holdings.quotas.alone(connection)
        row = await stores.holdings.row_of(connection, call.account, collection, thing.id)
        if row is not None and row.kind is None:
            more = {"volumes": row.volumes, "volume_bytes": row.volume_bytes}
            amounts = measured.amounts
            if collection == "instances":
                amounts = msgspec.structs.replace(amounts, **more)
            kind = measured.kind or ""
            await stores.holdings.change(connection, row, amounts, is_checked=False, kind=kind)


async def _with_parts(call: Call, thing: Resource, wish: NewResource, since: datetime) -> None:
    """Let what was made with an instance be its tenant's too; it counts with the instance."""
    if not isinstance(thing, Instance):
        return
    before = {*getattr(wish, "network_interface_ids", ()), getattr(wish, "boot_volume_id", None)}
    parts = [("volumes", one.volume_id) for one in thing.volumes]
    parts += [("network_interfaces", id) for id in thing.network_interface_ids]
    for collection, id in parts:
        if id in before:
            continue
        if await call.stores.holdings.path_of(call.account, collection, id) is None:
            await _claimed(call, collection, id, since)


async def _claimed(call: Call, collection: str, id: str, since: datetime) -> None:
    want = Want(
        account=call.account,
        token=f"part of\x1f{collection}\x1f{id}",
        collection=collection,
        amounts=Amounts(),
        kind="",
        since=since,
    )
    stores = call.stores
    async with stores.database.writing() as connection:
        await stores.holdings.claim(connection, call.holder, want, id, is_checked=False)
