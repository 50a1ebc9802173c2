"""Signing in through a provider: from a browser's first step to a token."""

import hashlib
import hmac
import logging
import re
import secrets
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import msgspec

from nimbi.broker.access import Caller
from nimbi.broker.audit import NOBODY, Audit
from nimbi.broker.openid.provider import DeviceCode, Provider, challenge_of
from nimbi.broker.people import People
from nimbi.model.errors import CloudError, Conflict, Forbidden, Invalid, Unauthorized
from nimbi.model.people import LONGEST_NAME, User, UserKind, check_email, check_name
from nimbi.model.tokens import CreatedToken, NewToken, Scope
from nimbi.store.sign_ins import SignInStore
from nimbi.store.users import GroupStore, UserStore

if TYPE_CHECKING:
    from nimbi.broker.openid.claims import Proved

# How long somebody may take at the provider, and a command to fetch what came of it.
AWAY_S = 600.0
FETCH_S = 60.0
SECRET_BYTES = 32

# RFC 7636, section 4: what a challenge looks like, and a verifier.
CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
ECHO = re.compile(r"[A-Za-z0-9._~-]{0,128}")
# A program on the browser's own machine (RFC 8252, section 7.3): no user, query or fragment.
RETURN = re.compile(r"http://(127\.0\.0\.1|\[::1\]):[1-9][0-9]{0,4}(/[A-Za-z0-9._~/-]*)?\Z")
# A provider's words that are passed on (RFC 6749, section 4.1.2.1).
WORD = re.compile(r"[a-z_]{1,40}")

# What the command is told of a failure (RFC 6749, section 4.1.2.1 and 5.2); the log says more.
FAILURES = {
    "unauthorized": "invalid_grant",
    "forbidden": "access_denied",
    "invalid": "server_error",
    "conflict": "server_error",
}

STATE, CODE = "state", "code"
LONGEST_URL = 200
# How many names are tried for a new user before one is made up.
NAMES = 5


log = logging.getLogger(__name__)


class Away(msgspec.Struct, frozen=True):
    """What is remembered while somebody is at the provider."""

    callback: str
    return_to: str
    echo: str
    challenge: str


class Back(msgspec.Struct, frozen=True):
    """What is remembered until the command fetches its token."""

    user: str
    challenge: str


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """The token that is wanted in the end, and where it is to act."""

    name: str = "login"
    scopes: tuple[Scope, ...] = (Scope(),)
    expires_at: datetime | None = None
    tenant: str | None = None


class SignIns:
    """Signs people in whom the provider knows. `key` is one that all processes have."""

    def __init__(
        self,
        provider: Provider,
        store: SignInStore,
        users: UserStore,
        groups: GroupStore,
        people: People,
        audit: Audit,
        *,
        key: bytes,
    ) -> None:
        self.provider = provider
        self._store = store
        self._users = users
        self._groups = groups
        self._people = people
        self._audit = audit
        self._key = key

    async def begin(self, *, callback: str, return_to: str, echo: str, challenge: str) -> str:
        """Return where a browser is to go to sign in.

        It comes to `callback`, a URL of this server, and is sent on to `return_to`, which is a
        program on the browser's own machine, with a code and `echo`. The code is good once, for
        who knows the verifier of `challenge`. Raises Invalid for what cannot be.
        """
        check_return(return_to)
        if CHALLENGE.fullmatch(challenge) is None or ECHO.fullmatch(echo) is None:
            raise Invalid("challenge is 43 characters of base64url; state at most 128 plain ones")
        state = secrets.token_urlsafe(SECRET_BYTES)
        address = await self.provider.address(
            state=state,
            nonce=self._derived("nonce", state),
            verifier=self._derived("verifier", state),
            callback=callback,
        )
        away = Away(callback, return_to, echo, challenge)
        await self._store.add(STATE, state, msgspec.json.encode(away), AWAY_S)
        return address

    async def came_back(
        self, *, state: str, code: str | None, issuer: str | None, error: str | None
    ) -> str:
        """Return where a browser that comes from the provider is to go on.

        Raises Unauthorized for a state that is none of ours, or was used already: it goes nowhere
        then. What else goes wrong is told to whoever began.
        """
        body = await self._store.take(STATE, state)
        if body is None:
            raise Unauthorized("this sign-in was not begun here, is over, or was done already")
        away = msgspec.json.decode(body, type=Away)
        if error is not None or code is None:
            word = error if error is not None and WORD.fullmatch(error) else "server_error"
            return _onward(away, error=word)
        try:
            user = await self._user_of(away, state, code, issuer)
        except CloudError as failure:
            log.warning("a sign-in through %s failed: %s", self.provider.options.issuer, failure)
            await self._audit.told(NOBODY, "openid.callback", failure.code)
            return _onward(away, error=FAILURES.get(failure.code, "temporarily_unavailable"))
        made = secrets.token_urlsafe(SECRET_BYTES)
        back = Back(user.id, away.challenge)
        await self._store.add(CODE, made, msgspec.json.encode(back), FETCH_S)
        return _onward(away, code=made)

    async def fetched(
        self, code: str, verifier: str, wanted: Wanted
    ) -> tuple[Caller, CreatedToken]:
        """Return a token for a code. It is good once, whether the verifier is right or not.

        Raises Unauthorized, and what `People.entered` and `People.create_token` do.
        """
        body = await self._store.take(CODE, code)
        back = None if body is None else msgspec.json.decode(body, type=Back)
        if back is None or VERIFIER.fullmatch(verifier) is None:
            raise Unauthorized("this code is none, is over, or was used already")
        if not hmac.compare_digest(challenge_of(verifier), back.challenge):
            raise Unauthorized("this code is for somebody else")
        return await self._token(back.user, wanted)

    async def device(self) -> DeviceCode:
        """Return how to sign in on another device. Raises Invalid where there is no such way."""
        return await self.provider.device()

    async def polled(self, device_code: str, wanted: Wanted) -> tuple[Caller, CreatedToken] | None:
        """Return a token once somebody has signed in on another device, None before."""
        token = await self.provider.polled(device_code)
        if token is None:
            return None
        user = await self._entered(await self._proved(token, None))
        return await self._token(user.id, wanted)

    async def _user_of(self, away: Away, state: str, code: str, issuer: str | None) -> User:
        about = await self.provider.about()
        told = issuer is not None or about.authorization_response_iss_parameter_supported
        if told and issuer != about.issuer:
            raise Unauthorized("another provider answers than was asked")
        token = await self.provider.exchanged(
            code, verifier=self._derived("verifier", state), callback=away.callback
        )
        return await self._entered(await self._proved(token, self._derived("nonce", state)))

    async def _proved(self, token: str, nonce: str | None) -> "Proved":
        # Loads much that a server without sign-ins never needs.
        from nimbi.broker.openid.claims import proved

        return await proved(self.provider, token, nonce)

    async def _token(self, user: str, wanted: Wanted) -> tuple[Caller, CreatedToken]:
        caller = await self._people.entered(user, wanted.tenant)
        last = datetime.now(UTC) + timedelta(hours=self.provider.options.hours)
        asked = wanted.expires_at
        if asked is not None and asked.tzinfo is None:
            raise Invalid("expires_at is a time to come, with a time zone")
        new = NewToken(
            name=wanted.name, scopes=wanted.scopes, expires_at=min(asked, last) if asked else last
        )
        return caller, await self._people.create_token(caller, new)

    async def _entered(self, proved: "Proved") -> User:
        """Return the user by issuer and subject: nothing else of it stays the same.

        A name or an address is anybody's at another provider, and at this one somebody else's
        tomorrow. Raises Forbidden for who is unknown or disabled.
        """
        user = await self._users.of_subject(proved.issuer, proved.subject)
        if user is None:
            user = await self._new(proved)
        if not user.is_enabled:
            raise Forbidden("this user is disabled")
        if proved.groups is not None:
            await self._join(user, proved)
        return user

    async def _new(self, proved: "Proved") -> User:
        options = self.provider.options
        if not options.creates:
            raise Forbidden("nobody here is this user of the provider")
        user = User(
            id=secrets.token_hex(8),
            name=f"sso-{secrets.token_hex(4)}",
            kind=UserKind.PERSON,
            tenant=options.tenant,
            created_at=datetime.now(UTC),
            email=_email(proved.email),
            issuer=proved.issuer,
            subject=proved.subject,
        )
        for name in (*_names(proved), user.name):
            try:
                return await self._users.add(msgspec.structs.replace(user, name=name))
            except Conflict:
                # The name is somebody else's; or another sign-in of the same user was quicker.
                found = await self._users.of_subject(proved.issuer, proved.subject)
                if found is not None:
                    return found
        raise Conflict("no name was found for a new user")

    async def _join(self, user: User, proved: "Proved") -> None:
        """Put a user in the groups of its own tenant that the provider names, and in no others.

        In what groups an admin has put it is not changed.
        """
        named = set(proved.groups or ())
        known = await self._groups.page((user.tenant,))
        here = [group.id for group in known if group.name in named]
        await self._groups.told(user.id, here, proved.issuer)
        self._people.forget()

    def _derived(self, purpose: str, state: str) -> str:
        """Return what belongs to a state, and only we can tell: nothing of it is stored."""
        told = f"{purpose} {state}".encode()
        return hmac.new(self._key, told, hashlib.sha256).hexdigest()


def check_return(url: str) -> None:
    """Raise Invalid unless a URL is a program on the browser's own machine (RFC 8252, 7.3).

    A browser is sent nowhere else: whoever begins a sign-in would choose where its code goes.
    """
    if len(url) > LONGEST_URL or RETURN.match(url) is None:
        raise Invalid("return_to is http://127.0.0.1:PORT/PATH, a program on your own machine")


def _onward(away: Away, **told: str) -> str:
    return f"{away.return_to}?{urlencode({**told, 'state': away.echo})}"


def _email(told: str | None) -> str | None:
    try:
        check_email(told)
    except Invalid:
        return None
    return told


def _names(proved: "Proved") -> list[str]:
    """Return names that a new user may have: the provider's, and with a number when taken."""
    name = proved.name or (proved.email or "").partition("@")[0]
    try:
        check_name("a user", name)
    except Invalid:
        return []
    return [name, *(f"{name[: LONGEST_NAME - 3]}-{n}" for n in range(2, NAMES + 1))]
