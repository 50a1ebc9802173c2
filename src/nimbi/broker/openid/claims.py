"""What an ID token claims, once it is proved: OpenID Connect Core 1.0, section 3.1.3.7."""

import hmac
import time
from typing import Any

import msgspec
from joserfc import jwk, jws
from joserfc.errors import JoseError

from nimbi.broker.openid.provider import Keys, OpenIdOptions, Provider
from nimbi.model.errors import Unauthorized

# Signatures that the provider alone can make: nothing that a shared secret or nobody can.
ALGORITHMS = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA", "Ed25519"),
)
KEY_TYPES = frozenset({"RSA", "EC", "OKP"})

# By how much the clocks of two servers may differ.
LEEWAY_S = 60.0
LONGEST_TOKEN = 64 * 1024
LONGEST_SUBJECT = 255
MOST_GROUPS = 500


class Claims(msgspec.Struct, frozen=True):
    """Who somebody is, as the provider says."""

    iss: str
    sub: str
    aud: str | tuple[str, ...]
    exp: float
    iat: float
    nonce: str | None = None
    azp: str | None = None
    nbf: float | None = None
    preferred_username: str | None = None
    email: str | None = None
    email_verified: bool = False


class Proved(msgspec.Struct, frozen=True):
    """A user of the provider; `groups` is None when the provider says nothing of them."""

    issuer: str
    subject: str
    name: str | None
    email: str | None
    groups: tuple[str, ...] | None


async def proved(provider: Provider, token: str, nonce: str | None) -> Proved:
    """Return who an ID token stands for. Raises Unauthorized for any that proves nothing.

    `nonce` is that of the sign-in, None where the way has none, which is that of devices.
    """
    if len(token) > LONGEST_TOKEN:
        raise Unauthorized("the provider's token is too long")
    payload = _opened(token, await provider.keys())
    if payload is None:
        # It may have a new key.
        payload = _opened(token, await provider.keys(anew=True))
    if payload is None:
        raise Unauthorized("the provider's token is signed by a key that it does not name")
    try:
        claims = msgspec.json.decode(payload, type=Claims)
        told = msgspec.json.decode(payload, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unauthorized("the provider's token lacks what it must say") from error
    _check(claims, provider.options, nonce)
    return Proved(
        issuer=claims.iss,
        subject=claims.sub,
        name=claims.preferred_username,
        email=claims.email if claims.email_verified else None,
        groups=_groups(told, provider.options.groups_claim),
    )


def _opened(token: str, keys: Keys) -> bytes | None:
    """Return what a token says, None when its key is not there. Raises Unauthorized."""
    try:
        header = jws.extract_compact(token.encode("ascii")).headers()
        if header.get("alg") not in ALGORITHMS:
            raise Unauthorized("the provider's token is not signed as it must be")
        found = [key for key in keys.keys if _fits(key, header.get("kid"))]
        if not found:
            return None
        if len(found) > 1:
            raise Unauthorized("the provider's token does not say by which key it is signed")
        key = jwk.import_key(found[0])
        registry = jws.JWSRegistry(algorithms=list(ALGORITHMS))
        return jws.deserialize_compact(token, key, registry=registry).payload
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise Unauthorized("the provider's token is not signed by the provider") from error


def _fits(key: dict[str, Any], kid: Any) -> bool:
    """Return whether a key may have signed it; a secret that is shared never has."""
    if key.get("kty") not in KEY_TYPES or key.get("use", "sig") != "sig":
        return False
    return kid is None or key.get("kid") == kid


def _check(claims: Claims, options: OpenIdOptions, nonce: str | None) -> None:
    """Raise Unauthorized unless it is for us, of now, and of this sign-in."""
    audience = (claims.aud,) if isinstance(claims.aud, str) else claims.aud
    is_sole = audience == (options.client_id,)
    now = time.time()
    wrong = (
        (claims.iss != options.issuer, "of another issuer"),
        (options.client_id not in audience, "for somebody else"),
        (not is_sole and claims.azp != options.client_id, "for several, and given to another"),
        (claims.azp not in (None, options.client_id), "given to another"),
        (claims.exp <= now - LEEWAY_S, "over"),
        (max(claims.iat, claims.nbf or 0) > now + LEEWAY_S, "of a time to come"),
        (not 1 <= len(claims.sub) <= LONGEST_SUBJECT, "of nobody"),
        (not _is_same(claims.nonce, nonce), "of another sign-in"),
    )
    for is_so, text in wrong:
        if is_so:
            raise Unauthorized(f"the provider's token is {text}")


def _is_same(told: str | None, wanted: str | None) -> bool:
    if wanted is None:
        return True
    return hmac.compare_digest((told or "").encode("utf-8", "surrogatepass"), wanted.encode())


def _groups(told: dict[str, Any], claim: str | None) -> tuple[str, ...] | None:
    if claim is None:
        return None
    groups = told.get(claim, [])
    if not isinstance(groups, list):
        return ()
    return tuple(name for name in groups[:MOST_GROUPS] if isinstance(name, str))
