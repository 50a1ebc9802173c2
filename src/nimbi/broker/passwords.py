"""Passwords: kept as hashes by Argon2id, and told from wrong ones."""

import asyncio

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from nimbi.broker.throttle import Throttle
from nimbi.model.errors import Invalid
from nimbi.model.people import OPERATOR
from nimbi.store.people import PeopleStore

# NIST SP 800-63B, 3.1.1.2.
SHORTEST_PASSWORD = 8
LONGEST_PASSWORD = 1024
# OWASP's Password Storage Cheat Sheet: passes, KiB of memory, lanes.
ARGON2ID = (2, 19 * 1024, 1)
HASHES_AT_ONCE = 2


class Passwords:
    """The passwords of all users, by their ids."""

    def __init__(self, store: PeopleStore) -> None:
        self._store = store
        self._throttle = Throttle(store, "password")
        self._hasher = PasswordHasher(*ARGON2ID)
        self._hashing = asyncio.Semaphore(HASHES_AT_ONCE)
        self._nobody: str | None = None

    async def has(self, user: str = OPERATOR) -> bool:
        """Return whether a user has a password."""
        return await self._store.password_hash(user) is not None

    async def hashed(self, password: str) -> str:
        """Return what is kept of a password. Raises Invalid for one that is too short or long."""
        if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
            raise Invalid(f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters")
        async with self._hashing:
            return await asyncio.to_thread(self._hasher.hash, as_bytes(password))

    async def set(self, password: str, user: str = OPERATOR) -> None:
        """Let a user sign in by this password from now on. Raises Invalid."""
        await self._store.set_password_hash(await self.hashed(password), user)

    async def is_right(self, user: str | None, password: str, where: str | None) -> bool:
        """Return whether a password is the user's; it takes as long for one that there is not.

        Raises Throttled for an address from which many wrong ones came.
        """
        await self._throttle.check(where)
        kept = None if user is None else await self._store.password_hash(user)
        async with self._hashing:
            # Of many guesses at once all have passed the first look.
            await self._throttle.check(where)
            if len(password) > LONGEST_PASSWORD:
                return False
            hash = kept or await self._hash_of_nobody()
            is_same = await asyncio.to_thread(self._verified, hash, as_bytes(password))
            if is_same and kept is not None:
                await self._throttle.succeeded(where)
                return True
            # In the same turn: those that wait are to see it.
            await self._throttle.failed(where)
            return False

    async def _hash_of_nobody(self) -> str:
        if self._nobody is None:
            self._nobody = await asyncio.to_thread(self._hasher.hash, b"nobody's")
        return self._nobody

    def _verified(self, kept: str, password: bytes) -> bool:
        try:
            return self._hasher.verify(kept, password)
        except (VerificationError, InvalidHashError):
            return False


def as_bytes(text: str) -> bytes:
    """Return any text as bytes, halves of characters too."""
    return text.encode("utf-8", "surrogatepass")
