"""The admin, API tokens, and the brakes on guessing either."""

import asyncio
import hashlib
import ipaddress
import secrets
import time
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from nimbi.broker.access import ADMIN, Caller, check_scopes, covers
from nimbi.model.errors import CloudError, Forbidden, Invalid, Throttled, Unauthorized
from nimbi.model.tokens import CreatedToken, NewToken, Token
from nimbi.store.people import PeopleStore

# What every secret begins with, so that those who look for leaked ones find it.
PREFIX = "nimbi_"
SECRET_BYTES = 32

# How old may be what this process knows of a token that another one revoked.
AGE_S = 2.0
TOUCH_EVERY_S = 60.0
# Tokens that are known to be good, the least used given up first.
MOST_KNOWN = 10_000
LONGEST_NAME = 100

# NIST SP 800-63B, 3.1.1.2.
SHORTEST_PASSWORD = 8
LONGEST_PASSWORD = 1024
# OWASP's Password Storage Cheat Sheet: passes, KiB of memory, lanes.
ARGON2ID = (2, 19 * 1024, 1)
HASHES_AT_ONCE = 2

# After so many failures in a row from one address each further one costs a pause, which doubles.
FREE_FAILURES = 5
LONGEST_PAUSE_S = 300.0
FORGET_AFTER = timedelta(hours=1)
# The network that one customer has of IPv6.
PREFIX_OF_ONE = 64


@dataclass(slots=True)
class _Known:
    """A good token; `read_at` and `touched_at` are times of the monotonic clock."""

    caller: Caller
    read_at: float
    touched_at: float


class People:
    """Tells who a caller is. `where` is the address that a request comes from, None if unknown."""

    def __init__(self, store: PeopleStore) -> None:
        self._store = store
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._hasher = PasswordHasher(*ARGON2ID)
        self._hashing = asyncio.Semaphore(HASHES_AT_ONCE)

    async def has_admin(self) -> bool:
        """Return whether the admin has a password."""
        return await self._store.password_hash() is not None

    async def set_admin_password(self, password: str) -> None:
        """Let the admin log in by this password from now on. Raises Invalid for a short one."""
        if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
            raise Invalid(f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters")
        async with self._hashing:
            hash = await asyncio.to_thread(self._hasher.hash, _bytes(password))
        await self._store.set_password_hash(hash)

    async def sign_in(self, user: str, password: str, where: str | None) -> Caller:
        """Return the caller for a user and password. Raises Unauthorized, Throttled."""
        place = f"password {_network(where)}"
        await self._check_place(place)
        kept = await self._store.password_hash()
        async with self._hashing:
            # Of many guesses at once all have passed the first look.
            await self._check_place(place)
            is_right = kept is not None and len(password) <= LONGEST_PASSWORD
            if is_right and kept is not None:
                is_right = await asyncio.to_thread(self._verified, kept, _bytes(password))
            if not is_right or user != ADMIN.name:
                await self._store.failed(place, datetime.now(UTC))
                raise Unauthorized("there is no such user and password")
        await self._store.succeeded(place)
        return ADMIN

    async def create_token(self, caller: Caller, new: NewToken) -> CreatedToken:
        """Return a token with its secret, which is kept nowhere.

        Raises Forbidden for scopes beyond the caller's own, Invalid for scopes that say nothing and
        a time that is past. It dies no later than the token of the caller.
        """
        now = datetime.now(UTC)
        if not 1 <= len(new.name) <= LONGEST_NAME or not new.name.isprintable():
            raise Invalid(f"a token's name has 1 to {LONGEST_NAME} printable characters")
        check_scopes(new.scopes)
        for scope in new.scopes:
            if not covers(caller, scope):
                raise Forbidden(f"{caller.name} may not hand on what it may not do itself")
        expires_at = new.expires_at
        if expires_at is not None and (expires_at.tzinfo is None or expires_at <= now):
            raise Invalid("expires_at is a time to come, with a time zone")
        if caller.expires_at is not None:
            expires_at = min(expires_at or caller.expires_at, caller.expires_at)
        secret = PREFIX + secrets.token_urlsafe(SECRET_BYTES)
        token = Token(
            id=secrets.token_hex(6),
            name=new.name,
            scopes=new.scopes,
            created_at=now,
            expires_at=expires_at,
        )
        await self._store.add(token, _digest(secret))
        return CreatedToken(token=token, secret=secret)

    async def caller_of(self, secret: str, where: str | None) -> Caller:
        """Return whose token it is. Raises Unauthorized, and Throttled after many wrong ones.

        What another process has revoked may still be taken for 2 seconds.
        """
        digest = _digest(secret)
        known = self._known.get(digest)
        now = time.monotonic()
        if known is None or now - known.read_at >= AGE_S:
            known = await self._looked_up(digest, known, where, now)
        expires_at = known.caller.expires_at
        if expires_at is not None and expires_at <= datetime.now(UTC):
            raise Unauthorized("the token has expired")
        return known.caller

    async def caller_of_basic(self, user: str, password: str, where: str | None) -> Caller:
        """Return who is told by HTTP Basic: a token as the password, whatever the user."""
        del user
        return await self.caller_of(password, where)

    async def tokens(self) -> tuple[Token, ...]:
        """Return all tokens that were not revoked, the oldest first; expired ones too."""
        return await self._store.list()

    async def token(self, id: str) -> Token:
        """Return one token. Raises NotFound."""
        return await self._store.get(id)

    async def revoke(self, id: str) -> None:
        """End a token. Raises NotFound."""
        await self._store.revoke(id)
        for digest in [d for d, known in self._known.items() if known.caller.id == id]:
            del self._known[digest]

    async def _looked_up(
        self, digest: bytes, known: _Known | None, where: str | None, now: float
    ) -> _Known:
        place = f"token {_network(where)}"
        if known is None:
            # Who has been good before is not slowed down by others at the same address.
            await self._check_place(place)
        token = await self._store.find_by_digest(digest)
        if token is None:
            self._known.pop(digest, None)
            await self._store.failed(place, datetime.now(UTC))
            raise Unauthorized("there is no such token")
        caller = Caller(
            id=token.id, name=token.name, scopes=token.scopes, expires_at=token.expires_at
        )
        found = _Known(caller, now, known.touched_at if known is not None else 0.0)
        if now - found.touched_at >= TOUCH_EVERY_S or known is None:
            found.touched_at = now
            # When it was used last is good to know, and no reason to refuse a call.
            with suppress(CloudError):
                await self._store.touch(token.id, datetime.now(UTC))
        self._known[digest] = found
        self._known.move_to_end(digest)
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)
        return found

    async def _check_place(self, place: str) -> None:
        """Raise Throttled while an address has to wait after its failures."""
        failures, last_at = await self._store.attempts(place)
        if last_at is None:
            return
        now = datetime.now(UTC)
        if now - last_at > FORGET_AFTER:
            await self._store.succeeded(place)
            return
        left_s = (last_at - now).total_seconds() + pause_after(failures)
        if left_s > 0:
            raise Throttled("too many wrong logins from this address", round(left_s, 1))

    def _verified(self, kept: str, password: bytes) -> bool:
        try:
            return self._hasher.verify(kept, password)
        except (VerificationError, InvalidHashError):
            return False


def pause_after(failures: int) -> float:
    """Return how many seconds an address has to wait after so many failures in a row."""
    beyond = failures - FREE_FAILURES
    return min(LONGEST_PAUSE_S, 2.0 ** min(beyond, 16)) if beyond >= 0 else 0.0


def _digest(secret: str) -> bytes:
    # A secret of 256 random bits needs no slow hash.
    return hashlib.sha256(_bytes(secret)).digest()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _network(where: str | None) -> str:
    """Return the network that one customer has, since all its addresses are theirs."""
    try:
        address = ipaddress.ip_address((where or "").partition("%")[0])
    except ValueError:
        return where or "local"
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, PREFIX_OF_ONE), strict=False))
