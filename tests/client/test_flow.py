"""When a request is sent again, told without any server: a flow says what it would do."""

import json
from typing import Any

import pytest

from nimbi.client.flow import Flow, Pause, Received, Retries, Send, asked
from nimbi.client.transport import Request
from nimbi.model.errors import (
    CloudUnavailable,
    Conflict,
    NotFound,
    Throttled,
    Timeout,
    UnknownOutcome,
)

GET = Request("GET", "/v1/accounts")
CREATE = Request("POST", "/v1/accounts", {"Idempotency-Key": "k"}, b"{}")
DELETE = Request("DELETE", "/v1/accounts/a")
STREAM = Request("PUT", "/blob", {}, iter([b"once"]))

RETRIES = Retries(attempts=3, first_s=1.0, longest_s=10.0, random=lambda: 1.0)


def ended(flow: Flow[Any], *outcomes: Received | Exception) -> tuple[Any, list[Any]]:
    """Return what a flow ends with, fed with outcomes of its requests, and its pauses."""
    left = list(outcomes)
    pauses: list[float] = []
    step = next(flow)
    try:
        while True:
            if isinstance(step, Pause):
                pauses.append(step.seconds)
                step = flow.send(None)
            else:
                assert isinstance(step, Send)
                outcome = left.pop(0)
                step = flow.throw(outcome) if isinstance(outcome, Exception) else flow.send(outcome)
    except StopIteration as end:
        return end.value, pauses
    finally:
        assert not left, "there was no further request"


def told(status: int, code: str, **headers: str) -> Received:
    body = {"type": f"/v1/problems/{code}", "detail": code}
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Received(status, names, json.dumps(body).encode())


FINE = Received(200, {}, b"{}")
LOST = UnknownOutcome("lost")


@pytest.mark.parametrize("fault", [LOST, Timeout("late"), CloudUnavailable("no server")])
@pytest.mark.parametrize("request_", [GET, CREATE, DELETE], ids=lambda r: r.method)
def test_a_request_without_an_answer_is_sent_again(request_: Request, fault: Exception) -> None:
    answer, pauses = ended(asked(request_, RETRIES), fault, fault, FINE)
    assert (answer, pauses) == (FINE, [1.0, 2.0])


def test_after_the_last_attempt_the_fault_is_the_callers() -> None:
    with pytest.raises(UnknownOutcome):
        ended(asked(CREATE, RETRIES), LOST, LOST, LOST)


def test_what_can_be_read_once_is_sent_once() -> None:
    with pytest.raises(UnknownOutcome):
        ended(asked(STREAM, RETRIES), LOST)


def test_what_an_attempt_before_may_have_removed_counts_as_removed() -> None:
    answer, _ = ended(asked(DELETE, RETRIES), LOST, told(404, "not_found"))
    assert answer.status == 204
    with pytest.raises(NotFound):
        ended(asked(DELETE, RETRIES), told(404, "not_found"))
    with pytest.raises(NotFound):
        ended(asked(DELETE, RETRIES), CloudUnavailable("no server"), told(404, "not_found"))


def test_an_answer_that_is_still_being_made_is_waited_for_beyond_all_attempts() -> None:
    under_way = told(409, "key_in_progress", retry_after="1")
    answer, pauses = ended(asked(CREATE, RETRIES), LOST, *[under_way] * 20, FINE)
    assert answer == FINE
    assert len(pauses) == 21
    # Ten seconds and one of jitter each, up to ten minutes.
    with pytest.raises(Conflict):
        ended(asked(CREATE, RETRIES), *[told(409, "key_in_progress", retry_after="10")] * 56)


def test_any_other_conflict_is_the_callers_at_once() -> None:
    with pytest.raises(Conflict):
        ended(asked(CREATE, RETRIES), told(409, "conflict"))


def test_a_pause_that_the_server_asks_for_is_kept_unless_it_is_too_long() -> None:
    answer, pauses = ended(
        asked(GET, RETRIES), told(429, "throttled", retry_after="7"), told(503, "not_ready"), FINE
    )
    assert (answer, pauses) == (FINE, [8.0, 2.0])
    with pytest.raises(Throttled) as error:
        ended(asked(GET, RETRIES), told(429, "throttled", retry_after="11"))
    assert error.value.retry_after_s == 11


def test_what_a_cloud_could_not_do_was_tried_by_the_server_already() -> None:
    for status, code, kind in [
        (503, "cloud_unavailable", CloudUnavailable),
        (504, "timeout", Timeout),
        (504, "unknown_outcome", UnknownOutcome),
    ]:
        with pytest.raises(kind):
            ended(asked(CREATE, RETRIES), told(status, code))
