"""An OpenID Connect provider: what it says of itself, and what it gives for a code.

OpenID Connect Discovery 1.0 and Core 1.0; RFC 7636 (PKCE), RFC 8628 (devices), RFC 9207.
"""

import asyncio
import base64
import hashlib
import ipaddress
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import quote_plus, urlencode, urlsplit

import msgspec

from nimbi.broker.destinations import Destinations
from nimbi.model.errors import CloudUnavailable, Invalid, Timeout, Unauthorized
from nimbi.model.people import ROOT
from nimbi.wire.destinations import Reach
from nimbi.wire.http import Answer, HttpError, Request, open_client

T = TypeVar("T")

WELL_KNOWN = "/.well-known/openid-configuration"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
FORM = "application/x-www-form-urlencoded"

# How long what a provider says of itself is believed; keys are asked for anew when one is unknown.
AGE_S = 3600.0
ANSWER_BYTES = 512 * 1024
PATIENCE_S = 15.0

# What RFC 8628, section 3.5, has a provider say while nobody has signed in yet.
PENDING = frozenset({"authorization_pending", "slow_down"})


@dataclass(frozen=True, kw_only=True)
class OpenIdOptions:
    """What the operator says of the provider.

    `creates` lets who is unknown in, as a new user of `tenant`. `groups_claim` is the claim with
    the names of groups. A token of a sign-in lives `hours` at most. `callback` is the URL of this
    server's /v1/openid/callback as browsers reach it, None for that which a request names.
    """

    issuer: str
    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    scopes: str = "openid profile email"
    creates: bool = False
    tenant: str = ROOT
    groups_claim: str | None = None
    hours: float = 12.0
    callback: str | None = None


class About(msgspec.Struct, frozen=True):
    """What a provider says of itself, as far as it matters here."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    device_authorization_endpoint: str | None = None
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    code_challenge_methods_supported: tuple[str, ...] = ()
    authorization_response_iss_parameter_supported: bool = False


class DeviceCode(msgspec.Struct, frozen=True):
    """How somebody signs in elsewhere: at this address, with this code."""

    device_code: str
    user_code: str
    verification_uri: str
    expires_in: int
    verification_uri_complete: str | None = None
    interval: int = 5

    def __repr__(self) -> str:
        return "DeviceCode(…)"


class _Given(msgspec.Struct, frozen=True):
    id_token: str


class _Refusal(msgspec.Struct, frozen=True):
    error: str


class Keys(msgspec.Struct, frozen=True):
    """A JWK Set (RFC 7517, section 5)."""

    keys: tuple[dict[str, Any], ...]


class Provider:
    """One provider. Where it lies is the operator's word; where it leads is looked at.

    Its own host may be anywhere but where clouds tell secrets; hosts that its documents name
    elsewhere are called only as far as `destinations` reach.
    """

    def __init__(self, options: OpenIdOptions, destinations: Destinations) -> None:
        check_url(options.issuer, options.issuer)
        self.options = options
        self._destinations = destinations
        self._about: tuple[float, About] | None = None
        self._keys: Keys | None = None

    async def about(self) -> About:
        """Return what the provider says of itself. Raises CloudUnavailable, Unauthorized."""
        if self._about is not None and time.monotonic() < self._about[0] + AGE_S:
            return self._about[1]
        issuer = self.options.issuer
        answer = await self._send(Request("GET", issuer.rstrip("/") + WELL_KNOWN))
        about = _decoded(answer, About)
        if about.issuer != issuer:
            raise Unauthorized("the provider names another issuer than the operator")
        for url in (about.authorization_endpoint, about.token_endpoint, about.jwks_uri):
            check_url(url, issuer)
        self._about = (time.monotonic(), about)
        self._keys = None
        return about

    async def address(self, *, state: str, nonce: str, verifier: str, callback: str) -> str:
        """Return where a browser is to go."""
        about = await self.about()
        query = {
            "response_type": "code",
            "client_id": self.options.client_id,
            "redirect_uri": callback,
            "scope": self.options.scopes,
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge_of(verifier),
            "code_challenge_method": "S256",
        }
        joint = "&" if urlsplit(about.authorization_endpoint).query else "?"
        return f"{about.authorization_endpoint}{joint}{urlencode(query)}"

    async def exchanged(self, code: str, *, verifier: str, callback: str) -> str:
        """Return the ID token for a code. Raises Unauthorized for one that is not taken."""
        answer = await self._token(
            {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": callback,
                "code_verifier": verifier,
            }
        )
        return _id_token(answer)

    async def device(self) -> DeviceCode:
        """Return how to sign in on another device. Raises Invalid where there is no such way."""
        about = await self.about()
        if about.device_authorization_endpoint is None:
            raise Invalid("the provider has no sign-in on another device")
        check_url(about.device_authorization_endpoint, self.options.issuer)
        form = {"client_id": self.options.client_id, "scope": self.options.scopes}
        answer = await self._post(about, about.device_authorization_endpoint, form)
        if answer.status != 200:
            raise _refused(answer)
        found = _decoded(answer, DeviceCode)
        check_url(found.verification_uri, self.options.issuer)
        return found

    async def polled(self, device_code: str) -> str | None:
        """Return the ID token of a sign-in elsewhere, None while there is none yet."""
        answer = await self._token({"grant_type": DEVICE_GRANT, "device_code": device_code})
        if answer.status == 400 and _error(answer) in PENDING:
            return None
        return _id_token(answer)

    async def keys(self, *, anew: bool = False) -> Keys:
        """Return the provider's keys; `anew` when one is missing, since they change."""
        if self._keys is None or anew:
            about = await self.about()
            self._keys = _decoded(await self._send(Request("GET", about.jwks_uri)), Keys)
        return self._keys

    async def _token(self, form: Mapping[str, str]) -> Answer:
        about = await self.about()
        return await self._post(about, about.token_endpoint, form)

    async def _post(self, about: About, url: str, form: Mapping[str, str]) -> Answer:
        headers = {"Content-Type": FORM, "Accept": "application/json"}
        told = {"client_id": self.options.client_id, **form}
        secret = self.options.client_secret
        if secret is not None:
            if "client_secret_basic" in about.token_endpoint_auth_methods_supported:
                # RFC 6749, section 2.3.1.
                login = f"{quote_plus(self.options.client_id)}:{quote_plus(secret)}"
                headers["Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
            else:
                told["client_secret"] = secret
        return await self._send(Request("POST", url, headers, urlencode(told).encode()))

    async def _send(self, request: Request) -> Answer:
        at_home = _origin(request.url) == _origin(self.options.issuer)
        reach = Reach.PRIVATE if at_home else self._destinations.reach
        if not at_home:
            await self._destinations.check_url(request.url)
        try:
            async with asyncio.timeout(PATIENCE_S), open_client(silence_s=PATIENCE_S) as client:
                return await client.reaching(reach).send(request, limit_bytes=ANSWER_BYTES)
        except TimeoutError as error:
            raise Timeout("the provider of sign-ins does not answer in time") from error
        except HttpError as error:
            raise CloudUnavailable(f"the provider of sign-ins: {error}") from error


def check_url(url: str, issuer: str) -> None:
    """Raise Invalid for a URL that is not HTTPS; HTTP is taken for an issuer of this machine."""
    scheme, host, _port = _origin(url)
    if scheme == "https" and host and "@" not in urlsplit(url).netloc:
        return
    if scheme == "http" and _is_loopback(issuer) and _origin(url) == _origin(issuer):
        return
    raise Invalid("the provider of sign-ins has an address that is not HTTPS")


def challenge_of(verifier: str) -> str:
    """Return what stands for a verifier until it is told (RFC 7636, S256)."""
    digest = hashlib.sha256(verifier.encode("utf-8", "surrogatepass")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _origin(url: str) -> tuple[str, str, int | None]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise Invalid("the provider of sign-ins has an address that is none") from error
    return parts.scheme, parts.hostname or "", port


def _id_token(answer: Answer) -> str:
    if answer.status != 200:
        raise _refused(answer)
    return _decoded(answer, _Given).id_token


def _refused(answer: Answer) -> Unauthorized:
    return Unauthorized(f"the provider refuses the sign-in: {_error(answer)}")


def _error(answer: Answer) -> str:
    try:
        error = msgspec.json.decode(answer.body, type=_Refusal).error
    except msgspec.DecodeError:
        return f"status {answer.status}"
    # It is told on: only a word is, whatever was sent.
    return error if error.isidentifier() and len(error) <= 60 else f"status {answer.status}"


def _decoded(answer: Answer, kind: type[T]) -> T:
    if answer.status != 200:
        raise CloudUnavailable(f"the provider of sign-ins answers {answer.status}")
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CloudUnavailable("the provider of sign-ins answers what is not to be read") from error
