"""Lists of blobs, page by page, by the store's own tokens."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2s

from nimbi.drivers.ec2.objects.client import Call, ObjectClient
from nimbi.drivers.ec2.objects.errors import Fault
from nimbi.drivers.ec2.objects.facts import listed
from nimbi.drivers.ec2.objects.names import decoded, known_bucket
from nimbi.model.buckets import BlobFilter, BlobPage
from nimbi.model.errors import CloudUnavailable, Invalid
from nimbi.wire.http import Answer
from nimbi.wire.xml_read import Element, MalformedXml, parse

_SEAL_BYTES = 8


async def page_of(
    client: ObjectClient, bucket: str, marker: str | None, limit: int, where: BlobFilter
) -> BlobPage:
    """Return a page of blobs and of common starts."""
    scope = f"{bucket}\0{len(where.prefix or '')}\0{where.prefix or ''}{where.delimiter or ''}"
    token = None if marker is None else unsealed(marker, scope)
    query = [("list-type", "2"), ("encoding-type", "url"), ("max-keys", str(limit))]
    told = (
        ("prefix", where.prefix),
        ("delimiter", where.delimiter),
        ("continuation-token", token),
    )
    query += [(name, value) for name, value in told if value]
    what = f"the bucket {bucket[:80]!r}"
    for _name, value in query:
        _check(value)
    answer = await client.send(Call("GET", what, known_bucket(bucket), query=tuple(query)))
    root = root_of(answer, "ListBucketResult", what)
    is_encoded = root.findtext("EncodingType") == "url"
    blobs = listed(bucket, root.iterfind("Contents"), is_encoded=is_encoded)
    starts = [entry.findtext("Prefix") or "" for entry in root.iterfind("CommonPrefixes")]
    next = root.findtext("NextContinuationToken")
    if root.findtext("IsTruncated") == "true" and not next:
        raise CloudUnavailable(f"{what}: the list has more, and no token for it")
    is_whole = root.findtext("IsTruncated") != "true"
    return BlobPage(
        blobs,
        None if is_whole or not next else sealed(next, scope),
        tuple(decoded(start) if is_encoded else start for start in starts),
    )


def root_of(answer: Answer, tag: str, what: str) -> Element:
    """Return the root of an answer. Raises CloudUnavailable when it is not what was asked for."""
    try:
        root = parse(answer.body)
    except MalformedXml as error:
        raise CloudUnavailable(f"{what}: the answer of the store is damaged") from error
    if root.tag == "Error":
        raise Fault(500, answer.headers, answer.body).error(what, changes=False)
    if root.tag != tag:
        raise CloudUnavailable(f"{what}: the answer of the store is not S3's")
    return root


def sealed(token: str, scope: str) -> str:
    """Return a marker for the store's token; it is of one list, and cannot be mistaken for one.

    No secret is in the seal: whoever makes up a token learns no more than the store tells anyway.
    """
    raw = _seal(token, scope) + token.encode()
    return urlsafe_b64encode(raw).decode()


def unsealed(marker: str, scope: str) -> str:
    """Return the store's token. Raises Invalid for a marker that this list never gave."""
    try:
        raw = urlsafe_b64decode(marker.encode("ascii"))
        token = raw[_SEAL_BYTES:].decode()
    except ValueError:
        raise Invalid("the marker of the page is not one that this list gave") from None
    if raw[:_SEAL_BYTES] != _seal(token, scope):
        raise Invalid("the marker of the page is not one that this list gave")
    return token


def _seal(token: str, scope: str) -> bytes:
    text = f"{scope}\0{token}".encode(errors="surrogatepass")
    return blake2s(text, digest_size=_SEAL_BYTES).digest()


def _check(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Invalid("the filter is no Unicode text") from None
