"""Blobs: the bytes that projects keep. What the operator keeps is not counted, nor held up."""

from typing import Any

from nimbi.broker.ledger.entry import Call, Entry, is_sure
from nimbi.driver.blobs import Blobs
from nimbi.model.buckets import Blob, BlobFailure, BlobPlace, NewBlob, Upload
from nimbi.model.errors import CloudError
from nimbi.model.holdings import Amounts, HoldingState
from nimbi.store.connection import AsyncConnection, Row
from nimbi.store.holdings import Want, amounts_of, one

COLLECTION = "blobs"
WRITING = frozenset({"blobs.write", "blobs.copy", "blobs.finish_upload"})
REMOVING = frozenset({"blobs.destroy", "blobs.destroy_many"})


class Writing(Entry):
    """A blob is written: the larger of the old and the new counts until the cloud has answered."""

    def __init__(self, call: Call, place: BlobPlace) -> None:
        super().__init__(call)
        self._place = place
        self._before: Amounts | None = None

    @classmethod
    async def begun(cls, call: Call) -> Entry:
        """Reserve its bytes; of a size that is not known, one. Raises QuotaExceeded."""
        entry = cls(call, _place(call))
        size = await _size(call)
        stores = call.stores
        async with stores.database.writing() as connection:
            await stores.holdings.quotas.alone(connection)
            await entry._reserved(connection, Amounts(blob_bytes=max(1, size)))
        return entry

    async def done(self, answer: Any) -> None:
        """Count the bytes that the cloud tells."""
        if isinstance(answer, Blob):
            await self._count(Amounts(blob_bytes=answer.size_bytes))

    async def failed(self, error: BaseException) -> None:
        """Count what was there before, unless the cloud may have written it."""
        if not is_sure(error):
            return
        if self._before is not None:
            await self._count(self._before)
        else:
            await self.call.stores.holdings.released(self.call.account, token_of(self._place))

    async def _reserved(self, connection: AsyncConnection, amounts: Amounts) -> None:
        holdings = self.call.stores.holdings
        row = await self._row(connection)
        if row is None:
            await self._begun(connection, amounts)
            return
        self._before = amounts_of(row) if row.state == HoldingState.HELD else None
        larger = max(row.blob_bytes, amounts.blob_bytes)
        state = HoldingState.RESERVED
        await holdings.change(connection, row, Amounts(blob_bytes=larger), state=state)

    async def _count(self, amounts: Amounts) -> None:
        call, holdings = self.call, self.call.stores.holdings
        async with call.stores.database.writing() as connection:
            await holdings.quotas.alone(connection)
            row = await self._row(connection)
            if row is None:
                # It took so long that it was given up.
                row = await self._begun(connection, amounts, is_checked=False)
            state = HoldingState.HELD
            await holdings.change(connection, row, amounts, is_checked=False, state=state)

    async def _row(self, connection: AsyncConnection) -> Row[Any] | None:
        """Return what is known of the blob, None when nobody has it."""
        call, token = self.call, token_of(self._place)
        rows = await call.stores.holdings.of_request(connection, call.account, token)
        row = rows.get(0)
        return None if row is None or row.state == HoldingState.RELEASED else row

    async def _begun(
        self, connection: AsyncConnection, amounts: Amounts, *, is_checked: bool = True
    ) -> Row[Any]:
        call, holdings, token = self.call, self.call.stores.holdings, token_of(self._place)
        want = Want(
            account=call.account,
            token=token,
            collection=COLLECTION,
            amounts=amounts,
            name=self._place.id,
            kind="",
        )
        await holdings.reserve(connection, call.holder, want, is_checked=is_checked)
        row = (await holdings.of_request(connection, call.account, token))[0]
        await connection.execute(one(row).values(thing_id=id_of(self._place)))
        return row


class Emptying(Entry):
    """Blobs are removed: they count no more."""

    async def done(self, answer: Any) -> None:
        """Give back the bytes of those that are gone."""
        given = self.call.given
        kept = {one.id for one in answer or () if isinstance(one, BlobFailure)}
        ids = given["ids"] if "ids" in given else (given["id"],)
        gone = [id_of(BlobPlace(given["bucket_id"], id)) for id in ids if id not in kept]
        await self.call.stores.holdings.gone(self.call.account, COLLECTION, *gone)


def token_of(place: BlobPlace) -> str:
    """Return the token of a blob's holding: it has one, however often it is written."""
    return f"blob\x1f{id_of(place)}"


def id_of(place: BlobPlace) -> str:
    """Return how a blob is named among the holdings."""
    return f"{place.bucket_id}/{place.id}"


def _place(call: Call) -> BlobPlace:
    """Return where the blob is to be that a call writes."""
    if isinstance(upload := call.given.get("upload"), Upload):
        return BlobPlace(upload.bucket_id, upload.blob_id)
    new: NewBlob = call.given["new"]
    return BlobPlace(new.bucket_id, new.id)


async def _size(call: Call) -> int:
    """Return how many bytes a call is going to write, 0 when nobody knows."""
    source = call.given.get("source")
    if isinstance(source, BlobPlace):
        try:
            found: Blob = await call.fetch(Blobs.get, source.bucket_id, source.id)
        except CloudError:
            # The cloud says itself what is wrong with it.
            return 0
        return found.size_bytes
    new = call.given.get("new")
    return (new.size_bytes or 0) if new is not None else 0
