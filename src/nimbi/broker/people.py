"""Who calls: signing in, and API tokens."""

import hashlib
import secrets
import time
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from nimbi.broker.access import (
    ADMIN,
    Caller,
    check,
    check_scopes,
    covers,
    exceeding,
    is_below,
    may,
)
from nimbi.broker.passwords import Passwords, as_bytes
from nimbi.broker.rights.authorization import Authorization
from nimbi.broker.throttle import Throttle
from nimbi.model.errors import CloudError, Forbidden, Invalid, NotFound, Unauthorized
from nimbi.model.people import OPERATOR, ROOT, Owner
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


@dataclass(slots=True)
class _Known:
    """A good token; `read_at` and `touched_at` are times of the monotonic clock."""

    caller: Caller
    read_at: float
    touched_at: float


class People:
    """Tells who a caller is. `where` is the address that a request comes from, None if unknown."""

    def __init__(self, store: PeopleStore, authorization: Authorization | None = None) -> None:
        self._store = store
        self._authorization = authorization or Authorization(store.directory)
        self.passwords = Passwords(store)
        self._throttle = Throttle(store, "token")
        self._known: OrderedDict[bytes, _Known] = OrderedDict()

    async def has_admin(self) -> bool:
        """Return whether the admin has a password."""
        return await self.passwords.has()

    async def set_admin_password(self, password: str) -> None:
        """Let the admin log in by this password from now on. Raises Invalid for a short one."""
        await self.passwords.set(password)

    async def sign_in(
        self, user: str, password: str, where: str | None, tenant: str | None = None
    ) -> Caller:
        """Return the caller for a user's name and password, who acts in a tenant.

        `tenant` is as in `entered`. Raises Unauthorized, Throttled, and Forbidden where the user
        has no role.
        """
        known = OPERATOR if user == ADMIN.name else await self._store.id_of(user)
        if not await self.passwords.is_right(known, password, where) or known is None:
            raise Unauthorized("there is no such user and password")
        return await self.entered(known, tenant)

    async def entered(self, user: str, tenant: str | None = None) -> Caller:
        """Return the caller for a user by its id, once it is proved who it is.

        `tenant` is the id of a domain or project, or its place (`acme/web`); without one it is
        where the user belongs, or the only one where it has a role. Raises Forbidden where it has
        none, Invalid when there are several to choose from.
        """
        if tenant is None:
            tenant = await self._authorization.home(user)
        try:
            where = await self._authorization.found(tenant)
        except NotFound as error:
            raise Forbidden("you have no role there") from error
        if user == OPERATOR and where == ROOT:
            return ADMIN
        return await self._authorization.caller(Owner(user=user, name="", tenant=where), id=user)

    async def acting(self, owner: Owner) -> Caller:
        """Return the caller that an owner is now, for what goes on after its request.

        Raises Forbidden when the user is disabled, or has no role there any more.
        """
        try:
            return await self._authorization.caller(owner, id=owner.user)
        except NotFound as error:
            raise Forbidden("the domain or project is not there any more") from error

    def forget(self) -> None:
        """Look at all tokens anew: what they may has changed."""
        self._authorization.forget()
        for known in self._known.values():
            known.read_at = -AGE_S

    async def create_token(self, caller: Caller, new: NewToken) -> CreatedToken:
        """Return a token with its secret, which is kept nowhere.

        Raises Forbidden for scopes beyond the caller's own, and for a user or tenant that has
        rights which the caller lacks; Invalid for scopes that say nothing and a time that is past.
        It dies no later than the token of the caller.
        """
        now = datetime.now(UTC)
        if not 1 <= len(new.name) <= LONGEST_NAME or not new.name.isprintable():
            raise Invalid(f"a token's name has 1 to {LONGEST_NAME} printable characters")
        check_scopes(new.scopes)
        for scope in new.scopes:
            if not covers(caller, scope):
                raise Forbidden(f"{caller.name} may not hand on what it may not do itself")
        user, tenant = await self._whose(caller, new)
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
            user=user,
            tenant=tenant,
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

    async def tokens(self, caller: Caller = ADMIN) -> tuple[Token, ...]:
        """Return the tokens that a caller may see and that were not revoked, the oldest first.

        Those are its own user's for the tenant in which it acts and below, and of others there if
        it may look at users. Expired ones too.
        """
        sees_others = caller.user == OPERATOR or may(caller, "users.page", None)
        return await self._store.list(None if sees_others else caller.user, caller.below)

    async def token(self, id: str, caller: Caller = ADMIN) -> Token:
        """Return one token. Raises NotFound, also for one that the caller may not see."""
        found = await self._store.get(id)
        if not self._sees(caller, found, "users.get"):
            raise NotFound(f"there is no token {id!r}")
        return found

    async def revoke(self, id: str, caller: Caller = ADMIN) -> None:
        """End a token of one's own user; of others', who may change users. Raises NotFound."""
        found = await self.token(id, caller)
        if not self._sees(caller, found, "users.update"):
            raise Forbidden(f"{caller.name} may not end the tokens of others")
        await self._ended(id)

    async def sign_out(self, caller: Caller) -> None:
        """End the token that a caller is known by. Raises NotFound."""
        await self._ended(caller.id)

    async def _ended(self, id: str) -> None:
        await self._store.revoke(id)
        for digest in [d for d, known in self._known.items() if known.caller.id == id]:
            del self._known[digest]

    def _sees(self, caller: Caller, token: Token, operation: str) -> bool:
        if not is_below(caller, token.tenant):
            return False
        return caller.user in (OPERATOR, token.user) or may(caller, operation, None)

    async def _whose(self, caller: Caller, new: NewToken) -> tuple[str, str]:
        """Return the user and tenant of a new token. Raises Forbidden for rights that are given."""
        tenant = caller.tenant
        if new.tenant is not None:
            tenant = await self._authorization.found(new.tenant)
        user = caller.user if new.user is None else await self._store.user_of(new.user)
        if (user, tenant) == (caller.user, caller.tenant):
            return user, tenant
        if not is_below(caller, tenant):
            raise Forbidden(f"{caller.name} does not act there, nor above: sign in there")
        if user != caller.user:
            await self._check_service(caller, user)
        _name, rules = await self._authorization.rules(user, tenant)
        lacking = exceeding(caller.rules, rules, tenant)
        if lacking is not None:
            raise Forbidden(f"{caller.name} may not do {lacking} and gives it to no token")
        return user, tenant

    async def _check_service(self, caller: Caller, user: str) -> None:
        """Raise Forbidden unless a caller may make tokens for another user."""
        known = None if user == OPERATOR else await self._store.service(user)
        if known is None:
            raise Forbidden("only service accounts get tokens from others")
        check(caller, "users.update", None)
        if not is_below(caller, known):
            raise Forbidden(f"{caller.name} may make no tokens for this user")

    async def _looked_up(
        self, digest: bytes, known: _Known | None, where: str | None, now: float
    ) -> _Known:
        if known is None:
            # Who has been good before is not slowed down by others at the same address.
            await self._throttle.check(where)
        token = await self._store.find_by_digest(digest)
        if token is None:
            self._known.pop(digest, None)
            await self._throttle.failed(where)
            raise Unauthorized("there is no such token")
        caller = await self._caller(token)
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

    async def _caller(self, token: Token) -> Caller:
        """Return who a token stands for. Raises Forbidden for who is disabled or has no role."""
        if token.user == OPERATOR and token.tenant == ROOT:
            return Caller(
                id=token.id, name=token.name, scopes=token.scopes, expires_at=token.expires_at
            )
        name = token.name if token.user == OPERATOR else ""
        owner = Owner(user=token.user, name=name, tenant=token.tenant, scopes=token.scopes)
        try:
            caller = await self._authorization.caller(owner, id=token.id, name=name or None)
        except NotFound as error:
            raise Forbidden("the domain or project is not there any more") from error
        return msgspec.structs.replace(caller, expires_at=token.expires_at)


def _digest(secret: str) -> bytes:
    # A secret of 256 random bits needs no slow hash.
    return hashlib.sha256(as_bytes(secret)).digest()
