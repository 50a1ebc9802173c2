"""What AWS's error codes mean."""

from collections.abc import Mapping
from datetime import datetime

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


class AwsError(Exception):
    """What AWS answered instead of what was asked. `code` is "" when the answer was no AWS error.

    `changes` is whether the request could have changed something; `retry_after_s` is None when AWS
    does not say when to come back; `server_time` is what its clock said.
    """

    def __init__(
        self,
        code: str,
        message: str,
        status: int = 400,
        request_id: str | None = None,
        retry_after_s: float | None = None,
        server_time: datetime | None = None,
        *,
        changes: bool = False,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.request_id = request_id
        self.retry_after_s = retry_after_s
        self.server_time = server_time
        self.changes = changes


# Codes that say that nothing is known about what the server did: it broke in the midst of it.
BROKEN = frozenset(
    [
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "InternalServerException",
        "InternalServiceError",
        "InternalServiceFault",
        "ServerInternal",
    ]
)

# Codes that say that this machine's clock is wrong, when the keys are not too old.
SKEWED = frozenset(
    [
        "RequestTimeTooSkewed",
        "RequestExpired",
        "InvalidSecurity.RequestHasExpired",
        "RequestInTheFuture",
        "SignatureDoesNotMatch",
        "InvalidSignatureException",
        "AuthFailure",
    ]
)

# By the code itself. Sources: https://docs.aws.amazon.com/ec2/latest/devguide/errors-overview.html
# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html and the CommonErrors pages of
# Elastic Load Balancing, CloudWatch and STS.
_GROUPS: Mapping[Kind, str] = {
    Unauthorized: """
        ExpiredToken ExpiredTokenException ExpiredTradeInTokenException IncompleteSignature
        InvalidAccessKeyId InvalidClientTokenId InvalidIdentityToken InvalidSecurity
        InvalidSecurity.RequestHasExpired InvalidSignatureException InvalidToken
        MissingAuthenticationToken MissingAuthenticationTokenException MissingSecurityHeader
        RequestExpired RequestInTheFuture RequestTimeTooSkewed SignatureDoesNotMatch
        TokenRefreshRequired UnauthorizedException UnrecognizedClientException
        IDPRejectedClaim InvalidClientException InvalidGrantException UnauthorizedClientException
        AuthorizationPendingException""",
    Forbidden: """
        AccessDenied AccessDeniedException AccountDisabled AccountProblem AllAccessDisabled Blocked
        CrossLocationLoggingProhibited CustomerKeyHasBeenRevoked
        DeclarativePoliciesAccessDeniedException DeclarativePoliciesNotEnabledException
        DeleteAssociationSameAccount InaccessibleStorageLocation
        InaccessibleStorageLocationException InvalidClientVpnSubnetId.DifferentAccount
        InvalidPayer KmsAccessDeniedException KmsKeyDisabledException
        LogDestinationPermissionIssue NotAuthorized NotSignedUp OptInRequired
        OutboundWebIdentityFederationDisabledException PendingVerification RegionDisabledException
        SessionDurationEscalationException TagPolicyViolation UnauthorizedAccess
        UnauthorizedOperation""",
    NotFound: """
        Gateway.NotAttached InvalidPlacementGroup.Unknown InvalidReservedInstancesId
        InvalidReservedInstancesOfferingId InvalidScheduledInstance InvalidSubnet
        InvalidTargetArn.Unknown InvalidTrafficMirrorTargetNoFound InvalidVpnConnectionID
        InvalidAvailabilityZone NoSuchAnnotation NoSuchBucket NoSuchBucketPolicy
        NoSuchCORSConfiguration NoSuchEntity NoSuchKey NoSuchLifecycleConfiguration NoSuchTagSet
        NoSuchUpload NoSuchVersion NoSuchWebsiteConfiguration InvalidCapacityBlockOfferingIdExpired
        InvalidPurchaseToken.Expired LoadBalancerNotFound DefaultVpcDoesNotExist
        InvalidAMIID.Unavailable VPCIdNotSpecified InvalidConversionTaskId InvalidHostId""",
    Conflict: """
        AsnConflict BucketAlreadyExists BucketAlreadyOwnedByYou BucketNotEmpty CannotDelete
        CapacityReservationPending ConcurrentModificationException ConditionalRequestConflict
        DeleteConversionTaskError DependencyViolation DuplicateListener DuplicateLoadBalancerName
        DuplicateTargetGroupName DuplicateTrustStoreName EncryptionTypeMismatch
        ExistingVpcEndpointConnections HostAlreadyCoveredByReservation IdempotencyParameterMismatch
        IdempotentInstanceTerminated IdempotentParameterMismatch
        InterfaceInUseByTrafficMirrorSession
        InterfaceInUseByTrafficMirrorTarget InvalidAddress.Locked InvalidBucketState
        InvalidCapacityReservationState.PendingActivation InvalidClientVpnActiveAssociationNotFound
        InvalidClientVpnDuplicateAssociationException InvalidClientVpnDuplicateAuthorizationRule
        InvalidClientVpnDuplicateRoute InvalidClientVpnSubnetId.DuplicateAz
        InvalidClientVpnSubnetId.OverlappingCidr InvalidConfigurationRequest
        InvalidCustomerGateway.DuplicateIpAddress InvalidGroup.Reserved
        InvalidInstanceID.NotLinkable InvalidObjectState InvalidOption.Conflict
        InvalidRoute.InvalidState
        InvalidStateTransition InvalidSubnet.Conflict InvalidVolume.ZoneMismatch
        InvalidVolumeID.ZoneMismatch InvalidVpcPeeringConnectionState.DnsHostnamesDisabled
        InvalidVpnConnection.InvalidState InvalidWriteOffset LegacySecurityGroup
        NlbInUseByTrafficMirrorTargetException ObjectAlreadyInActiveTierError
        ObjectNotInActiveTierError OperationAborted OperationNotPermitted PreconditionFailed
        RestoreAlreadyInProgress ScheduledInstanceSlotNotOpen TrustStoreNotReady
        VolumeModificationRateExceeded ZonesMismatched""",
    Invalid: """
        BadDigest CapacityDecreaseRequestLimitExceeded ClientInvalidParameterValue
        ClientTokenConflict DuplicateSubnetsInSameZone DuplicateTagKeys EntityTooLarge
        EntityTooSmall FilterLimitExceeded IDPCommunicationError IncompatibleHostRequirements
        IncompatibleProtocols IncompleteBody InstanceEventStartTimeCannotChange
        InvalidInstanceCreditSpecification.DuplicateInstanceId InvalidIdentityTokenException
        IllegalLocationConstraintException IllegalVersioningConfigurationException
        IncorrectNumberOfFilesInPostRequest InlineDataTooLarge JWTPayloadSizeExceededException
        KeyTooLongError AnnotationNameTooLong LimitPriceExceeded MaxMessageLengthExceeded
        MaxPostPreDataLengthExceededError MetadataTooLarge NatGatewayMalformed
        NonEBSInstance NotExportable PackedPolicyTooLarge PermanentRedirect Redirect
        RequestEntityTooLarge RequestHeaderSectionTooLarge ScheduledInstanceParameterMismatch
        TemporaryRedirect UserKeyMustBeSpecified VPCResourceNotSpecified
        ValidationError ValidationException XAmzContentSHA256Mismatch DiskImageSizeTooLarge
        TokenCodeInvalidError AuthorizationHeaderMalformed AuthorizationQueryParametersError""",
    QuotaExceeded: """
        LimitExceededException ReservedInstancesCountExceeded
        TargetGroupAssociationLimit TooManyBuckets VolumeIOPSLimit
        MaxConfigLimitExceededException TargetCapacityLimitExceededException
        MaxScheduledInstanceCapacityExceeded""",
    OutOfCapacity: """
        InsufficientCapacityOnHost InsufficientFreeAddressesInSubnet
        InsufficientReservedInstancesCapacity ReservationCapacityExceeded
        ReservedInstancesUnavailable ScheduledInstanceSlotUnavailable SpotMaxPriceTooLow
        UnavailableHostRequirements VolumeTypeNotAvailableInZone""",
    Throttled: """
        BandwidthLimitExceeded ConcurrentTagAccess EC2ThrottledException PriorRequestNotComplete
        ProvisionedThroughputExceededException RequestLimitExceeded RequestThrottled
        RequestThrottledException SlowDown SnapshotCreationPerVolumeRateExceeded ThrottledException
        Throttling ThrottlingException TooManyRequestsException
        TransactionInProgressException""",
    Unsupported: """
        AvailabilityZoneNotSupported BootForVolumeTypeUnsupported EncryptedVolumesNotSupported
        InstanceCreditSpecification.NotSupported InvalidAction MethodNotAllowed NotImplemented
        SnapshotCopyUnsupported.InterRegion UnknownPrincipalType.Unsupported UnsupportedArgument
        UnsupportedMediaType""",
    CloudUnavailable: """
        BusyException HealthUnavailable RequestTimeout RequestTimeoutException RetryableError
        ServiceUnavailable ServiceUnavailableException Unavailable""",
    # The caller asked whether it would work, and it would.
    CloudError: "DryRunOperation",
}

CODES: Mapping[str, Kind] = {
    code: kind for kind, codes in _GROUPS.items() for code in codes.split()
}

# AWS makes new codes by these rules; the first that fits counts.
ENDINGS: tuple[tuple[str, Kind], ...] = (
    ("NotFound", NotFound),
    # What cannot be an id is the id of nothing.
    ("ID.Malformed", NotFound),
    ("Id.Malformed", NotFound),
    ("IdMalformed", NotFound),
    ("Arn.Malformed", NotFound),
    ("LimitExceeded", QuotaExceeded),
    ("CountExceeded", QuotaExceeded),
    ("Capacity", OutOfCapacity),
    ("Duplicate", Conflict),
    ("AlreadyAssigned", Conflict),
    ("AlreadyAssociated", Conflict),
    ("AlreadyExists", Conflict),
    ("AlreadyExistsInAvailabilityZone", Conflict),
    ("AssociationExists", Conflict),
    ("Conflict", Conflict),
    ("InProgress", Conflict),
    ("InUse", Conflict),
    ("State", Conflict),
    ("NotSupported", Unsupported),
)
BEGINNINGS: tuple[tuple[str, Kind], ...] = (
    ("TooMany", QuotaExceeded),
    ("Unsupported", Unsupported),
    ("Invalid", Invalid),
    ("Malformed", Invalid),
    ("Missing", Invalid),
    ("Unknown", Invalid),
)

# Of an answer without a code, as from a proxy, or with one that follows no rule.
STATUSES: Mapping[int, Kind] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    412: Conflict,
    429: Throttled,
}

# Codes whose texts talk about the login are not passed on.
_REFUSED = "AWS refused the login"


def kind_of(code: str) -> Kind | None:
    """Return what a code means by itself; None when it follows no rule that is known.

    Words that services put around a code are taken off: `Client.InvalidVpcID.NotFound`.
    """
    bare = code.removeprefix("Client.").removeprefix("Server.")
    if known := CODES.get(bare):
        return known
    bare = bare.removesuffix("Exception").removesuffix("Error").removesuffix("Fault")
    if known := CODES.get(bare):
        return known
    for ending, kind in ENDINGS:
        if bare.endswith(ending):
            return kind
    for beginning, kind in BEGINNINGS:
        if bare.startswith(beginning):
            return kind
    return None


def is_refused_login(error: AwsError) -> bool:
    """Return whether AWS did nothing because it does not know, or no longer knows, the keys."""
    return _kind(error) is Unauthorized


def is_throttled(error: AwsError) -> bool:
    """Return whether AWS did nothing because it was asked too often."""
    return _kind(error) is Throttled


def to_error(error: Exception) -> CloudError | None:
    """Sort AWS's errors by code, and by status those that have none."""
    if not isinstance(error, AwsError):
        return None
    kind = _kind(error)
    text = f"{error.message} ({error.code})" if error.code else f"AWS answered {error.status}"
    if kind is Unauthorized:
        return Unauthorized(f"{_REFUSED}: {error.code or error.status}")
    if kind is UnknownOutcome:
        return UnknownOutcome(f"AWS may have done it, and failed: {text}")
    if kind is Throttled:
        return Throttled(text, error.retry_after_s)
    return kind(text)


def _kind(error: AwsError) -> Kind:
    if error.code == "AuthFailure":
        # Said of wrong keys, and of things of others too.
        return Forbidden if error.status == 403 else Unauthorized
    if error.code in BROKEN:
        return _after_failure(error)
    if error.code and (known := kind_of(error.code)):
        return known
    if error.status >= 500:
        return _after_failure(error)
    return STATUSES.get(error.status, CloudError)


def _after_failure(error: AwsError) -> Kind:
    return UnknownOutcome if error.changes else CloudUnavailable
