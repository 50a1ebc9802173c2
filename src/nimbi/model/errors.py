"""All errors that a caller of any cloud can meet.

CloudError                  the cloud answered with something that nothing below describes
├── Unauthorized            the login is missing or wrong
├── Forbidden               the login is right, and may not do this
├── NotFound                there is no such thing
├── Conflict                the present state of the thing, or a name in use, forbids it
├── Invalid                 the request itself is wrong
├── QuotaExceeded           the account's limit is reached
├── OutOfCapacity           the cloud has no room now; another realm or cloud may have
├── Throttled               too many requests; nothing was done; `retry_after_s` says when
├── Unsupported             this cloud (or this account on it) cannot do that at all
├── CloudUnavailable        the cloud could not be reached; nothing was done
├── Timeout                 no answer within the deadline
└── UnknownOutcome          the request may have been carried out, the answer was lost
"""

from typing import ClassVar


class CloudError(Exception):
    """What went wrong, in words for a person; never holds a secret.

    Programs act on the class or on `code`, never on the text. `request_id` is that of the request
    to a server of Nimbi that ended so, when one was asked over HTTP: its logs have it too.
    """

    code: ClassVar[str] = "cloud_error"
    request_id: str | None = None

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Unauthorized(CloudError):
    """The login is missing or wrong."""

    code = "unauthorized"


class Forbidden(CloudError):
    """The login is right, and may not do this."""

    code = "forbidden"


class NotFound(CloudError):
    """There is no such thing."""

    code = "not_found"


class Conflict(CloudError):
    """The present state of the thing, or a name in use, forbids it."""

    code = "conflict"


class Invalid(CloudError):
    """The request itself is wrong."""

    code = "invalid"


class QuotaExceeded(CloudError):
    """The account's limit is reached, or that of a tenant here.

    Of a tenant's own quota it is told which: `wanted` more were asked for than `limit` - `used`.
    """

    code = "quota_exceeded"

    def __init__(
        self,
        message: str,
        *,
        tenant: str | None = None,
        resource: str | None = None,
        limit: int | None = None,
        used: int | None = None,
        wanted: int | None = None,
    ) -> None:
        super().__init__(message)
        self.tenant = tenant
        self.resource = resource
        self.limit = limit
        self.used = used
        self.wanted = wanted


class OutOfCapacity(CloudError):
    """The cloud has no room now; another realm or cloud may have."""

    code = "out_of_capacity"


class Throttled(CloudError):
    """Too many requests; nothing was done. `retry_after_s` is None when the cloud does not say."""

    code = "throttled"

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Unsupported(CloudError):
    """The cloud, or the account on it, cannot do that at all.

    `capability` names the operation (`instances.start`) or feature (`instances.user_data`).
    """

    code = "unsupported"

    def __init__(self, message: str, capability: str | None = None) -> None:
        super().__init__(message)
        self.capability = capability


class CloudUnavailable(CloudError):
    """The cloud could not be reached; nothing was done."""

    code = "cloud_unavailable"


class Timeout(CloudError):
    """No answer within the deadline."""

    code = "timeout"


class UnknownOutcome(CloudError):
    """The request may have been carried out, the answer was lost."""

    code = "unknown_outcome"


ERRORS: tuple[type[CloudError], ...] = (
    Unauthorized,
    Forbidden,
    NotFound,
    Conflict,
    Invalid,
    QuotaExceeded,
    OutOfCapacity,
    Throttled,
    Unsupported,
    CloudUnavailable,
    Timeout,
    UnknownOutcome,
)
