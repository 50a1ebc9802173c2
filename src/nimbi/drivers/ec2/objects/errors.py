"""What S3's error codes mean, and its bare statuses where an answer has no body."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from nimbi.model.errors import (
    CloudError,
    CloudUnavailable,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    OutOfCapacity,
    QuotaExceeded,
    Throttled,
    Unauthorized,
    UnknownOutcome,
    Unsupported,
)
from nimbi.wire.xml_read import Element, MalformedXml, parse

# Source: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html; MinIO's and Ceph's
# own codes beside them.
CODES: Mapping[str, type[CloudError]] = {
    "AccessDenied": Forbidden,
    "AccountProblem": Forbidden,
    "AllAccessDisabled": Forbidden,
    "NotSignedUp": Forbidden,
    "UserSuspended": Forbidden,
    "AccessForbidden": Forbidden,
    "AuthFailure": Unauthorized,
    "AuthorizationHeaderMalformed": Unauthorized,
    "CredentialsNotSupported": Unauthorized,
    "ExpiredToken": Unauthorized,
    "InvalidAccessKeyId": Unauthorized,
    "InvalidClientTokenId": Unauthorized,
    "InvalidSecurity": Unauthorized,
    "InvalidToken": Unauthorized,
    "MissingSecurityHeader": Unauthorized,
    "RequestExpired": Unauthorized,
    "RequestTimeTooSkewed": Unauthorized,
    "SignatureDoesNotMatch": Unauthorized,
    "TokenRefreshRequired": Unauthorized,
    "UnrecognizedClientException": Unauthorized,
    # Of buckets that are asked for; that of a new one is checked here.
    "InvalidBucketName": NotFound,
    "NoSuchBucket": NotFound,
    "NoSuchKey": NotFound,
    "NoSuchUpload": NotFound,
    "NoSuchVersion": NotFound,
    "NotFound": NotFound,
    "BucketAlreadyExists": Conflict,
    "BucketAlreadyOwnedByYou": Conflict,
    "BucketNotEmpty": Conflict,
    "ConditionalRequestConflict": Conflict,
    "InvalidBucketState": Conflict,
    "InvalidObjectState": Conflict,
    "NotModified": Conflict,
    "OperationAborted": Conflict,
    "PreconditionFailed": Conflict,
    "BucketExists": Conflict,
    "EntityTooLarge": Invalid,
    "EntityTooSmall": Invalid,
    "IllegalLocationConstraintException": Invalid,
    "InvalidArgument": Invalid,
    "InvalidDigest": Invalid,
    "InvalidLocationConstraint": Invalid,
    "InvalidObjectName": Invalid,
    "InvalidPart": Invalid,
    "InvalidPartOrder": Invalid,
    "InvalidRange": Invalid,
    "InvalidRequest": Invalid,
    "InvalidStorageClass": Invalid,
    "InvalidURI": Invalid,
    "KeyTooLongError": Invalid,
    "MalformedXML": Invalid,
    "MetadataTooLarge": Invalid,
    "RequestHeaderSectionTooLarge": Invalid,
    "TooManyBuckets": QuotaExceeded,
    "QuotaExceeded": QuotaExceeded,
    "XMinioAdminBucketQuotaExceeded": QuotaExceeded,
    "InsufficientStorage": OutOfCapacity,
    "XMinioStorageFull": OutOfCapacity,
    "Busy": Throttled,
    "BandwidthLimitExceeded": Throttled,
    "RequestLimitExceeded": Throttled,
    "RequestThrottled": Throttled,
    "RequestThrottledException": Throttled,
    "ServiceUnavailable": Throttled,
    "SlowDown": Throttled,
    "SlowDownRead": Throttled,
    "SlowDownWrite": Throttled,
    "Throttling": Throttled,
    "ThrottlingException": Throttled,
    "TooManyRequests": Throttled,
    "TooManyRequestsException": Throttled,
    "MethodNotAllowed": Unsupported,
    "NotImplemented": Unsupported,
    # Nothing was stored: what came was damaged on its way, or not all of it came.
    "BadDigest": CloudUnavailable,
    "IncompleteBody": CloudUnavailable,
    "PermanentRedirect": CloudUnavailable,
    "Redirect": CloudUnavailable,
    "RequestTimeout": CloudUnavailable,
    "TemporaryRedirect": CloudUnavailable,
    "XAmzContentSHA256Mismatch": CloudUnavailable,
}

# Answers to HEAD have no body, and proxies have pages of their own.
STATUSES: Mapping[int, type[CloudError]] = {
    304: Conflict,
    400: Invalid,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    405: Unsupported,
    409: Conflict,
    411: Invalid,
    412: Conflict,
    413: Invalid,
    414: Invalid,
    416: Invalid,
    429: Throttled,
    431: Invalid,
    501: Unsupported,
    503: Throttled,
    507: OutOfCapacity,
}

_REGION = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}\Z")
_LONGEST = 300


class Fault:
    """An answer that is an error: its code ("" when it has none), text, and the region it tells."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        root = _root(body)
        self.code = _text(root, "Code")
        self.message = _text(root, "Message")
        told = headers.get("x-amz-bucket-region") or _text(root, "Region")
        self.region = told if _REGION.match(told) else ""

    @property
    def server_time(self) -> datetime | None:
        try:
            found = parsedate_to_datetime(self.headers.get("Date", ""))
        except ValueError:
            return None
        return found if found.tzinfo else found.replace(tzinfo=UTC)

    @property
    def retry_after_s(self) -> float | None:
        told = self.headers.get("Retry-After", "")
        return float(told) if told.isascii() and told.isdigit() and len(told) < 6 else None

    def error(self, what: str, *, changes: bool) -> CloudError:
        """Return it in the words of all clouds; `what` names the thing: `"the blob 'x'"`."""
        words = self.message or f"the store answered {self.status}"
        text = f"{what}: {words[:_LONGEST]}" + (f" ({self.code})" if self.code else "")
        kind = CODES.get(self.code) or STATUSES.get(self.status)
        if self.code == "InvalidURI" and not changes:
            # A name that the store refuses is none of a blob that is there.
            kind = NotFound
        if kind is Throttled:
            return Throttled(text, self.retry_after_s)
        if kind is None:
            in_doubt = self.status >= 500 or self.status < 300
            kind = (UnknownOutcome if changes else CloudUnavailable) if in_doubt else CloudError
        return kind(text)


def late_fault(headers: Mapping[str, str], body: bytes) -> tuple[Element, Fault | None]:
    """Return the root of an answer that began as a success, and the error that it may end as.

    S3 sends the status of a copy and of a completion before it has done either.
    """
    try:
        root = parse(body.lstrip())
    except MalformedXml:
        return parse(b"<Error/>"), Fault(500, headers, b"")
    # The real status stands in no header of such an answer: that of its code counts.
    return root, Fault(500, headers, body.lstrip()) if root.tag == "Error" else None


def _root(body: bytes) -> Element | None:
    if not body.lstrip().startswith(b"<"):
        return None
    try:
        root = parse(body.lstrip())
    except MalformedXml:
        return None
    return root if root.tag == "Error" else None


def _text(root: Element | None, name: str) -> str:
    text = "" if root is None else root.findtext(name) or ""
    return "".join(letter for letter in text if letter.isprintable())
