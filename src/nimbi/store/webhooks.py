"""Webhooks: URLs that are told of changes, and which process tells them."""

from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Row, Update, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from nimbi.model.accounts import Problem
from nimbi.model.errors import Conflict, NotFound
from nimbi.model.people import Owner
from nimbi.model.webhooks import Webhook
from nimbi.store.database import Database
from nimbi.store.events import COUNTER
from nimbi.store.moments import micro, moment, moment_or_none, stored, stored_or_none
from nimbi.store.schema import counters, webhooks
from nimbi.store.sealing import Sealed

NAMES = msgspec.json.Decoder(tuple[str, ...])
OWNER = msgspec.json.Decoder(Owner)
PROBLEM = msgspec.json.Decoder(Problem)


class Delivery(NamedTuple):
    """A webhook with events that it has not got, held by whoever got this.

    `attempts` is how many deliveries failed since the last good one.
    """

    webhook: Webhook
    secret: Sealed
    attempts: int


def bound_to(id: str) -> str:
    """Return the name for which a webhook's secret is sealed."""
    return f"webhook/{id}"


class WebhookStore:
    """The webhooks, and the leases by which one process delivers to each."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, webhook: Webhook, secret: Sealed) -> None:
        """Keep a new one. Raises Conflict for an id in use."""
        values = {
            "id": webhook.id,
            "url": webhook.url,
            "accounts": msgspec.json.encode(webhook.accounts),
            "collections": msgspec.json.encode(webhook.collections),
            "created_us": stored(webhook.created_at),
            "is_enabled": webhook.is_enabled,
            "delivered_id": webhook.delivered_id,
            "failing_us": stored_or_none(webhook.failing_since),
            "problem": _problem(webhook.problem),
            "sealed": secret.body,
            "key_id": secret.key_id,
            "attempts": 0,
            "next_us": 0,
            "until_us": 0,
            "tenant": webhook.tenant,
            "owner": None if webhook.owner is None else msgspec.json.encode(webhook.owner),
        }
        try:
            async with self._database.writing() as connection:
                await connection.execute(insert(webhooks).values(values))
        except IntegrityError as error:
            raise Conflict(f"there is a webhook {webhook.id!r} already") from error

    async def list(self) -> tuple[Webhook, ...]:
        """Return all in the order in which they were made."""
        wish = select(webhooks).order_by(webhooks.c.created_us, webhooks.c.id)
        async with self._database.reading() as connection:
            return tuple(_webhook(row) for row in await connection.execute(wish))

    async def get(self, id: str) -> Webhook:
        """Return one. Raises NotFound."""
        return _webhook(await self._row(id))

    async def secret(self, id: str) -> Sealed:
        """Return the sealed secret of one. Raises NotFound."""
        row = await self._row(id)
        return Sealed(row.key_id, row.sealed)

    async def set_enabled(self, id: str, is_enabled: bool) -> Webhook:
        """Enable one, from the next attempt on as if it had never failed, or disable it.

        Raises NotFound.
        """
        values: dict[str, Any] = {"is_enabled": is_enabled}
        if is_enabled:
            values |= {"attempts": 0, "next_us": 0, "failing_us": None, "problem": None}
        change = update(webhooks).where(webhooks.c.id == id).values(values)
        async with self._database.writing() as connection:
            row = (await connection.execute(change.returning(webhooks))).first()
        if row is None:
            raise missing(id)
        return _webhook(row)

    async def remove(self, id: str) -> None:
        """Forget one. Raises NotFound."""
        async with self._database.writing() as connection:
            gone = await connection.execute(delete(webhooks).where(webhooks.c.id == id))
        if not gone.rowcount:
            raise missing(id)

    async def due(self, holder: str, seconds: float, limit: int = 20) -> tuple[Delivery, ...]:
        """Take up to `limit` that have events to come and are not held, for so many seconds."""
        now = self._database.now_us()
        newest = select(counters.c.value).where(counters.c.name == COUNTER).scalar_subquery()
        ready = (
            webhooks.c.is_enabled,
            webhooks.c.next_us <= now,
            webhooks.c.until_us <= now,
            webhooks.c.delivered_id < newest,
        )
        async with self._database.reading() as connection:
            # Nearly always nothing is due: that costs no transaction.
            if (
                await connection.execute(select(webhooks.c.id).where(*ready).limit(1))
            ).first() is None:
                return ()
        some = select(webhooks.c.id).where(*ready).order_by(webhooks.c.next_us, webhooks.c.id)
        some = some.limit(limit).with_for_update(skip_locked=True)
        take = update(webhooks).where(webhooks.c.id.in_(some))
        take = take.values(holder=holder, until_us=now + micro(seconds))
        async with self._database.writing() as connection:
            rows = (await connection.execute(take.returning(webhooks))).all()
        return tuple(
            Delivery(_webhook(row), Sealed(row.key_id, row.sealed), row.attempts) for row in rows
        )

    async def keep(self, id: str, holder: str, seconds: float) -> bool:
        """Hold one for so many seconds from now; False when another has taken it."""
        return await self._change(id, holder, until_us=self._database.now_us() + micro(seconds))

    async def delivered(self, id: str, holder: str, event_id: int) -> bool:
        """Say that it has all events up to this one, or wants none of them, and give it back.

        False, and nothing changed, when another has taken it.
        """
        return await self._change(
            id,
            holder,
            delivered_id=event_id,
            attempts=0,
            next_us=0,
            failing_us=None,
            problem=None,
            until_us=0,
        )

    async def failed(
        self, id: str, holder: str, problem: Problem, at: datetime, again_at: datetime | None
    ) -> bool:
        """Say why a delivery failed, and give it back until `again_at`; None disables it.

        False, and nothing changed, when another has taken it.
        """
        at_us = stored(at)
        values: dict[str, Any] = {"is_enabled": False} if again_at is None else {}
        return await self._change(
            id,
            holder,
            attempts=webhooks.c.attempts + 1,
            next_us=stored(again_at or at),
            failing_us=func.coalesce(webhooks.c.failing_us, at_us),
            problem=_problem(problem),
            until_us=0,
            **values,
        )

    async def _row(self, id: str) -> Row[Any]:
        async with self._database.reading() as connection:
            row = (await connection.execute(select(webhooks).where(webhooks.c.id == id))).first()
        if row is None:
            raise missing(id)
        return row

    async def _change(self, id: str, holder: str, **values: Any) -> bool:
        change: Update = update(webhooks).where(webhooks.c.id == id, webhooks.c.holder == holder)
        async with self._database.writing() as connection:
            return (await connection.execute(change.values(values))).rowcount == 1


def missing(id: str) -> NotFound:
    """Return what is raised when there is no webhook of this id."""
    return NotFound(f"there is no webhook {id!r}")


def _webhook(row: Row[Any]) -> Webhook:
    return Webhook(
        id=row.id,
        url=row.url,
        accounts=NAMES.decode(row.accounts),
        collections=NAMES.decode(row.collections),
        created_at=moment(row.created_us),
        is_enabled=row.is_enabled,
        delivered_id=row.delivered_id,
        failing_since=moment_or_none(row.failing_us),
        problem=None if row.problem is None else PROBLEM.decode(row.problem),
        tenant=row.tenant,
        owner=None if row.owner is None else OWNER.decode(row.owner),
    )


def _problem(problem: Problem | None) -> bytes | None:
    return None if problem is None else msgspec.json.encode(problem)
