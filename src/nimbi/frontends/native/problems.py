"""What is answered when a request cannot be done: problems of RFC 9457."""

from collections.abc import Mapping
from math import ceil
from typing import Any

from nimbi.frontends.native.answer import Answer, Headers, encode
from nimbi.model.errors import CloudError, QuotaExceeded, Throttled, Unsupported

MEDIA_TYPE = "application/problem+json"

# Where people read what a code means; relative, so that it holds behind any host.
TYPES = "/v1/problems/"

# HTTP's answer to each code of a CloudError. RFC 9110, section 15.5 and 15.6; RFC 6585, section 4.
STATUSES: Mapping[str, int] = {
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "conflict": 409,
    "invalid": 422,
    "quota_exceeded": 429,
    "throttled": 429,
    "unsupported": 501,
    "cloud_error": 502,
    "out_of_capacity": 503,
    "cloud_unavailable": 503,
    "timeout": 504,
    "unknown_outcome": 504,
}

# What no CloudError says, since it is about HTTP or about this server: its status, the code of the
# CloudError that a program may take it for, and its meaning.
OWN: Mapping[str, tuple[int, str, str]] = {
    "bad_request": (400, "invalid", "The request cannot be understood."),
    "no_such_place": (404, "not_found", "Nothing is at this path."),
    "method_not_allowed": (405, "invalid", "This path does not know the method."),
    "not_acceptable": (406, "invalid", "The answer has none of the forms that Accept names."),
    "key_in_progress": (409, "conflict", "The first request with this key is still under way."),
    "precondition_failed": (412, "conflict", "The thing is not as the request expects it."),
    "too_large": (413, "invalid", "The body is larger than this server takes."),
    "unsupported_media_type": (415, "invalid", "The body is of a type that is not taken here."),
    "range_not_satisfiable": (416, "invalid", "The range is outside of the content."),
    "key_reused": (422, "invalid", "The key came with another request before."),
    "internal": (500, "cloud_error", "The server failed; its log says more under the request id."),
    "account_unauthorized": (502, "unauthorized", "The cloud refuses the account's login."),
    "not_ready": (503, "cloud_unavailable", "The server is starting or stopping."),
}

# What is told of a quota that is reached.
QUOTA = ("tenant", "resource", "limit", "used", "wanted")

TITLES: Mapping[str, str] = {
    "unauthorized": "The token is missing, wrong or expired.",
    "forbidden": "The token, or the account's login, may not do this.",
    "not_found": "There is no such thing.",
    "conflict": "The state of the thing, or a name in use, forbids it.",
    "invalid": "The request itself is wrong.",
    "quota_exceeded": "The limit of the account, or of a tenant, is reached.",
    "throttled": "Too many requests; nothing was done.",
    "unsupported": "This cloud cannot do that.",
    "cloud_error": "The cloud answered with an error of its own.",
    "out_of_capacity": "The cloud has no room now.",
    "cloud_unavailable": "The cloud could not be reached; nothing was done.",
    "timeout": "There was no answer in time.",
    "unknown_outcome": "It may have been carried out; the answer was lost.",
}

# All kinds of problems: status, code and title. `type` ends in the kind; `code` is one of the
# CloudErrors', so that a program needs to know no others.
KINDS: Mapping[str, tuple[int, str, str]] = {
    **OWN,
    **{code: (status, code, TITLES[code]) for code, status in STATUSES.items()},
}


class Problem(Exception):
    """Ends a request with a kind of OWN; `more` are further members, such as `allowed`."""

    def __init__(
        self,
        kind: str,
        detail: str,
        headers: Headers = (),
        more: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.headers = headers
        self.more = more or {}

    @property
    def status(self) -> int:
        return OWN[self.kind][0]


def bad_request(detail: str) -> Problem:
    return Problem("bad_request", detail)


def no_such_place() -> Problem:
    return Problem("no_such_place", "there is nothing at this path; /v1/docs tells what is")


def precondition_failed(detail: str) -> Problem:
    return Problem("precondition_failed", detail)


def of_problem(problem: Problem, request_id: str) -> Answer:
    """Return the answer that tells a problem."""
    return _answer(problem.kind, problem.detail, request_id, problem.more, problem.headers)


def of_error(error: CloudError, request_id: str, headers: Headers = ()) -> Answer:
    """Return the answer that tells a CloudError.

    What a program may act on is told too: `retry_after_s`, `capability`, the quota that is reached.
    """
    more: dict[str, Any] = {}
    if isinstance(error, Throttled) and error.retry_after_s is not None:
        more["retry_after_s"] = error.retry_after_s
        headers = (*headers, (b"retry-after", b"%d" % max(ceil(error.retry_after_s), 0)))
    if isinstance(error, Unsupported) and error.capability is not None:
        more["capability"] = error.capability
    if isinstance(error, QuotaExceeded) and error.tenant is not None:
        more |= {name: getattr(error, name) for name in QUOTA}
    return _answer(error.code, error.message, request_id, more, headers)


def internal(request_id: str) -> Answer:
    """Return the answer to what no one foresaw; it tells nothing but the request id."""
    return _answer("internal", OWN["internal"][2], request_id, {}, ())


def _answer(
    kind: str, detail: str, request_id: str, more: Mapping[str, Any], headers: Headers
) -> Answer:
    status, code, title = KINDS[kind]
    body = {
        "type": TYPES + kind,
        "title": title,
        "status": status,
        "detail": detail.encode("utf-8", "replace").decode(),
        "code": code,
        "request_id": request_id,
        **more,
    }
    return Answer(status, encode(body), MEDIA_TYPE, headers)
