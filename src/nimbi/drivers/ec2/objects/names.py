"""What S3 takes as names: of buckets, of blobs; and their metadata as headers."""

import re
from base64 import b64encode
from collections.abc import Mapping
from email.errors import HeaderParseError
from email.header import decode_header
from urllib.parse import quote, unquote_plus

from nimbi.model.errors import Invalid, NotFound

# Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_NEW_BUCKET = re.compile(r"(?=.{3,63}\Z)[a-z0-9][a-z0-9-]*(\.[a-z0-9][a-z0-9-]*)*(?<!-)\Z")
# What old buckets, and those of other stores, may be called.
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}\Z")
_DNS = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]\Z")
_ADDRESS = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+\Z")

LONGEST_KEY = 1024
# More does not fit through servers and proxies; AWS itself takes 2 KiB and says so.
MOST_METADATA = 8 * 1024
PREFIX = "x-amz-meta-"

# RFC 9110, section 5.6.2: what the name of a header is made of.
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
# What a header carries as it is: no blank at an end, nothing that looks encoded.
_PLAIN = re.compile(r"(?:[!-~](?:[ -~]*[!-~])?)?\Z")
# RFC 2047: an encoded word has at most 75 characters, so that much of its text in UTF-8.
_WORD_BYTES = 45


def new_bucket(name: str) -> str:
    """Return the name of a bucket that is to be. Raises Invalid."""
    if _NEW_BUCKET.match(name) is None or _ADDRESS.match(name) or ".-" in name or "-." in name:
        raise Invalid(
            f"a bucket can't be named {name[:80]!r}: 3 to 63 lower-case letters, digits, dots and"
            " dashes, beginning and ending with a letter or digit"
        )
    return name


def known_bucket(name: str) -> str:
    """Return the name of a bucket that is. Raises NotFound for what can name none."""
    if _BUCKET.match(name) is None:
        raise NotFound(f"there is no bucket {name[:80]!r}")
    return name


def is_host(bucket: str) -> bool:
    """Say whether a bucket can stand in the name of a host, and in its certificate."""
    return _DNS.match(bucket) is not None


def new_key(key: str) -> str:
    """Return the name of a blob that is to be. Raises Invalid."""
    if not key:
        raise Invalid("the name of the blob must not be empty")
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        raise Invalid("the name of the blob is no Unicode text") from None
    if size > LONGEST_KEY:
        raise Invalid(f"the name of a blob has at most {LONGEST_KEY} bytes of UTF-8, not {size}")
    return key


def known_key(key: str) -> str:
    """Return the name of a blob that is. Raises NotFound for what can name none."""
    try:
        return new_key(key)
    except Invalid:
        raise NotFound(f"there is no blob {key[:80]!r}") from None


def in_path(key: str) -> str:
    """Return a key as it stands in a URL: as AWS signs it, slashes kept."""
    return quote(key, safe="/-._~")


def decoded(text: str) -> str:
    """Return a key that a list tells with `encoding-type=url`, in which a space is a `+`."""
    return unquote_plus(text)


def check_content_type(text: str | None) -> str:
    """Return the header. Raises Invalid for what no header can carry."""
    if text is None:
        return "application/octet-stream"
    if not text or _PLAIN.match(text) is None or len(text) > LONGEST_KEY:
        raise Invalid("the content type must be plain ASCII text")
    return text


def metadata_headers(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return metadata as headers. Raises Invalid.

    Values that no header can carry as they are become encoded words of RFC 2047, as which AWS
    shows them as well.
    """
    found: dict[str, str] = {}
    for name, value in metadata.items():
        if _TOKEN.match(name) is None:
            raise Invalid(f"{name[:80]!r} can't name metadata: it is no HTTP token")
        if _CONTROL.search(value):
            raise Invalid(f"the metadata {name[:80]!r} hold a control character")
        found[PREFIX + name.lower()] = _worded(value)
    if len(found) < len(metadata):
        raise Invalid("two names of metadata differ only in case")
    if sum(len(name) + len(value) for name, value in found.items()) > MOST_METADATA:
        raise Invalid(f"the metadata of a blob may have {MOST_METADATA} bytes in all")
    return found


def metadata_of(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the metadata among the headers of an answer."""
    return {
        name[len(PREFIX) :]: _unworded(value)
        for name, value in headers.items()
        if name[: len(PREFIX)].lower() == PREFIX
    }


def _worded(value: str) -> str:
    if _PLAIN.match(value) and "=?" not in value:
        return value
    words, block = [], b""
    for letter in value:
        raw = letter.encode()
        if len(block) + len(raw) > _WORD_BYTES:
            words.append(block)
            block = b""
        block += raw
    words.append(block)
    return " ".join(f"=?UTF-8?B?{b64encode(word).decode()}?=" for word in words)


def _unworded(value: str) -> str:
    # What is raw UTF-8 in a header arrives as text with surrogates for its bytes.
    value = value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if "=?" not in value:
        return value
    try:
        parts = decode_header(value)
        text = "".join(
            part if isinstance(part, str) else part.decode(charset or "ascii")
            for part, charset in parts
        )
    except (HeaderParseError, LookupError, ValueError):
        return value
    return value if _CONTROL.search(text) else text
