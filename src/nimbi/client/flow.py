"""What a call does, told apart from how: the same flow runs for blocking callers and in a loop.

A flow is a generator: it yields what is to be done, is sent what came of it, and returns the
answer. Faults of the way are thrown into it.
"""

import os
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from nimbi.client.transport import Answer, AsyncAnswer, Request
from nimbi.model.errors import CloudError, CloudUnavailable, Throttled, Timeout, UnknownOutcome

T = TypeVar("T")


def _random() -> float:
    """Return a number from 0 to 1; the module `random` takes longer to import than a call."""
    return int.from_bytes(os.urandom(4), "big") / 2**32


@dataclass(frozen=True, slots=True)
class Send:
    """Send a request, and read its answer whole unless it is to be `open` and tells no failure."""

    request: Request
    open: bool = False


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Received:
    """An answer: its whole body, or the answer itself that is still `open`."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    open: Answer | AsyncAnswer | None = None


Step = Send | Pause
Flow = Generator[Step, Any, T]

# After these of the way to the server, or of the server itself, a request may be sent again.
PASSING = (CloudUnavailable, Timeout, UnknownOutcome)

# Codes of problems after which the same request, with its key, may go well a moment later.
UNDER_WAY = "key_in_progress"
AGAIN = frozenset({UNDER_WAY, "not_ready"})

# How long to wait for the answer of a request that is still being carried out.
UNDER_WAY_S = 600.0


@dataclass(frozen=True)
class Retries:
    """How often a request is sent, and how long the client waits in between.

    Pauses begin with at most `first_s` and double; those that the server asks for are kept unless
    they are above `longest_s`: then the error is the caller's.
    """

    attempts: int = 4
    first_s: float = 0.2
    longest_s: float = 30.0
    random: Callable[[], float] = field(default=_random, repr=False)

    def pause_s(self, attempt: int, asked_s: float | None) -> float | None:
        """Return how long to wait after an attempt (from 1) that failed; None is to give up."""
        if attempt >= self.attempts:
            return None
        if asked_s is not None and asked_s > self.longest_s:
            return None
        grown_s: float = self.first_s * 2.0 ** (attempt - 1)
        return (asked_s or 0.0) + self.random() * min(self.longest_s, grown_s)


def new_key() -> str:
    """Return an Idempotency-Key that nobody used before."""
    return os.urandom(16).hex()


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why a request failed. `counts` is false when all that is left is to wait for its answer."""

    error: CloudError
    passes: bool = True
    asked_s: float | None = None
    counts: bool = True


def asked(request: Request, retries: Retries, *, open: bool = False) -> Flow[Received]:
    """Return what the server answers, which is no failure.

    A POST has an Idempotency-Key before it comes here, so that a lost answer doubles nothing. A
    body that can be read once is sent once. DELETE of what an attempt before may have removed
    goes well. Raises the CloudError that the answer tells, or that of the way to the server.
    """
    attempt, waited_s, perhaps_done = 1, 0.0, False
    is_whole = request.body is None or isinstance(request.body, bytes)
    while True:
        try:
            received: Received = yield Send(request, open)
        except PASSING as error:
            failure = _Failure(error)
            perhaps_done = perhaps_done or not isinstance(error, CloudUnavailable)
        else:
            if received.status < 300 or received.status == 304:
                return received
            if received.status == 404 and request.method == "DELETE" and perhaps_done:
                return replace(received, status=204, body=b"")
            failure = _told(received)
        repeats = is_whole and failure.passes and waited_s < UNDER_WAY_S
        pause_s = retries.pause_s(attempt, failure.asked_s) if repeats else None
        if pause_s is None:
            raise failure.error
        yield Pause(pause_s)
        waited_s += pause_s
        attempt += failure.counts


def _told(received: Received) -> _Failure:
    # What tells errors from answers is not needed as long as all goes well.
    from nimbi.client.problems import code_of, error_of, seconds

    error = error_of(received.status, received.headers, received.body)
    # What a cloud could not do, the server has tried several times already.
    if isinstance(error, Throttled):
        return _Failure(error, error.retry_after_s is not None, error.retry_after_s)
    code = code_of(received.body)
    asked_s = seconds(received.headers.get("retry-after"))
    return _Failure(error, code in AGAIN, asked_s, code != UNDER_WAY)
