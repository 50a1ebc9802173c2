"""AWS Signature Version 4: signing of requests and of links.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from time import gmtime, strftime
from types import MappingProxyType
from urllib.parse import quote, unquote_to_bytes

ALGORITHM = "AWS4-HMAC-SHA256"
TERMINATOR = "aws4_request"
STAMP = "%Y%m%dT%H%M%SZ"
UNSIGNED = "UNSIGNED-PAYLOAD"
EMPTY_SHA256 = sha256(b"").hexdigest()
LINK_SECONDS = 7 * 24 * 3600

# What a proxy or the client's own machinery may change on the way.
UNSIGNED_HEADERS = frozenset(
    {
        "baggage",
        "connection",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "traceparent",
        "tracestate",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "x-amzn-trace-id",
    }
)
_OURS = frozenset({"authorization", "x-amz-date", "x-amz-security-token"})
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}

_SPACES = re.compile("[ \t]{2,}|\t")
_CANONICAL = re.compile(r"(?:[A-Za-z0-9\-._~]|%[0-9A-F]{2})*")
# Escapes of what need not be escaped: `%41` and `A` are the same, so only one can be canonical.
_NEEDLESS = re.compile(r"%(?:2[DE]|3[0-9]|4[1-9A-F]|5[0-9AF]|6[1-9A-F]|7[0-9AE])")


@dataclass(frozen=True, repr=False)
class Keys:
    """A login to AWS, or to whom speaks like it."""

    access_key_id: str
    secret_access_key: str
    session_token: str | None = None

    def __repr__(self) -> str:
        return f"Keys({self.access_key_id!r}, …)"


@dataclass(frozen=True)
class Scope:
    """What a signature is good for, besides its day: `Scope("eu-west-1", "ec2")`."""

    region: str
    service: str


def signed(
    method: str,
    url: str,
    headers: Mapping[str, str],
    payload_sha256: str,
    keys: Keys,
    scope: Scope,
    now: datetime | None = None,
    *,
    normalise: bool = True,
) -> dict[str, str]:
    """Return the headers to send: those given, and Authorization with what belongs to it.

    `payload_sha256` is in hex, or UNSIGNED; `url` is encoded as it will be sent. `normalise` is
    False for S3, whose paths mean what they say: `a//b` and `a/../b` are names of their own. There
    the payload's hash is sent along as well. Host is signed as the client will send it; headers
    that change on the way are not signed.
    """
    stamp = _stamp(now)
    sent = {name: value for name, value in headers.items() if name.lower() not in _OURS}
    sent["X-Amz-Date"] = stamp
    if keys.session_token is not None:
        sent["X-Amz-Security-Token"] = keys.session_token
    if not normalise:
        sent["X-Amz-Content-SHA256"] = payload_sha256
    host, path, query = split(url)
    lines, names = canonical_headers({"host": host, **{n.lower(): sent[n] for n in sent}}.items())
    signature = signature_of(
        keys.secret_access_key,
        scope,
        stamp,
        f"{method.upper()}\n{canonical_path(path, normalise=normalise)}\n{canonical_query(query)}\n"
        f"{lines}\n{names}\n{payload_sha256}",
    )
    sent["Authorization"] = (
        f"{ALGORITHM} Credential={credential(keys, scope, stamp)}, SignedHeaders={names}, "
        f"Signature={signature}"
    )
    return sent


def presigned(
    method: str,
    url: str,
    keys: Keys,
    scope: Scope,
    seconds: int,
    now: datetime | None = None,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Return the URL with a signature in its query, good for 1 second to 7 days from now.

    Who uses it must send `headers` as they are here. For S3 the body is not part of it; for other
    services it is empty. Raises ValueError for another time.
    """
    if not 1 <= seconds <= LINK_SECONDS:
        raise ValueError(f"a link is good for 1 to {LINK_SECONDS} seconds, not {seconds}")
    stamp = _stamp(now)
    host, path, query = split(url)
    lowered = {name.lower(): value for name, value in headers.items()}
    lines, names = canonical_headers({"host": host, **lowered}.items())
    added = {
        "X-Amz-Algorithm": ALGORITHM,
        "X-Amz-Credential": credential(keys, scope, stamp),
        "X-Amz-Date": stamp,
        "X-Amz-Expires": str(seconds),
        "X-Amz-SignedHeaders": names,
    }
    if keys.session_token is not None:
        added["X-Amz-Security-Token"] = keys.session_token
    pairs = [f"{name}={encoded(value)}" for name, value in added.items()]
    whole = "&".join([query, *pairs] if query else pairs)
    is_s3 = scope.service == "s3"
    signature = signature_of(
        keys.secret_access_key,
        scope,
        stamp,
        f"{method.upper()}\n{canonical_path(path, normalise=not is_s3)}\n{canonical_query(whole)}\n"
        f"{lines}\n{names}\n{UNSIGNED if is_s3 else EMPTY_SHA256}",
    )
    bare = url.partition("#")[0].partition("?")[0]
    return f"{bare}?{whole}&X-Amz-Signature={signature}"


def _stamp(now: datetime | None) -> str:
    return strftime(STAMP, now.utctimetuple() if now is not None else gmtime())


def encoded(text: str | bytes, also: str = "") -> str:
    """Return the text percent-encoded as AWS does: all but A-Z a-z 0-9 - . _ ~ and `also`."""
    return quote(text, safe=f"-._~{also}")


def credential(keys: Keys, scope: Scope, stamp: str) -> str:
    """Return `AKIA…/20150830/us-east-1/ec2/aws4_request`."""
    return f"{keys.access_key_id}/{stamp[:8]}/{scope.region}/{scope.service}/{TERMINATOR}"


def signature_of(secret: str, scope: Scope, stamp: str, canonical_request: str) -> str:
    """Return the signature, in hex, of a canonical request at a time (`20150830T123600Z`)."""
    hashed = sha256(canonical_request.encode("utf-8", "surrogateescape")).hexdigest()
    day = stamp[:8]
    text = f"{ALGORITHM}\n{stamp}\n{day}/{scope.region}/{scope.service}/{TERMINATOR}\n{hashed}"
    return hmac.digest(_day_key(secret, day, scope), text.encode(), "sha256").hex()


@lru_cache(maxsize=8192)
def _day_key(secret: str, day: str, scope: Scope) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (day, scope.region, scope.service, TERMINATOR):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def split(url: str) -> tuple[str, str, str]:
    """Return the Host header, the path (`/` at least) and the query of a URL, nothing decoded.

    As HTTP clients do, the default port is left out of Host, and a fragment is not sent.
    """
    scheme, _, rest = url.partition("#")[0].partition("://")
    rest, _, query = rest.partition("?")
    place, slash, path = rest.partition("/")
    host = place.rpartition("@")[2].lower().removesuffix(_DEFAULT_PORTS.get(scheme.lower(), ":"))
    return host, slash + path or "/", query


def canonical_path(path: str, *, normalise: bool) -> str:
    """Return the path as it is signed: as it is for S3, else tidied and encoded once more."""
    if not normalise:
        return path
    if path == "/":
        return path
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment and segment != ".":
            kept.append(segment)
    last = "/" if kept and path.endswith("/") else ""
    return encoded(f"/{'/'.join(kept)}{last}", also="/")


def canonical_query(query: str) -> str:
    """Return the query with its pairs encoded in AWS's way and sorted; a `+` is a space."""
    if not query:
        return ""
    pairs = [pair.partition("=") for pair in query.split("&") if pair]
    return "&".join(
        f"{name}={value}" for name, value in sorted((uniform(p[0]), uniform(p[2])) for p in pairs)
    )


def uniform(text: str) -> str:
    """Return a part of a URL, encoded in whatever way, in AWS's own way."""
    if _CANONICAL.fullmatch(text) and not _NEEDLESS.search(text):
        return text
    return encoded(unquote_to_bytes(text.replace("+", " ")))


def canonical_headers(headers: Iterable[tuple[str, str]]) -> tuple[str, str]:
    """Return the lines (each with its newline) and the names (`host;x-amz-date`) that are signed.

    `headers` have names in lower case, each once.
    """
    taken = sorted([pair for pair in headers if pair[0] not in UNSIGNED_HEADERS])
    lines = "".join([f"{name}:{trimmed(value)}\n" for name, value in taken])
    return lines, ";".join([name for name, _ in taken])


def trimmed(value: str) -> str:
    """Return a header's value as it is signed: no blanks around it, no two in a row."""
    if "  " in value or "\t" in value:
        value = _SPACES.sub(" ", value)
    return value.strip(" ")
