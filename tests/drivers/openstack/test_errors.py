"""What statuses and fault codes of all services mean."""

import json
from pathlib import Path
from typing import Any

import pytest

from nimbi.drivers.openstack.calls import openstack_error
from nimbi.drivers.openstack.errors import (
    CODES,
    STATUSES,
    OpenStackError,
    fault_error,
    kind_of,
    to_error,
)
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

NEUTRON = [
    line.split()
    for line in Path(__file__).with_name("neutron_types.txt").read_text().splitlines()
    if not line.startswith("#")
]


def told(
    status: int, body: Any, service: str = "compute", *, changes: bool = False, **headers: str
) -> OpenStackError:
    """Return what is made of an answer."""
    raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return openstack_error(service, status, named, raw, changes=changes)


@pytest.mark.parametrize(
    ("error", "kind", "code", "message"),
    [
        pytest.param(
            told(404, {"itemNotFound": {"message": "Instance x could not be found.", "code": 404}}),
            NotFound,
            "itemNotFound",
            "Instance x could not be found.",
            id="nova",
        ),
        pytest.param(
            told(409, {"NeutronError": {"type": "OverQuota", "message": "Quota exceeded"}}),
            QuotaExceeded,
            "OverQuota",
            "Quota exceeded",
            id="neutron",
        ),
        pytest.param(
            told(400, {"NeutronError": "words"}), Invalid, "", "words", id="neutron, in words"
        ),
        pytest.param(
            told(403, {"error": {"code": 403, "title": "Forbidden", "message": "not you"}}),
            Forbidden,
            "Forbidden",
            "not you",
            id="keystone",
        ),
        pytest.param(
            told(404, {"message": "No image<br /><br />\n\n", "code": "404 Not Found"}),
            NotFound,
            "",
            "No image",
            id="glance",
        ),
        pytest.param(
            told(404, "<html><head><title>404 Not Found</title></head><body>none</body></html>"),
            NotFound,
            "",
            "404 Not Found none",
            id="HTML",
        ),
        pytest.param(
            told(409, {"faultcode": "Client", "faultstring": "immutable", "debuginfo": None}),
            Conflict,
            "",
            "immutable",
            id="octavia",
        ),
        pytest.param(
            told(409, {"errors": [{"code": "placement.duplicate_name", "detail": "twice"}]}),
            Conflict,
            "placement.duplicate_name",
            "twice",
            id="placement",
        ),
        pytest.param(told(404, ""), NotFound, "", "status 404", id="nothing"),
        pytest.param(told(404, "[]"), NotFound, "", "status 404", id="a list"),
        pytest.param(told(404, '{"x": 1}'), NotFound, "", "1", id="something"),
        pytest.param(told(409, "null"), Conflict, "", "status 409", id="null"),
    ],
)
def test_a_fault_is_read_in_the_shape_of_its_service(
    error: OpenStackError, kind: type[CloudError], code: str, message: str
) -> None:
    assert type(to_error(error)) is kind
    assert (error.code, error.message) == (code, message)


def test_an_error_that_was_cut_short_tells_nothing() -> None:
    assert kind_of(told(404, '{"itemNotFound": {"mess', changes=True)) is UnknownOutcome


@pytest.mark.parametrize(
    ("status", "code", "retry_after_s", "kind"),
    [
        (413, "overLimit", None, QuotaExceeded),
        # Cinder, of a quota.
        (413, "overLimit", 0.0, QuotaExceeded),
        (413, "overLimit", 30.0, Throttled),
        (429, "overLimit", None, Throttled),
        (403, "quotaExceeded", None, QuotaExceeded),
        (403, "forbidden", None, Forbidden),
        (413, "", None, QuotaExceeded),
        (498, "", None, Throttled),
    ],
)
def test_limits_of_rates_are_told_from_quotas(
    status: int, code: str, retry_after_s: float | None, kind: type[CloudError]
) -> None:
    error = to_error(OpenStackError("volume", status, code, retry_after_s=retry_after_s))
    assert type(error) is kind
    if isinstance(error, Throttled):
        assert error.retry_after_s == retry_after_s


def test_nova_tells_in_its_fault_when_to_come_back() -> None:
    error = told(413, {"overLimit": {"code": 413, "message": "slow", "retryAfter": "7"}})
    assert (kind_of(error), error.retry_after_s) == (Throttled, 7.0)
    assert told(429, {}, Retry_After="9").retry_after_s == 9.0


@pytest.mark.parametrize(
    ("status", "code", "reading", "changing"),
    [
        (500, "computeFault", CloudUnavailable, UnknownOutcome),
        (502, "", CloudUnavailable, UnknownOutcome),
        (504, "", CloudUnavailable, UnknownOutcome),
        # Of a proxy, which may have passed the request on.
        (503, "", CloudUnavailable, UnknownOutcome),
        # Of the service itself, which did nothing.
        (503, "serviceUnavailable", CloudUnavailable, CloudUnavailable),
        (503, "ServiceUnavailable", CloudUnavailable, CloudUnavailable),
        (507, "", OutOfCapacity, OutOfCapacity),
        (501, "notImplemented", Unsupported, Unsupported),
        (300, "", Unsupported, Unsupported),
        (410, "", Unsupported, Unsupported),
        (406, "", Unsupported, Unsupported),
    ],
)
def test_errors_of_the_server_leave_a_doubt_only_about_changes(
    status: int, code: str, reading: type[CloudError], changing: type[CloudError]
) -> None:
    assert kind_of(OpenStackError("compute", status, code)) is reading
    assert kind_of(OpenStackError("compute", status, code, changes=True)) is changing


@pytest.mark.parametrize(("type", "status"), NEUTRON)
def test_all_types_of_neutron_mean_something(type: str, status: str) -> None:
    error = to_error(OpenStackError("network", int(status), type, "words", changes=True))
    kind = error.__class__
    assert kind not in (CloudError, UnknownOutcome)
    if type not in CODES:
        assert kind is STATUSES[int(status)]
    assert str(error) == f"network: words ({type})"


def test_codes_are_those_of_neutron_or_said_to_be_of_others() -> None:
    others = {"quotaExceeded", "notImplemented", "serviceUnavailable", "NoValidHost"}
    # Of other versions of Neutron than the one of the list.
    others |= {"AgentIsNotActive", "InUseByNetworkError", "AllocationPoolExceedsSubnet"}
    others |= {"NoEligibleDHCPAgent", "NoEligibleL3Agent", "SubnetAllocationError"}
    others |= {"MacAddressGenerationFailure"}
    assert set(CODES) - {type for type, _ in NEUTRON} <= others


def test_a_refused_login_repeats_no_words_of_keystone() -> None:
    error = to_error(told(401, {"error": {"message": "bad password hunter2"}}, "identity"))
    assert type(error) is Unauthorized
    assert "hunter2" not in str(error)


def test_ids_of_requests_are_kept() -> None:
    assert told(404, {}, x_openstack_request_id="req-1").request_id == "req-1"
    assert told(404, {}, x_trans_id="tx1").request_id == "tx1"


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("No valid host was found. There are not enough hosts available.", OutOfCapacity),
        ("Exceeded maximum number of retries. Exhausted all hosts", OutOfCapacity),
        ("Build of instance x aborted: volume", CloudError),
    ],
)
def test_the_fault_of_a_server_tells_why(message: str, kind: type[CloudError]) -> None:
    error = fault_error({"code": 500, "message": message})
    assert type(error) is kind
    assert str(error) == message


def test_other_errors_are_not_openstacks() -> None:
    assert to_error(ValueError("x")) is None
