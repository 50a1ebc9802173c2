"""Answers to requests with an idempotency key: given once, and the same again when asked again."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple, TypeAlias

import msgspec
from sqlalchemy import Update, delete, select, update

from nimbi.store.database import Database
from nimbi.store.moments import micro, moment, stored
from nimbi.store.schema import answers
from nimbi.store.sealing import Keyring, Sealed


class New(NamedTuple):
    """The key is the caller's to work on. `taken_over`: another began, and died or took too long.

    The work may be done in part then; what it made carries the token that comes of the same key.
    """

    taken_over: bool


class Pending(NamedTuple):
    """Another works on it, until then at the latest; ask again."""

    holder: str
    until: datetime


class Remembered(NamedTuple):
    """It was answered before, so."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Different(NamedTuple):
    """The key was used for another request."""


Begun: TypeAlias = New | Pending | Remembered | Different

ENCODER = msgspec.msgpack.Encoder()
DECODER = msgspec.msgpack.Decoder(Remembered)


def bound_to(owner: str, key: str) -> str:
    """Return the name for which an answer is sealed: it may hold a secret that is told once."""
    return f"answer/{owner}/{key}"


class AnswerStore:
    """The answers, by who asked and by the key."""

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._keyring = keyring

    async def begin(
        self, key: str, owner: str, digest: bytes, *, holder: str, seconds: float
    ) -> Begun:
        """Claim a key for `holder` and so many seconds, or return why not.

        `digest` is of the whole request. Of several that begin at once, one gets New.
        """
        now = self._database.now_us()
        until = now + micro(seconds)
        new = self._database.insert(answers).values(
            owner=owner,
            key=key,
            digest=digest,
            begun_us=stored(datetime.now(UTC)),
            holder=holder,
            until_us=until,
        )
        claimed = new.on_conflict_do_update(
            index_elements=[answers.c.owner, answers.c.key],
            set_={"holder": holder, "until_us": until},
            where=(answers.c.digest == digest)
            & answers.c.sealed.is_(None)
            & (answers.c.until_us <= now),
        )
        wish = select(answers).where(answers.c.owner == owner, answers.c.key == key)
        async with self._database.writing() as connection:
            before = (await connection.execute(wish)).first()
            if (await connection.execute(claimed.returning(answers.c.key))).first():
                return New(taken_over=before is not None)
            row = (await connection.execute(wish)).one()
        if row.digest != digest:
            return Different()
        if row.sealed is None:
            return Pending(row.holder, moment(row.until_us))
        return self._opened(Sealed(row.key_id, row.sealed), owner, key)

    async def finish(
        self,
        key: str,
        owner: str,
        holder: str,
        status: int,
        headers: Sequence[tuple[str, str]],
        body: bytes,
    ) -> bool:
        """Remember an answer; False when another has taken the key over meanwhile."""
        answer = ENCODER.encode(Remembered(status, tuple(headers), body))
        sealed = self._keyring.seal(answer, bound_to(owner, key))
        change = _held(key, owner, holder).values(sealed=sealed.body, key_id=sealed.key_id)
        async with self._database.writing() as connection:
            return (await connection.execute(change)).rowcount == 1

    async def keep(self, key: str, owner: str, holder: str, seconds: float) -> bool:
        """Hold a key for so many seconds from now; False when another has taken it over."""
        until = self._database.now_us() + micro(seconds)
        async with self._database.writing() as connection:
            kept = await connection.execute(_held(key, owner, holder).values(until_us=until))
        return kept.rowcount == 1

    async def forget(self, key: str, owner: str, holder: str) -> None:
        """Give a key back without an answer: the failure was a passing one, so it may be tried."""
        gone = delete(answers).where(
            answers.c.owner == owner,
            answers.c.key == key,
            answers.c.holder == holder,
            answers.c.sealed.is_(None),
        )
        async with self._database.writing() as connection:
            await connection.execute(gone)

    async def prune(self, before: datetime) -> int:
        """Forget what was begun before this time, and is not held; return how many it were."""
        gone = delete(answers).where(
            answers.c.begun_us < stored(before),
            answers.c.sealed.is_not(None) | (answers.c.until_us <= self._database.now_us()),
        )
        async with self._database.writing() as connection:
            return (await connection.execute(gone)).rowcount

    def _opened(self, sealed: Sealed, owner: str, key: str) -> Remembered:
        return DECODER.decode(self._keyring.open(sealed, bound_to(owner, key)))


def _held(key: str, owner: str, holder: str) -> Update:
    return update(answers).where(
        answers.c.owner == owner,
        answers.c.key == key,
        answers.c.holder == holder,
        answers.c.sealed.is_(None),
    )
