"""Letters that are still to be sent, each by one process at a time."""

from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Row, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from nimbi.model.accounts import Problem
from nimbi.store.database import Database
from nimbi.store.moments import micro, moment, stored
from nimbi.store.schema import mails


class Mail(NamedTuple):
    """One letter to one address. `attempts` is how often it could not be sent."""

    id: str
    alert_id: str
    recipient: str
    subject: str
    text: str
    created_at: datetime
    attempts: int = 0


class MailStore:
    """The letters; what was sent is forgotten."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, connection: AsyncConnection, mail: Mail) -> None:
        """Have a letter sent, in the transaction of what it tells; the same id is sent once."""
        new = self._database.insert(mails).values(
            id=mail.id,
            alert_id=mail.alert_id,
            recipient=mail.recipient,
            subject=mail.subject,
            text=mail.text,
            created_us=stored(mail.created_at),
            attempts=0,
            next_us=0,
            until_us=0,
        )
        await connection.execute(new.on_conflict_do_nothing())

    async def due(self, holder: str, seconds: float, limit: int) -> tuple[Mail, ...]:
        """Take up to `limit` that are to be sent and are not held, for so many seconds."""
        now = self._database.now_us()
        ready = (mails.c.next_us <= now, mails.c.until_us <= now)
        async with self._database.reading() as connection:
            # Nearly always nothing is due: that costs no transaction.
            first = select(mails.c.id).where(*ready).limit(1)
            if (await connection.execute(first)).first() is None:
                return ()
        some = select(mails.c.id).where(*ready).order_by(mails.c.next_us, mails.c.id)
        some = some.limit(limit).with_for_update(skip_locked=True)
        take = update(mails).where(mails.c.id.in_(some))
        take = take.values(holder=holder, until_us=now + micro(seconds))
        async with self._database.writing() as connection:
            rows = (await connection.execute(take.returning(mails))).all()
        return tuple(_mail(row) for row in rows)

    async def done(self, id: str, holder: str) -> None:
        """Forget a letter that was sent, or never will be."""
        gone = delete(mails).where(mails.c.id == id, mails.c.holder == holder)
        async with self._database.writing() as connection:
            await connection.execute(gone)

    async def failed(self, id: str, holder: str, problem: Problem, again_at: datetime) -> None:
        """Say why it could not be sent, and give it back until `again_at`."""
        change = update(mails).where(mails.c.id == id, mails.c.holder == holder)
        values = {
            "attempts": mails.c.attempts + 1,
            "problem": msgspec.json.encode(problem),
            "next_us": stored(again_at),
            "until_us": 0,
        }
        async with self._database.writing() as connection:
            await connection.execute(change.values(values))


def _mail(row: Row[Any]) -> Mail:
    return Mail(
        id=row.id,
        alert_id=row.alert_id,
        recipient=row.recipient,
        subject=row.subject,
        text=row.text,
        created_at=moment(row.created_us),
        attempts=row.attempts,
    )
