"""AWS Signature Version 4 from the other side: who says to have signed a request, and who did.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-auth-using-authorization-header.html
and https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
"""

import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import unquote

from nimbi.wire import sigv4
from nimbi.wire.sigv4 import Keys, Scope

# How far the clocks of the two sides may be apart, as with AWS.
SKEW = timedelta(minutes=15)

_PART = re.compile(r"\s*(Credential|SignedHeaders|Signature)=([^\s,]+)\s*")
_SIGNATURE = re.compile("[0-9a-f]{64}")
_HASH = re.compile("[0-9a-f]{64}|[A-Z0-9-]{1,64}")
_SECONDS = re.compile("[0-9]{1,6}")
_NAMES = re.compile("[!#$%&'*+.^_`|~0-9a-z-]+(?:;[!#$%&'*+.^_`|~0-9a-z-]+){0,99}")
_DAY = re.compile("[0-9]{8}")


class SignatureError(Exception):
    """A request's signature is not accepted; the message may be shown to who sent it."""


class NotSigned(SignatureError):
    """There is no signature of version 4 at all."""


class MalformedSignature(SignatureError):
    """A part of the signature is missing, doubled or not in its form, or too little is signed."""


class UnknownKey(SignatureError):
    """Nobody has this access key, or not with this session token."""


class WrongSignature(SignatureError):
    """The signature is not the one of this request and this secret."""


class WrongPayload(SignatureError):
    """The body is not the one whose hash was signed."""


class OutOfTime(SignatureError):
    """The request is too old, the link has run out, or either is from the future."""


@dataclass(frozen=True)
class Received:
    """A request as it came: the path and the query not decoded, headers in order, in any case."""

    method: str
    path: str
    query: str
    headers: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Claim:
    """What a request says of its signature; nothing of it is proven before `prove`.

    `at` is when it was signed. `payload_sha256` is what the client declares: a hash in hex, a word
    such as UNSIGNED-PAYLOAD or STREAMING-…, or None. `link_seconds` is None for a signed header.
    """

    access_key_id: str
    session_token: str | None
    scope: Scope
    at: datetime
    payload_sha256: str | None
    link_seconds: int | None
    signature: str
    _stamp: str
    _names: tuple[str, ...]

    def prove(
        self,
        request: Received,
        keys: Keys | None,
        *,
        now: datetime | None = None,
        body_sha256: str | None = None,
    ) -> None:
        """Return when the holder of `keys` signed this request and it is in time.

        `body_sha256` is what the body really has, in hex; without it, a body that was declared by
        its hash is the caller's to compare. Raises SignatureError.
        """
        self._check_time(now or datetime.now(UTC))
        if keys is None or not _same(self.session_token or "", keys.session_token or ""):
            raise UnknownKey(f"the access key {self.access_key_id!r} is not known here")
        payload = self._payload(body_sha256)
        headers = _signed_headers(request, self._names)
        query = (
            _without_signature(request.query) if self.link_seconds is not None else request.query
        )
        for path in _paths(request.path, self.scope.service):
            text = (
                f"{request.method}\n{path}\n{sigv4.canonical_query(query)}\n"
                f"{headers}\n{';'.join(self._names)}\n{payload}"
            )
            right = sigv4.signature_of(keys.secret_access_key, self.scope, self._stamp, text)
            if _same(right, self.signature):
                return
        raise WrongSignature("the signature does not match the request and the secret of its key")

    def _check_time(self, now: datetime) -> None:
        until = SKEW if self.link_seconds is None else timedelta(seconds=self.link_seconds)
        if not self.at - SKEW <= now <= self.at + until:
            raise OutOfTime(f"the request was signed for {self._stamp}; here it is {now:%FT%TZ}")

    def _payload(self, body_sha256: str | None) -> str:
        if self.payload_sha256 is None:
            if self.link_seconds is not None and self.scope.service == "s3":
                return sigv4.UNSIGNED
            return body_sha256 or sigv4.EMPTY_SHA256
        is_hash = _SIGNATURE.fullmatch(self.payload_sha256) is not None
        if body_sha256 is not None and is_hash and body_sha256 != self.payload_sha256:
            raise WrongPayload("the body does not have the hash that was signed")
        return self.payload_sha256


def verify(
    request: Received,
    keys_of: Callable[[str], Keys | None],
    *,
    services: frozenset[str],
    now: datetime | None = None,
    body_sha256: str | None = None,
) -> Claim:
    """Return the claim of a request, proven, for one of `services`. Raises SignatureError.

    A caller whose look-up of keys takes time calls `claim_of` and `Claim.prove` instead.
    """
    claim = claim_of(request, services=services)
    claim.prove(request, keys_of(claim.access_key_id), now=now, body_sha256=body_sha256)
    return claim


def claim_of(request: Received, *, services: frozenset[str]) -> Claim:
    """Return what a request says of its signature, in a header or in the query, well-formed."""
    headers = _folded(request.headers)
    query = _parameters(request.query)
    in_header = headers.get("authorization", "").startswith(sigv4.ALGORITHM)
    in_query = "X-Amz-Algorithm" in query or "X-Amz-Signature" in query
    if in_header and in_query:
        raise MalformedSignature("there is a signature in a header and another one in the query")
    if not in_header and not in_query:
        raise NotSigned("the request is not signed by AWS Signature Version 4")
    parts = _header_parts(headers) if in_header else _query_parts(query)
    access_key_id, day, scope = _credential(parts["Credential"], services)
    at, stamp = _time(parts["Date"], day)
    names = tuple(parts["SignedHeaders"].split(";"))
    _check_names(names, headers)
    if _SIGNATURE.fullmatch(parts["Signature"]) is None:
        raise MalformedSignature("a signature is 64 digits in hexadecimal, in lower case")
    return Claim(
        access_key_id=access_key_id,
        session_token=headers.get("x-amz-security-token")
        if in_header
        else query.get("X-Amz-Security-Token"),
        scope=scope,
        at=at,
        payload_sha256=_declared(headers),
        link_seconds=None if in_header else _seconds(query),
        signature=parts["Signature"],
        _stamp=stamp,
        _names=names,
    )


def _header_parts(headers: Mapping[str, str]) -> dict[str, str]:
    told = headers["authorization"].removeprefix(sigv4.ALGORITHM)
    parts: dict[str, str] = {}
    for piece in told.split(","):
        found = _PART.fullmatch(piece)
        if found is None or found[1] in parts:
            raise MalformedSignature("Authorization needs Credential, SignedHeaders and Signature")
        parts[found[1]] = found[2]
    if len(parts) != len({"Credential", "SignedHeaders", "Signature"}):
        raise MalformedSignature("Authorization needs Credential, SignedHeaders and Signature")
    parts["Date"] = headers.get("x-amz-date") or headers.get("date", "")
    return parts


def _query_parts(query: Mapping[str, str]) -> dict[str, str]:
    if query.get("X-Amz-Algorithm") != sigv4.ALGORITHM:
        raise MalformedSignature(f"X-Amz-Algorithm must be {sigv4.ALGORITHM}")
    try:
        return {
            part: query[f"X-Amz-{part}"]
            for part in ("Credential", "SignedHeaders", "Signature", "Date")
        }
    except KeyError as missing:
        raise MalformedSignature(f"the query lacks {missing.args[0]}") from None


def _credential(text: str, services: frozenset[str]) -> tuple[str, str, Scope]:
    # From the right, as an access key of a store that is not AWS may hold a slash.
    parts = text.rsplit("/", 4)
    if len(parts) != 5 or not parts[0] or _DAY.fullmatch(parts[1]) is None:
        raise MalformedSignature("a credential is KEY/YYYYMMDD/region/service/aws4_request")
    access_key_id, day, region, service, end = parts
    if end != sigv4.TERMINATOR or service not in services:
        raise MalformedSignature(
            f"the credential must end in {'|'.join(sorted(services))}/{sigv4.TERMINATOR}"
        )
    return access_key_id, day, Scope(region, service)


def _time(text: str, day: str) -> tuple[datetime, str]:
    """Return when it was signed, and that in AWS's form. The day must be the credential's."""
    at = _iso_time(text) or _http_time(text)
    if at is None:
        raise MalformedSignature("X-Amz-Date must be given, as in 20150830T123600Z")
    stamp = at.strftime(sigv4.STAMP)
    if stamp[:8] != day:
        raise MalformedSignature("the credential is for another day than the request")
    return at, stamp


def _iso_time(text: str) -> datetime | None:
    if re.fullmatch("[0-9]{8}T[0-9]{6}Z", text) is None:
        return None
    try:
        return datetime.strptime(text, sigv4.STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None


def _http_time(text: str) -> datetime | None:
    try:
        at = parsedate_to_datetime(text[:64])
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError, IndexError):
        return None


def _seconds(query: Mapping[str, str]) -> int:
    text = query.get("X-Amz-Expires", "")
    if _SECONDS.fullmatch(text) is None or not 1 <= int(text) <= sigv4.LINK_SECONDS:
        raise MalformedSignature(f"X-Amz-Expires must be 1 to {sigv4.LINK_SECONDS} seconds")
    return int(text)


def _declared(headers: Mapping[str, str]) -> str | None:
    text = headers.get("x-amz-content-sha256")
    if text is not None and _HASH.fullmatch(text) is None:
        raise MalformedSignature("X-Amz-Content-SHA256 must be a hash in hexadecimal, or a word")
    return text


def _check_names(names: tuple[str, ...], headers: Mapping[str, str]) -> None:
    """Refuse a signature that leaves out what must not be changed on the way."""
    if _NAMES.fullmatch(";".join(names)) is None or list(names) != sorted(set(names)):
        raise MalformedSignature("SignedHeaders are names in lower case, sorted, joined by `;`")
    needed = {name for name in headers if name.startswith("x-amz-")} - sigv4.UNSIGNED_HEADERS
    # The hash stands in the signed text itself, so it is safe when its header is not listed.
    missing = (needed | {"host"}) - {"x-amz-content-sha256"} - set(names)
    absent = set(names) - set(headers)
    if missing or absent:
        raise MalformedSignature(
            f"these headers must be there and be signed: {', '.join(sorted(missing | absent))}"
        )


def _signed_headers(request: Received, names: tuple[str, ...]) -> str:
    headers = _folded(request.headers)
    return "".join(f"{name}:{headers[name]}\n" for name in names)


def _folded(headers: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return headers by lower-case name, each trimmed; those sent twice are joined by a comma."""
    found: dict[str, str] = {}
    for name, value in headers:
        lowered, trimmed = name.lower(), sigv4.trimmed(value)
        found[lowered] = f"{found[lowered]},{trimmed}" if lowered in found else trimmed
    return found


def _parameters(query: str) -> dict[str, str]:
    """Return the decoded parameters of a signature in the query, each named once."""
    found: dict[str, str] = {}
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        name = unquote(name)
        if name.startswith("X-Amz-"):
            if name in found:
                raise MalformedSignature(f"the query has {name[:40]} twice")
            found[name] = unquote(value)
    return found


def _without_signature(query: str) -> str:
    pairs = query.split("&")
    return "&".join(p for p in pairs if unquote(p.partition("=")[0]) != "X-Amz-Signature")


def _paths(path: str, service: str) -> tuple[str, ...]:
    """Return the forms in which a client may have signed a path.

    S3's clients sign the path as they send it, but some do not encode in it all that AWS says.
    """
    if service != "s3":
        return (sigv4.canonical_path(path, normalise=True),)
    tidy = "/".join(sigv4.uniform(segment) for segment in path.replace("+", "%2B").split("/"))
    return (path, tidy) if tidy != path else (path,)


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode("utf-8", "replace"))
