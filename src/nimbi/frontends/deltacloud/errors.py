"""Errors of the model as this API tells them: status, class name, and the error document."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import msgspec

from nimbi.frontends.deltacloud.exchange import Exchange
from nimbi.frontends.deltacloud.formats import HTML, JSON
from nimbi.frontends.deltacloud.html import pages
from nimbi.frontends.deltacloud.page_view import page_view
from nimbi.frontends.deltacloud.reply import Headers, Problem, Reply
from nimbi.gateway.blob_reading import PreconditionFailed, RangeNotSatisfiable
from nimbi.model import errors as model
from nimbi.wire.matrix import PATH_SAFE
from nimbi.wire.xml import DECLARATION, cdata, escape

PREFIX = "Deltacloud::Exceptions::"


@dataclass(frozen=True)
class Told:
    """How one error is told: `text` is said where the error's own words are not."""

    status: int
    name: str
    text: str


# The statuses of the original, and for three conditions that it knew no status for, 429 and 503.
ERRORS: Mapping[type[model.CloudError], Told] = {
    model.CloudError: Told(502, "ProviderError", "Backend Server Error"),
    model.Unauthorized: Told(401, "AuthenticationFailure", "Unauthorized"),
    model.Forbidden: Told(403, "ForbiddenError", "Forbidden"),
    model.NotFound: Told(404, "ObjectNotFound", "Not Found"),
    model.Conflict: Told(409, "Conflict", "Resource Conflict"),
    model.Invalid: Told(400, "ValidationFailure", "Bad Request"),
    model.QuotaExceeded: Told(429, "QuotaExceeded", "Quota Exceeded"),
    model.OutOfCapacity: Told(503, "OutOfCapacity", "Out Of Capacity"),
    model.Throttled: Told(429, "Throttled", "Too Many Requests"),
    model.Unsupported: Told(501, "NotSupported", "Not Supported"),
    model.CloudUnavailable: Told(503, "ProviderUnavailable", "Service Unavailable"),
    model.Timeout: Told(504, "ProviderTimeout", "Gateway Timeout"),
    model.UnknownOutcome: Told(504, "ProviderTimeout", "Gateway Timeout"),
}

# What a condition or a range in a request makes of an error.
OF_HEADERS: Mapping[type[model.CloudError], Told] = {
    PreconditionFailed: Told(412, "PreconditionFailed", "Precondition Failed"),
    RangeNotSatisfiable: Told(416, "RangeNotSatisfiable", "Range Not Satisfiable"),
}

WRONG_STATE = Told(405, "MethodNotAllowed", "Method Not Allowed")

# Said by a cloud that is full or away, and does not say for how long.
RETRY_AFTER_S = 30

# Values of these are never shown in an error document.
SECRETS = frozenset({"password", "private_key", "user_data", "user_iso", "user_files"})
MAX_SHOWN_CHARS = 200


def told(error: model.CloudError) -> Told:
    """Return how an error is told; a subclass is told like the class that it comes from."""
    told = OF_HEADERS.get(type(error))
    return told or next(ERRORS[kind] for kind in type(error).__mro__ if kind in ERRORS)


def problem(error: model.CloudError, *, is_action: bool = False) -> Problem:
    """Return the answer to an error. `is_action` says that an instance's state was to change."""
    how = told(error)
    if is_action and isinstance(error, model.Conflict):
        # Clients know this condition by these words.
        return Problem(
            WRONG_STATE.status, WRONG_STATE.name, WRONG_STATE.text, details=error.message
        )
    return Problem(how.status, how.name, error.message or how.text, _headers(error))


def internal(request_id: str) -> Problem:
    """Return the answer to an error of our own: nothing of it is told."""
    message = f"Internal Server Error; the log of the server tells more under {request_id}"
    return Problem(500, "BackendError", message)


def reply(failure: Problem, exchange: Exchange) -> Reply:
    """Return the error document in the format of the request."""
    if exchange.format is JSON:
        body = msgspec.json.encode(facts(failure, exchange))
        media_type = "application/json"
    elif exchange.format is HTML:
        view = page_view(exchange)
        shown = facts(failure, exchange)
        if failure.details:
            shown["message"] = failure.details
        body = pages.error_page(view, failure.status, shown).encode("utf-8", "replace")
        media_type = "text/html"
    else:
        body = xml(failure, exchange).encode("utf-8", "replace")
        media_type = "application/xml"
    return Reply(failure.status, body, media_type, failure.headers)


def facts(failure: Problem, exchange: Exchange) -> dict[str, Any]:
    told = {
        "code": failure.status,
        "message": failure.message,
        "error": PREFIX + failure.name,
        "request_id": exchange.named_request(),
    }
    return told | {"details": failure.details} if failure.details else told


def xml(failure: Problem, exchange: Exchange) -> str:
    """Return the document; where the original put a stack trace stands the request's id."""
    selection = exchange.selection
    return (
        f"{DECLARATION}<error status='{failure.status}' url='{_url(exchange.path)}'>\n"
        f"  <backend driver='{escape(selection.driver)}'"
        f" provider='{escape(selection.provider or 'default')}'></backend>\n"
        f"  <code>{failure.status}</code>\n"
        f"  <message>{cdata(failure.message)}</message>\n"
        f"  <backtrace>{cdata(_trace(failure, exchange))}</backtrace>\n"
        f"  <request>\n{_parameters(exchange)}  </request>\n</error>\n"
    )


def _trace(failure: Problem, exchange: Exchange) -> str:
    request = f"request {exchange.named_request()}"
    return f"{failure.details}\n{request}" if failure.details else request


def _parameters(exchange: Exchange) -> str:
    given = {**exchange.parameters.texts, **getattr(exchange, "arguments", {})}
    return "".join(
        f"    <param name='{escape(name[:MAX_SHOWN_CHARS])}'>{cdata(_inspected(name, value))}"
        "</param>\n"
        for name, value in sorted(given.items())[:MAX_SHOWN_CHARS]
    )


def _inspected(name: str, value: str) -> str:
    if name in SECRETS or name.startswith("blob_data"):
        return '"[FILTERED]"'
    shown = value if len(value) <= MAX_SHOWN_CHARS else value[:MAX_SHOWN_CHARS] + "…"
    return '"' + shown.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _url(path: str) -> str:
    return escape(quote(path, safe="/%" + PATH_SAFE))


def _headers(error: model.CloudError) -> Headers:
    if isinstance(error, RangeNotSatisfiable):
        return ((b"content-range", error.content_range.encode("ascii")),)
    if isinstance(error, model.Throttled):
        seconds = error.retry_after_s if error.retry_after_s is not None else 1
        return ((b"retry-after", b"%d" % max(1, round(seconds + 0.49))),)
    if isinstance(error, (model.OutOfCapacity, model.CloudUnavailable, model.QuotaExceeded)):
        return ((b"retry-after", b"%d" % RETRY_AFTER_S),)
    return ()
