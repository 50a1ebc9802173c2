"""What OpenStack's statuses and fault codes mean."""

from collections.abc import Mapping

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

Kind = type[CloudError]

EXCEEDED = "quotaExceeded"
"""The code that `Session` gives to a refusal of Nova's after its limits were looked at.

Nova itself has the same status and code for a limit and for what a role may not do.
"""


class OpenStackError(Exception):
    """What a service answered instead of what was asked.

    `code` is the name of the fault (`itemNotFound`, Neutron's type `OverQuota`, …), "" when the
    answer had none. `changes` is whether the request could have changed something;
    `retry_after_s` is None when the service does not say when to come back.
    """

    def __init__(
        self,
        service: str,
        status: int,
        code: str = "",
        message: str = "",
        request_id: str | None = None,
        retry_after_s: float | None = None,
        *,
        changes: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{service} {status} {code}: {message}")
        self.service = service
        self.status = status
        self.code = code
        self.message = message
        self.request_id = request_id
        self.retry_after_s = retry_after_s
        self.changes = changes
        self.headers: Mapping[str, str] = headers or {}


# Codes that say more than their status, or something else. Sources: the types of Neutron's and
# neutron-lib's exceptions, https://docs.openstack.org/api-ref/compute/#faults, and for those of
# other services nova/api/openstack/wsgi.py and keystonemiddleware.
_GROUPS: Mapping[Kind, str] = {
    Conflict: """
        AgentIsNotActive EndpointGroupInUse InUseByNetworkError StateInvalid
        FirewallIpAddressConflict FirewallPolicyConflict FirewallRuleSharingConflict""",
    Invalid: """
        AllocationPoolExceedsSubnet GatewayConflictWithAllocationPools
        InvalidPTRZoneConfiguration InvalidQuotaValue InvalidSharedSetting IpamValueInvalid
        InvalidDestinationPort InvalidSourcePort OverlappingAllocationPools QuotaResourceUnknown""",
    QuotaExceeded: "OverQuota SubnetPoolQuotaExceeded quotaExceeded",
    OutOfCapacity: """
        ExternalIpAddressExhausted HostMacAddressGenerationFailure IpAddressGenerationFailure
        IpAddressGenerationFailureNoMatchingSubnet MacAddressGenerationFailure
        NetworkMacAddressGenerationFailure NoEligibleDHCPAgent NoEligibleL3Agent NoNetworkAvailable
        NoNetworkFoundInMaximumAllowedAttempts NoValidHost ResourceExhausted SubnetAllocationError
        TunnelIdInUse""",
    Unsupported: """
        ExtensionsNotFound LoggingTypeNotSupported NetworkSegmentRangeNetTypeNotSupported
        QosRuleNotSupported UnsupportedPortDeviceOwner notImplemented""",
    # The service itself refused, before it did anything.
    CloudUnavailable: """
        FlavorDisabled OvsdbConnectionUnavailable ServiceProfileDisabled ServiceUnavailable
        serviceUnavailable""",
}

CODES: Mapping[str, Kind] = {
    code: kind for kind, codes in _GROUPS.items() for code in codes.split()
}

# Of an answer whose code says nothing by itself.
STATUSES: Mapping[int, Kind] = {
    # A version of the API that the service does not speak, or speaks no more.
    300: Unsupported,
    400: Invalid,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    405: Unsupported,
    406: Unsupported,
    408: CloudUnavailable,
    409: Conflict,
    410: Unsupported,
    411: Invalid,
    412: Conflict,
    # Glance and Swift; the others say `overLimit`.
    413: QuotaExceeded,
    414: Invalid,
    415: Invalid,
    416: Invalid,
    422: Invalid,
    423: Conflict,
    429: Throttled,
    # Swift's limits of rates.
    498: Throttled,
    501: Unsupported,
    507: OutOfCapacity,
}

# What Nova writes as the fault of a server that found no place.
NO_PLACE = ("No valid host was found", "Exceeded maximum number of retries")

_RATE_OR_QUOTA = frozenset({"overLimit", "overLimitFault", "OverLimit", "rateLimit"})


def is_throttled(error: OpenStackError) -> bool:
    """Return whether nothing was done because the service was asked too often."""
    return kind_of(error) is Throttled


def is_refused_login(error: OpenStackError) -> bool:
    """Return whether nothing was done because the token is not, or no longer, known."""
    return error.status == 401


def to_error(error: Exception) -> CloudError | None:
    """Sort OpenStack's errors by code, and by status those whose code tells nothing."""
    if not isinstance(error, OpenStackError):
        return None
    kind = kind_of(error)
    said = error.message or f"it answered {error.status}"
    text = f"{error.service}: {said}" + (f" ({error.code})" if error.code else "")
    if kind is Unauthorized:
        return Unauthorized(f"OpenStack refused the login: {error.service} answered {error.status}")
    if kind is UnknownOutcome:
        return UnknownOutcome(f"OpenStack may have done it, and failed: {text}")
    if kind is Throttled:
        return Throttled(text, error.retry_after_s)
    return kind(text)


def kind_of(error: OpenStackError) -> Kind:
    """Return what an error means."""
    if error.code in _RATE_OR_QUOTA:
        return _over_limit(error)
    if error.status == 401:
        return Unauthorized
    if known := CODES.get(error.code) or STATUSES.get(error.status):
        return known
    if error.status >= 500:
        return UnknownOutcome if error.changes else CloudUnavailable
    return Invalid if error.status >= 400 else CloudError


def _over_limit(error: OpenStackError) -> Kind:
    """Tell limits of rates, after which it helps to wait, from those of quotas.

    Cinder says of a quota that one may come back after 0 seconds.
    """
    if error.status == 429 or error.retry_after_s:
        return Throttled
    return QuotaExceeded


def fault_error(fault: Mapping[str, object]) -> CloudError:
    """Return what the `fault` of a server in error means.

    OutOfCapacity when no host had room for it. Nova has no code for that beside the text.
    """
    message = str(fault.get("message") or "the server failed")
    if message.startswith(NO_PLACE):
        return OutOfCapacity(message)
    return CloudError(message)
