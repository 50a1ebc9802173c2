"""One request to a service of OpenStack, and what its answer says."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from html import unescape
from re import compile as pattern
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from nimbi.drivers.openstack.errors import OpenStackError
from nimbi.model.errors import CloudUnavailable, Invalid, NotFound, UnknownOutcome
from nimbi.wire.http import (
    Answer,
    AnswerLost,
    HttpClient,
    HttpError,
    NotReached,
    Request,
    Stream,
    TooLarge,
    Unsendable,
)
from nimbi.wire.times import seconds

READ, CHANGE = "read", "change"
OBJECT_READ, OBJECT_CHANGE = "object read", "object change"
FIRST_PER_S = {READ: 10.0, CHANGE: 2.0, OBJECT_READ: 100.0, OBJECT_CHANGE: 50.0}
"""How many requests a second of a kind may leave after the first that was one too many."""

REQUEST_ID_HEADERS = ("x-openstack-request-id", "x-compute-request-id", "x-trans-id")
LONGEST_ID = 1024
ERROR_BYTES = 64 * 1024

_TAG = pattern(r"<[^>]*>")
_SPACE = pattern(r"\s+")


def quoted(id: str) -> str:
    """Return an id as one part of a path. Raises NotFound for what no path can name."""
    if id in ("", ".", "..") or len(id) > LONGEST_ID or "\0" in id:
        raise NotFound(f"there is nothing with the id {id[:100]!r}")
    try:
        return quote(id, safe="")
    except UnicodeEncodeError as error:
        raise NotFound("an id is Unicode text") from error


def with_query(url: str, query: Mapping[str, Any] | None) -> str:
    """Return a URL with its query; None as a value leaves a name out, lists repeat it."""
    if not query:
        return url
    pairs = [
        (name, _text(value))
        for name, values in query.items()
        if values is not None
        for value in (values if isinstance(values, list | tuple) else (values,))
    ]
    if not pairs:
        return url
    try:
        return f"{url}{'&' if '?' in url else '?'}{urlencode(pairs)}"
    except UnicodeEncodeError as error:
        raise Invalid("what is asked for is no Unicode text") from error


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def family_of(service: str, *, changes: bool) -> str:
    """Return which of a cloud's limits a request counts for."""
    if service == "object-store":
        return OBJECT_CHANGE if changes else OBJECT_READ
    return CHANGE if changes else READ


async def sent(http: HttpClient, request: Request, *, changes: bool) -> Answer:
    """Return the answer to a request. Raises CloudUnavailable, UnknownOutcome, Invalid."""
    try:
        return await http.send(request)
    except NotReached as error:
        raise CloudUnavailable(f"OpenStack could not be reached: {error}") from error
    except (AnswerLost, TooLarge) as error:
        raise lost(str(error), changes=changes) from error
    except Unsendable as error:
        raise Invalid(str(error)) from error


def lost(why: str, *, changes: bool) -> CloudUnavailable | UnknownOutcome:
    """Return the error of an answer that did not come, or not wholly."""
    if changes:
        return UnknownOutcome(f"OpenStack may have done it, its answer was lost: {why}")
    return CloudUnavailable(f"OpenStack gave no whole answer: {why}")


async def opened(
    http: HttpClient, request: Request, service: str, *, changes: bool
) -> tuple[AbstractAsyncContextManager[Stream], Stream]:
    """Return an answer whose body is still to come, and what must be left after it.

    Raises as `sent` does, and OpenStackError for a status from 300.
    """
    way = http.stream(request)
    try:
        answer = await way.__aenter__()
    except NotReached as error:
        raise CloudUnavailable(f"OpenStack could not be reached: {error}") from error
    except AnswerLost as error:
        raise lost(str(error), changes=changes) from error
    except Unsendable as error:
        raise Invalid(str(error)) from error
    if answer.status < 300:
        return way, answer
    try:
        body = b"" if answer.status == 304 else await answer.read(ERROR_BYTES)
    except HttpError:
        # The status says enough.
        body = b""
    finally:
        await way.__aexit__(None, None, None)
    raise openstack_error(service, answer.status, answer.headers, body, changes=changes)


def encoded(body: Any, headers: Mapping[str, str] | None) -> tuple[bytes, Mapping[str, str]]:
    """Return a body as JSON, and the headers that go with it."""
    told = {"Accept": "application/json", **(headers or {})}
    if body is None:
        return b"", told
    told.setdefault("Content-Type", "application/json")
    if isinstance(body, bytes):
        return body, told
    try:
        return msgspec.json.encode(body), told
    except UnicodeEncodeError as error:
        raise Invalid("what is asked for is no Unicode text") from error


def told_apart(
    method: str, service: str, path: str, query: Mapping[str, Any] | None
) -> tuple[str, Mapping[str, Any] | None]:
    """Return the method and query by which a service tells what a HEAD is to tell.

    Swift behind eventlet sends the end of a body after it, when the answer is no object's, which
    breaks the connection.
    """
    if method == "HEAD" and service == "object-store" and "/" not in path.strip("/"):
        return "GET", {"limit": 1, **(query or {})}
    return method, query


def decoded(answer: Answer, *, changes: bool) -> Any:
    """Return the JSON of an answer, None of an empty one. Raises as `lost` for what is none."""
    if not answer.body:
        return None
    try:
        return msgspec.json.decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise lost("it is no JSON", changes=changes) from error


def openstack_error(
    service: str, status: int, headers: Mapping[str, str], body: bytes, *, changes: bool = False
) -> OpenStackError:
    """Return what an answer with a status from 300 says, in the shape of any of the services."""
    id = next((headers[name] for name in REQUEST_ID_HEADERS if name in headers), None)
    wait_s = seconds(headers.get("Retry-After"))
    code, message = "", ""
    try:
        code, message, told_s = _fault(msgspec.json.decode(body))
        wait_s = wait_s if wait_s is not None else told_s
    except (msgspec.DecodeError, UnicodeDecodeError):
        if body.lstrip().startswith(b"{"):
            # Nobody knows what an error said that was cut short.
            status = max(status, 502)
        else:
            message = body[:4096].decode(errors="replace")
    message = _plain(message) or f"status {status}"
    return OpenStackError(
        service, status, code, message, id, wait_s, changes=changes, headers=headers
    )


def _fault(told: Any) -> tuple[str, str, float | None]:
    """Return the code, the message, and the seconds to wait, of a fault in JSON."""
    if not isinstance(told, dict) or not told:
        return "", "", None
    if isinstance(error := told.get("NeutronError"), dict):
        return _str(error.get("type")), _str(error.get("message")), None
    if isinstance(errors := told.get("errors"), list) and errors and isinstance(errors[0], dict):
        return _str(errors[0].get("code")), _str(errors[0].get("detail")), None
    if "faultstring" in told:
        return "", _str(told["faultstring"]), None
    if isinstance(error := told.get("error"), dict):
        return _name(error.get("title")), _str(error.get("message")), None
    name, fault = next(iter(told.items()))
    if len(told) == 1 and isinstance(fault, dict):
        wait_s = seconds(_str(fault.get("retryAfter")))
        return name, _str(fault.get("message")), wait_s
    said = told.get("message") or told.get("description") or fault
    return _name(told.get("title")), _str(said), None


def _name(title: Any) -> str:
    """Return a title (`Not Found`) as a code: it is the status in words."""
    return _str(title).replace(" ", "")


def _str(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)


def _plain(message: str) -> str:
    """Return one line of a message that may be HTML."""
    return _SPACE.sub(" ", unescape(_TAG.sub(" ", message))).strip()[:1000]
