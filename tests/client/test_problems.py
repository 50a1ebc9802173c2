import pytest

from nimbi.client.problems import BY_CODE, error_of
from nimbi.frontends.native.problems import OWN, STATUSES
from nimbi.model.errors import CloudError, CloudUnavailable, Throttled, Unauthorized


def test_every_problem_of_the_server_has_an_error_here() -> None:
    assert set(BY_CODE) == set(STATUSES) | set(OWN)
    assert all(kind.code == code for code, kind in BY_CODE.items() if code in STATUSES)


@pytest.mark.parametrize(
    ("status", "kind"), [(401, Unauthorized), (502, CloudUnavailable), (418, CloudError)]
)
@pytest.mark.parametrize("body", [b"", b"<html>no</html>", b"[]", b'{"type": 7}', b"\xff"])
def test_what_is_no_problem_is_an_error_by_its_status(
    status: int, kind: type[CloudError], body: bytes
) -> None:
    error = error_of(status, {"x-request-id": "r-1"}, body)
    assert type(error) is kind
    assert error.message == f"the server answered with status {status}"
    assert error.request_id == "r-1"


def test_a_pause_may_be_told_by_the_header_alone() -> None:
    error = error_of(429, {"retry-after": "3"}, b"")
    assert isinstance(error, Throttled)
    assert error.retry_after_s == 3.0
