"""What Swift takes as names: of containers, of objects; and their metadata as headers."""

import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from hashlib import blake2s
from urllib.parse import quote

from nimbi.drivers.openstack.objects.rules import Limits
from nimbi.model.errors import Invalid, NotFound

# Containers of segments, which are shown to nobody.
SEGMENTS = "nimbi-segments-"
PREFIX = "x-object-meta-"

# RFC 9110, section 5.6.2, without the underscore: behind WSGI that is the same as a dash.
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^`|~-]+\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
# A value that a header does not carry as it is: RFC 2047, in one word.
_WORD = re.compile(r"=\?UTF-8\?B\?([A-Za-z0-9+/=]*)\?=\Z")
_CONTENT_TYPE = re.compile(r"[!-~](?:[ -~]*[!-~])?\Z")
LONGEST_CONTENT_TYPE = 1024


def new_bucket(name: str, limits: Limits) -> str:
    """Return the name of a bucket that is to be. Raises Invalid."""
    if name.startswith(SEGMENTS):
        raise Invalid(f"a bucket can't be named {name[:80]!r}: segments of blobs are kept there")
    if "/" in name:
        raise Invalid("the name of a bucket can't have a slash")
    return _checked(name, "bucket", limits.container_name_bytes)


def known_bucket(name: str) -> str:
    """Return the name of a bucket that is. Raises NotFound for what can name none."""
    try:
        return new_bucket(name, Limits())
    except Invalid:
        raise NotFound(f"there is no bucket {name[:80]!r}") from None


def new_key(key: str, limits: Limits) -> str:
    """Return the name of a blob that is to be. Raises Invalid."""
    return _checked(key, "blob", limits.object_name_bytes)


def known_key(key: str) -> str:
    """Return the name of a blob that is. Raises NotFound for what can name none."""
    try:
        return new_key(key, Limits())
    except Invalid:
        raise NotFound(f"there is no blob {key[:80]!r}") from None


def segments_of(bucket: str) -> str:
    """Return the name of the container of the segments of a bucket's blobs."""
    name = SEGMENTS + bucket
    if len(name.encode()) <= Limits().container_name_bytes:
        return name
    return SEGMENTS + blake2s(bucket.encode()).hexdigest()


def in_path(container: str, key: str = "") -> str:
    """Return the path of an object, or of a container (no key), slashes in keys kept.

    Dots that a proxy could take for another folder are told as what they are.
    """
    path = f"/{_dotted(quote(container, safe=''))}"
    if not key:
        return path
    return f"{path}/{'/'.join(_dotted(quote(part, safe='')) for part in key.split('/'))}"


def check_content_type(text: str | None) -> str:
    """Return the header. Raises Invalid for what no header can carry."""
    if text is None:
        # Swift would guess by the name.
        return "application/octet-stream"
    if _CONTENT_TYPE.match(text) is None or len(text) > LONGEST_CONTENT_TYPE:
        raise Invalid("the content type must be plain ASCII text")
    return text


def metadata_headers(metadata: Mapping[str, str], limits: Limits) -> dict[str, str]:
    """Return metadata as headers. Raises Invalid.

    Values stay as they are, in UTF-8, save those that a header would change.
    """
    found: dict[str, str] = {}
    for name, value in metadata.items():
        if _TOKEN.match(name) is None:
            raise Invalid(f"{name[:80]!r} can't name metadata: it is no HTTP token, or has a _")
        if _CONTROL.search(value):
            raise Invalid(f"the metadata {name[:80]!r} hold a control character")
        found[PREFIX + name.lower()] = _worded(value)
    if len(found) < len(metadata):
        raise Invalid("two names of metadata differ only in case")
    _check_sizes(found, limits)
    return found


def metadata_of(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the metadata among the headers of an answer, names in lower case."""
    return {
        name[len(PREFIX) :].lower(): _unworded(value)
        for name, value in headers.items()
        if name[: len(PREFIX)].lower() == PREFIX
    }


def _checked(name: str, what: str, most_bytes: int) -> str:
    if not name:
        raise Invalid(f"the name of the {what} must not be empty")
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise Invalid(f"the name of the {what} is no Unicode text") from None
    if "\0" in name:
        raise Invalid(f"the name of the {what} can't have a NUL")
    if size > most_bytes:
        raise Invalid(f"the name of a {what} has at most {most_bytes} bytes of UTF-8, not {size}")
    return name


def _dotted(part: str) -> str:
    return part.replace(".", "%2E") if part in {".", ".."} else part


def _check_sizes(headers: Mapping[str, str], limits: Limits) -> None:
    sizes = [(len(name) - len(PREFIX), len(value.encode())) for name, value in headers.items()]
    if len(sizes) > limits.metadata_count:
        raise Invalid(f"a blob has at most {limits.metadata_count} metadata")
    if any(name > limits.metadata_name_bytes for name, _ in sizes):
        raise Invalid(f"a name of metadata has at most {limits.metadata_name_bytes} bytes")
    if any(value > limits.metadata_value_bytes for _, value in sizes):
        raise Invalid(f"a value of metadata has at most {limits.metadata_value_bytes} bytes")
    if sum(map(sum, sizes)) > limits.metadata_bytes:
        raise Invalid(f"the metadata of a blob have at most {limits.metadata_bytes} bytes in all")


def _worded(value: str) -> str:
    # Swift forgets what is empty, and HTTP what is blank at the ends.
    if value and value == value.strip() and _WORD.match(value) is None:
        return value
    return f"=?UTF-8?B?{b64encode(value.encode()).decode()}?="


def _unworded(value: str) -> str:
    value = value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    found = _WORD.match(value)
    if found is None:
        return value
    try:
        return b64decode(found[1], validate=True).decode()
    except ValueError:
        return value
