"""Forms in the bodies of requests: parsed within limits, files spooled to disk."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.types import Receive

from nimbi.frontends.deltacloud.parameters import Parameters
from nimbi.frontends.deltacloud.reply import Problem
from nimbi.wire.request_body import BodyTooLarge, MalformedBody, chunks, told_size

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"

MAX_FIELDS = 1000


@dataclass(frozen=True)
class Limits:
    """Most bytes of a form's fields, and of one upload by form (which is spooled to disk)."""

    fields_bytes: int = 1 << 20
    files_bytes: int = 5 << 30


def bad_request(message: str) -> Problem:
    return Problem(400, "ValidationFailure", message)


def wrong_body(error: BodyTooLarge | MalformedBody) -> Problem:
    """Return the answer to a body that cannot be read."""
    if isinstance(error, BodyTooLarge):
        return Problem(413, "PayloadTooLarge", str(error))
    return bad_request(str(error))


def pairs(encoded: bytes) -> dict[str, str]:
    """Return the parameters of a query string or form; the last of equal names counts.

    Raises Problem for what is not UTF-8 or has too many fields.
    """
    try:
        text = encoded.decode("utf-8")
        return dict(
            parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
        )
    except UnicodeDecodeError as error:
        raise bad_request("the parameters are not UTF-8") from error
    except ValueError as error:
        raise bad_request(f"there are more than {MAX_FIELDS} parameters") from error


async def multipart(
    receive: Receive, headers: Mapping[bytes, bytes], limits: Limits, takes_files: bool
) -> Parameters:
    """Return the fields and files of a multipart form; close the files when they are read.

    Raises Problem for a broken form and for files where none are taken, and as `chunks`.
    """
    content_type = headers.get(b"content-type", b"")
    _, options = parse_options_header(content_type)
    charset = options.get(b"charset", b"utf-8").lower()
    if charset not in {b"utf-8", b"utf8", b"us-ascii"}:
        raise unsupported("a form in another charset than UTF-8")
    limit = limits.files_bytes if takes_files else limits.fields_bytes
    body = chunks(receive, told_size(headers), limit)
    parser = MultiPartParser(
        Headers(raw=[(b"content-type", content_type)]),
        body,  # type: ignore[arg-type]  # any asynchronous iterator will do
        max_files=16 if takes_files else 0,
        max_fields=MAX_FIELDS,
        max_part_size=limits.fields_bytes,
    )
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise bad_request(f"the form is broken: {error.message}") from error
    return _sorted(form)


def unsupported(what: str) -> Problem:
    message = f"{what} is not understood; send {URLENCODED}, {MULTIPART} or a query string"
    return Problem(415, "UnsupportedMediaType", message)


def _sorted(form: FormData) -> Parameters:
    texts: dict[str, str] = {}
    files: dict[str, UploadFile] = {}
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            files[name] = value
        else:
            texts[name] = value
    return Parameters(texts, files)
