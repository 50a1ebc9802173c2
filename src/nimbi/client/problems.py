"""What answers that tell of a failure mean: the same errors as of a cloud called directly."""

from collections.abc import Mapping
from typing import Any

import msgspec

from nimbi.model.errors import (
    ERRORS,
    CloudError,
    CloudUnavailable,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    QuotaExceeded,
    Throttled,
    Timeout,
    Unauthorized,
    Unsupported,
)

# Problems that are about HTTP or the server itself, by the end of their type's URL.
OF_SERVER: Mapping[str, type[CloudError]] = {
    "bad_request": Invalid,
    "no_such_place": NotFound,
    "method_not_allowed": Unsupported,
    "not_acceptable": Invalid,
    "key_in_progress": Conflict,
    "precondition_failed": Conflict,
    "too_large": Invalid,
    "unsupported_media_type": Invalid,
    "range_not_satisfiable": Invalid,
    "key_reused": Invalid,
    "account_unauthorized": Unauthorized,
    "internal": CloudError,
    "not_ready": CloudUnavailable,
}

BY_CODE: Mapping[str, type[CloudError]] = {
    CloudError.code: CloudError,
    **{error.code: error for error in ERRORS},
    **OF_SERVER,
}

# For answers that are no problems of RFC 9457: a proxy on the way made them.
BY_STATUS: Mapping[int, type[CloudError]] = {
    400: Invalid,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    407: Forbidden,
    409: Conflict,
    412: Conflict,
    413: Invalid,
    422: Invalid,
    429: Throttled,
    501: Unsupported,
    502: CloudUnavailable,
    503: CloudUnavailable,
    504: Timeout,
}


class _Problem(msgspec.Struct, frozen=True):
    """What is read of a problem (RFC 9457)."""

    type: str = ""
    title: str = ""
    detail: str = ""
    request_id: str | None = None
    retry_after_s: float | None = None
    capability: str | None = None
    tenant: str | None = None
    resource: str | None = None
    limit: int | None = None
    used: int | None = None
    wanted: int | None = None

    @property
    def code(self) -> str:
        return self.type.rpartition("/")[2]


_decode = msgspec.json.Decoder(_Problem).decode


def code_of(body: bytes) -> str:
    """Return the code of a problem, `key_in_progress`; empty when it is none."""
    try:
        return _decode(body).code
    except msgspec.DecodeError:
        return ""


def error_of(status: int, headers: Mapping[str, str], body: bytes) -> CloudError:
    """Return the error that an answer with a status from 300 tells."""
    try:
        problem = _decode(body)
    except msgspec.DecodeError:
        problem = _Problem()
    kind = BY_CODE.get(problem.code)
    if kind is None:
        kind = BY_STATUS.get(status, CloudError)
        words = problem.detail or problem.title or f"the server answered with status {status}"
    else:
        words = problem.detail or problem.title
    error = _made(kind, words, problem, headers)
    error.request_id = problem.request_id or headers.get("x-request-id")
    return error


def _made(
    kind: type[CloudError], words: str, problem: _Problem, headers: Mapping[str, str]
) -> CloudError:
    if kind is Throttled:
        told_s = problem.retry_after_s
        return Throttled(words, seconds(headers.get("retry-after")) if told_s is None else told_s)
    if kind is Unsupported:
        return Unsupported(words, problem.capability)
    if kind is QuotaExceeded:
        return QuotaExceeded(
            words,
            tenant=problem.tenant,
            resource=problem.resource,
            limit=problem.limit,
            used=problem.used,
            wanted=problem.wanted,
        )
    return kind(words)


def seconds(told: str | None) -> float | None:
    """Return the seconds of a Retry-After; None for a date, which the API never tells."""
    return float(told) if told is not None and told.isascii() and told.isdigit() else None


def told(code: str, message: str, retry_after_s: Any = None) -> CloudError:
    """Return the error of a code that was kept, as parts of lists and health have it."""
    kind = BY_CODE.get(code, CloudError)
    return Throttled(message, retry_after_s) if kind is Throttled else kind(message)
