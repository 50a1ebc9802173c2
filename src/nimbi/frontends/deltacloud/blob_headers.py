"""The metadata of blobs, from headers and forms."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from nimbi.frontends.deltacloud.parameters import Parameters, natural
from nimbi.frontends.deltacloud.reply import Headers
from nimbi.model.errors import Invalid
from nimbi.wire import content_headers

METADATA_PREFIX = b"x-deltacloud-blobmeta-"

_META_NAME = re.compile(r"meta_name\d+", re.ASCII)


def metadata_of(headers: Mapping[bytes, bytes]) -> dict[str, str]:
    """Return the metadata that a request's headers tell, names in lower case."""
    with _invalid():
        return content_headers.metadata_of(headers, METADATA_PREFIX)


def metadata_of_form(parameters: Parameters) -> dict[str, str]:
    """Return the metadata of `meta_name1`, `meta_value1`, …, as if it came in headers."""
    found: dict[str, str] = {}
    for parameter in sorted((n for n in parameters.texts if _META_NAME.fullmatch(n)), key=natural):
        name = parameters.line(parameter)
        if name is not None:
            value = parameters.line("meta_value" + parameter.removeprefix("meta_name"))
            found[name.lower().removeprefix(METADATA_PREFIX.decode())] = value or ""
    with _invalid():
        return content_headers.checked_metadata(found)


def metadata_headers(metadata: Mapping[str, str]) -> Headers:
    """Return metadata as headers; what a header cannot hold is percent-encoded."""
    return content_headers.metadata_headers(metadata, METADATA_PREFIX)


@contextmanager
def _invalid() -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise Invalid(str(error)) from error
