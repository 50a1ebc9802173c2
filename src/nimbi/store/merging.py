"""Bringing a cloud's list and the inventory together, a batch of things at a time."""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Row, delete, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from nimbi.model.inventory import EventKind, Thing
from nimbi.store.database import Database
from nimbi.store.events import Change, append
from nimbi.store.moments import moment, stored
from nimbi.store.schema import dropped, intents, labels, plain, things

DIGEST_BYTES = 16
PAGE = 1000
# Clouds that copy their data between places may not list at once what was made through us.
UNSEEN_US = 15_000_000
# What identifies a thing, and what an update writes of it.
KEY = (things.c.account, things.c.collection, things.c.id)
WRITTEN = [c.name for c in things.columns if c not in KEY and c.name != "made_here"]


class Tagged(msgspec.Struct):
    """What is read of a thing's body: its tags, where it has some."""

    tags: dict[str, str] = {}


TAGGED = msgspec.json.Decoder(Tagged)


class Merge:
    """One collection of one account in one transaction, which has locked it.

    `seen_at` is when the cloud told what is merged; `tells` whether changes are events.
    """

    def __init__(
        self,
        database: Database,
        connection: AsyncConnection,
        account: str,
        collection: str,
        seen_at: datetime,
        *,
        tells: bool = True,
    ) -> None:
        self._database = database
        self._connection = connection
        self._account = account
        self._collection = collection
        self._seen_at = seen_at
        self._seen_us = stored(seen_at)
        self._tells = tells
        self._dropped: set[str] | None = None
        self.ids: set[str] = set()
        self.appeared = 0
        self.changed = 0
        self.vanished = 0

    async def take(self, batch: Iterable[Thing], *, touch: bool = False) -> None:
        """Write what is new or other than before; `touch` writes also when it was seen."""
        given = {plain(thing.id): thing for thing in batch}
        self.ids.update(given)
        known = await self._known(list(given))
        ignored = await self._removed_since()
        new: list[dict[str, Any]] = []
        other: list[dict[str, Any]] = []
        same: list[dict[str, Any]] = []
        for id, thing in given.items():
            before = known.get(id)
            if id in ignored or (before is not None and before.seen_us > self._seen_us):
                continue
            row = self._row(thing)
            if before is None:
                new.append(row)
            elif before.digest != row["digest"]:
                other.append(row)
            elif touch:
                same.append(row | {"changed_us": before.changed_us})
        await self._write(new, other, same)

    async def sweep(self) -> None:
        """Remove what was not taken and has not come since it was asked for."""
        after = ""
        here = (things.c.account == self._account, things.c.collection == self._collection)
        while True:
            wish = select(things.c.id).where(*here, things.c.id > after).order_by(things.c.id)
            ids = (await self._connection.execute(wish.limit(PAGE))).scalars().all()
            await self.remove([id for id in ids if id not in self.ids], spared_us=UNSEEN_US)
            if len(ids) < PAGE:
                return
            after = ids[-1]

    async def remove(self, ids: Sequence[str], *, spared_us: int = 0) -> None:
        """Remove these, where nothing newer is known of them.

        What a call through us has told of within `spared_us` before stays too.
        """
        if not ids:
            return
        gone = delete(things).where(
            *self._these(ids),
            things.c.seen_us <= self._seen_us,
            or_(~things.c.made_here, things.c.seen_us <= self._seen_us - spared_us),
        )
        rows = (await self._connection.execute(gone.returning(things.c.id, things.c.state))).all()
        if not rows:
            return
        await self._unlabel([row.id for row in rows])
        self.vanished += len(rows)
        await self._tell(
            self._change(row.id, EventKind.VANISHED, row.state or None, None)
            for row in sorted(rows, key=lambda row: row.id)
        )

    async def _known(self, ids: Sequence[str]) -> dict[str, Any]:
        columns = (things.c.id, things.c.digest, things.c.seen_us, things.c.changed_us)
        rows = await self._connection.execute(select(*columns).where(*self._these(ids)))
        return {row.id: row for row in rows}

    async def _removed_since(self) -> set[str]:
        if self._dropped is None:
            wish = select(dropped.c.id).where(
                dropped.c.account == self._account,
                dropped.c.collection == self._collection,
                dropped.c.dropped_us > self._seen_us,
            )
            self._dropped = set((await self._connection.execute(wish)).scalars())
        return self._dropped

    async def _write(
        self, new: list[dict[str, Any]], other: list[dict[str, Any]], same: list[dict[str, Any]]
    ) -> None:
        made = await self._made_here([row["id"] for row in new])
        for row in new:
            row["made_here"] = row["made_here"] or row["id"] in made
        if rows := [*new, *other, *same]:
            insertion = self._database.insert(things)
            excluded = insertion.excluded
            values: dict[str, Any] = {name: excluded[name] for name in WRITTEN}
            # Who once made it has made it for good.
            values["made_here"] = or_(things.c.made_here, excluded.made_here)
            change = insertion.on_conflict_do_update(index_elements=KEY, set_=values)
            await self._connection.execute(change, rows)
        await self._unlabel([row["id"] for row in other])
        await self._label([*new, *other])
        self.appeared += len(new)
        self.changed += len(other)
        await self._tell(
            self._change(row["id"], kind, row["state"] or None, row["body"])
            for rows, kind in ((new, EventKind.APPEARED), (other, EventKind.CHANGED))
            for row in rows
        )

    async def _made_here(self, ids: Sequence[str]) -> set[str]:
        if not ids:
            return set()
        wish = select(intents.c.thing_id).where(
            intents.c.account == self._account,
            intents.c.collection == self._collection,
            self._database.among(intents.c.thing_id, ids),
        )
        return {id for id in (await self._connection.execute(wish)).scalars() if id}

    async def _label(self, rows: Sequence[dict[str, Any]]) -> None:
        values = [
            {
                "account": self._account,
                "collection": self._collection,
                "id": row["id"],
                "key": key,
                "value": value,
            }
            for row in rows
            for key, value in {plain(k): v for k, v in _tags(row["body"]).items()}.items()
        ]
        if values:
            await self._connection.execute(insert(labels), values)

    async def _unlabel(self, ids: Sequence[str]) -> None:
        if ids:
            gone = delete(labels).where(
                labels.c.account == self._account,
                labels.c.collection == self._collection,
                self._database.among(labels.c.id, ids),
            )
            await self._connection.execute(gone)

    async def _tell(self, changes: Iterable[Change]) -> None:
        if self._tells:
            await append(self._connection, self._seen_at, list(changes))

    def _change(self, id: str, kind: EventKind, state: str | None, body: bytes | None) -> Change:
        return Change(self._account, self._collection, id, kind, state, body)

    def _these(self, ids: Sequence[str]) -> tuple[Any, ...]:
        return (
            things.c.account == self._account,
            things.c.collection == self._collection,
            self._database.among(things.c.id, ids),
        )

    def _row(self, thing: Thing) -> dict[str, Any]:
        words = {
            "name": plain(thing.name or ""),
            "state": plain(thing.state or ""),
            "realm_id": plain(thing.realm_id or ""),
            "image_id": plain(thing.image_id or ""),
            "hardware_profile_id": plain(thing.hardware_profile_id or ""),
        }
        created_us = stored(thing.created_at) if thing.created_at else 0
        digest = hashlib.blake2b(thing.body, digest_size=DIGEST_BYTES)
        digest.update("\0".join((*words.values(), str(created_us))).encode())
        return words | {
            "account": self._account,
            "collection": self._collection,
            "id": plain(thing.id),
            "created_us": created_us,
            "made_here": thing.made_here,
            "digest": digest.digest(),
            "seen_us": self._seen_us,
            "changed_us": self._seen_us,
            "body": bytes(thing.body),
        }


def thing_of(row: Row[Any]) -> Thing:
    """Return the thing that is kept in a row of `things`."""
    return Thing(
        account=row.account,
        collection=row.collection,
        id=row.id,
        name=row.name or None,
        state=row.state or None,
        realm_id=row.realm_id or None,
        image_id=row.image_id or None,
        hardware_profile_id=row.hardware_profile_id or None,
        created_at=moment(row.created_us) if row.created_us else None,
        made_here=row.made_here,
        body=row.body,
    )


def _tags(body: bytes) -> dict[str, str]:
    try:
        return TAGGED.decode(body).tags
    except msgspec.DecodeError:
        # Tags of another form are not what lists are filtered by.
        return {}
