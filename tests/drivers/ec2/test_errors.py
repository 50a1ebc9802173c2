"""Errors of AWS, sorted by their codes."""

from pathlib import Path

import pytest

from nimbi.drivers.ec2.errors import _GROUPS, BROKEN, CODES, AwsError, kind_of, to_error
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

SERVICES = ("ec2", "elbv2", "cloudwatch", "s3", "sts", "sso", "sso-oidc")
DOCUMENTED = Path(__file__).with_name("ec2_error_codes.txt").read_text().split()

# One code of each family that callers act on.
SORTED = [
    ("InsufficientInstanceCapacity", OutOfCapacity),
    ("InsufficientHostCapacity", OutOfCapacity),
    ("InsufficientAddressCapacity", OutOfCapacity),
    ("InsufficientVolumeCapacity", OutOfCapacity),
    ("InsufficientCapacity", OutOfCapacity),
    ("UnfulfillableCapacity", OutOfCapacity),
    ("InsufficientFreeAddressesInSubnet", OutOfCapacity),
    ("InstanceLimitExceeded", QuotaExceeded),
    ("VcpuLimitExceeded", QuotaExceeded),
    ("MaxSpotInstanceCountExceeded", QuotaExceeded),
    ("TooManyLoadBalancers", QuotaExceeded),
    ("TooManyBuckets", QuotaExceeded),
    ("InvalidInterface.IpAddressLimitExceeded", QuotaExceeded),
    ("LimitExceededFault", QuotaExceeded),
    ("RequestLimitExceeded", Throttled),
    ("Throttling", Throttled),
    ("ThrottlingException", Throttled),
    ("SlowDown", Throttled),
    ("ExpiredToken", Unauthorized),
    ("RequestExpired", Unauthorized),
    ("InvalidClientTokenId", Unauthorized),
    ("InvalidAccessKeyId", Unauthorized),
    ("SignatureDoesNotMatch", Unauthorized),
    ("UnauthorizedOperation", Forbidden),
    ("AccessDenied", Forbidden),
    ("OptInRequired", Forbidden),
    ("DependencyViolation", Conflict),
    ("VolumeInUse", Conflict),
    ("IncorrectInstanceState", Conflict),
    ("IncorrectState", Conflict),
    ("InvalidGroup.Duplicate", Conflict),
    ("InvalidGroup.InUse", Conflict),
    ("InvalidKeyPair.Duplicate", Conflict),
    ("IdempotentParameterMismatch", Conflict),
    ("BucketNotEmpty", Conflict),
    ("Resource.AlreadyAssociated", Conflict),
    ("InvalidLaunchTemplateName.AlreadyExistsException", Conflict),
    ("InvalidInstanceID.NotFound", NotFound),
    ("InvalidInstanceID.Malformed", NotFound),
    ("Client.InvalidVpcID.NotFound", NotFound),
    ("InvalidSubnetId.NotFound", NotFound),
    ("LoadBalancerNotFound", NotFound),
    ("NoSuchKey", NotFound),
    ("InvalidParameterValue", Invalid),
    ("InvalidPermission.Malformed", Invalid),
    ("MissingParameter", Invalid),
    ("UnknownParameter", Invalid),
    ("ValidationError", Invalid),
    ("UnsupportedOperation", Unsupported),
    ("Unsupported", Unsupported),
    ("ServiceUnavailable", CloudUnavailable),
    ("Unavailable", CloudUnavailable),
]


@pytest.mark.parametrize(("code", "kind"), SORTED)
def test_a_code_has_its_meaning(code: str, kind: type[CloudError]) -> None:
    assert type(to_error(AwsError(code, "words", 400))) is kind


@pytest.mark.parametrize("service", SERVICES)
def test_each_error_that_a_service_s_own_model_names_is_known(service: str) -> None:
    session = pytest.importorskip("botocore.session").Session()
    model = session.get_service_model(service)
    codes = {
        shape.metadata.get("error", {}).get("code", shape.name) for shape in model.error_shapes
    }
    assert service == "ec2" or codes, "EC2's model names none"
    unknown = {code for code in codes if kind_of(code) is None and code not in BROKEN}
    assert unknown == set()


def test_each_error_that_ec2_s_documentation_names_is_known() -> None:
    by_status = {"AuthFailure", *BROKEN}
    assert {code for code in DOCUMENTED if kind_of(code) is None} <= by_status
    assert len(DOCUMENTED) > 350


def test_no_code_means_two_things() -> None:
    assert sum(len(codes.split()) for codes in _GROUPS.values()) == len(CODES)


@pytest.mark.parametrize("code", sorted(BROKEN))
def test_what_a_broken_server_did_is_unknown(code: str) -> None:
    assert type(to_error(AwsError(code, "", 500, changes=True))) is UnknownOutcome
    assert type(to_error(AwsError(code, "", 500))) is CloudUnavailable


def test_a_refused_login_is_not_a_refused_thing() -> None:
    assert type(to_error(AwsError("AuthFailure", "", 401))) is Unauthorized
    assert type(to_error(AwsError("AuthFailure", "", 403))) is Forbidden


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, Unauthorized),
        (403, Forbidden),
        (404, NotFound),
        (409, Conflict),
        (429, Throttled),
        (418, CloudError),
        (502, CloudUnavailable),
    ],
)
def test_an_answer_without_a_code_counts_by_its_status(status: int, kind: type[CloudError]) -> None:
    assert type(to_error(AwsError("", "", status))) is kind


def test_what_is_thrown_by_others_is_left_alone() -> None:
    assert to_error(ValueError("no")) is None


def test_the_time_to_come_back_is_passed_on() -> None:
    error = to_error(AwsError("Throttling", "slow down", 400, retry_after_s=7))
    assert isinstance(error, Throttled)
    assert error.retry_after_s == 7


def test_what_aws_says_of_a_login_is_not_passed_on() -> None:
    error = to_error(AwsError("SignatureDoesNotMatch", "the string to sign was …", 403))
    assert str(error) == "AWS refused the login: SignatureDoesNotMatch"
