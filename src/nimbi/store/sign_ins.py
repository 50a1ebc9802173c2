"""Sign-ins at another provider that are under way: each step is taken once."""

import hashlib

from sqlalchemy import delete, func, insert, select

from nimbi.model.errors import Throttled
from nimbi.store.database import Database
from nimbi.store.moments import micro
from nimbi.store.schema import sign_ins

# Anybody may begin a sign-in; so many are under way at once.
MOST = 10_000


class SignInStore:
    """What is to be remembered from one step of a sign-in to the next, by a secret.

    The secret is a text of 128 random bits or more; the database holds its digest.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, kind: str, secret: str, body: bytes, seconds: float) -> None:
        """Remember something for so many seconds. Raises Throttled when too much is under way."""
        now = self._database.now_us()
        values = {"id": _digest(kind, secret), "kind": kind, "body": body}
        async with self._database.writing() as connection:
            await connection.execute(delete(sign_ins).where(sign_ins.c.until_us <= now))
            count = await connection.execute(select(func.count()).select_from(sign_ins))
            if count.scalar_one() >= MOST:
                raise Throttled("too many sign-ins are under way", 60.0)
            new = insert(sign_ins).values(values | {"until_us": now + micro(seconds)})
            await connection.execute(new)

    async def take(self, kind: str, secret: str) -> bytes | None:
        """Return what was remembered, which is forgotten by that; None when there is nothing."""
        mine = (sign_ins.c.id == _digest(kind, secret), sign_ins.c.kind == kind)
        taken = delete(sign_ins).where(*mine, sign_ins.c.until_us > self._database.now_us())
        async with self._database.writing() as connection:
            body = (await connection.execute(taken.returning(sign_ins.c.body))).scalar()
        return None if body is None else bytes(body)


def _digest(kind: str, secret: str) -> str:
    return hashlib.sha256(f"{kind} {secret}".encode("utf-8", "surrogatepass")).hexdigest()
