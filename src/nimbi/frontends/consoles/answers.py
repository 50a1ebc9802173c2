"""Answers: JSON, and errors by one table."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.responses import Response

from nimbi.model import errors as model

STATUS: Mapping[type[model.CloudError], int] = {
    model.CloudError: 502,
    model.Unauthorized: 401,
    model.Forbidden: 403,
    model.NotFound: 404,
    model.Conflict: 409,
    model.Invalid: 422,
    model.QuotaExceeded: 429,
    model.OutOfCapacity: 503,
    model.Throttled: 429,
    model.Unsupported: 501,
    model.CloudUnavailable: 503,
    model.Timeout: 504,
    model.UnknownOutcome: 504,
}

# A picture or a log is of this moment and of one login only; no other site may show it.
PRIVATE = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
}


@dataclass(frozen=True)
class Refused(Exception):
    """A request that is refused for its form, before anything is asked of a cloud."""

    status: int
    code: str
    message: str
    headers: tuple[tuple[str, str], ...] = ()


def as_json(status: int, content: Any) -> Response:
    body = msgspec.json.encode(content)
    return Response(body, status, headers=PRIVATE, media_type="application/json")


def refusal(error: Refused) -> Response:
    told = as_json(error.status, {"error": {"code": error.code, "message": error.message}})
    told.headers.update(dict(error.headers))
    return told


def failure(error: model.CloudError, realm: str) -> Response:
    """Return the answer to an error; a missing login is asked for."""
    status = next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
    told = as_json(status, {"error": {"code": error.code, "message": error.message}})
    if isinstance(error, model.Unauthorized):
        told.headers["www-authenticate"] = f'Basic realm="{realm}", charset="UTF-8"'
    if isinstance(error, model.Throttled) and error.retry_after_s is not None:
        told.headers["retry-after"] = str(max(1, round(error.retry_after_s)))
    return told
