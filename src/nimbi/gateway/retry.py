"""Trying again: after which errors, how often, after which pause."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from nimbi.gateway.audit import Tries
from nimbi.gateway.deadline import finish
from nimbi.gateway.limits import Limits
from nimbi.model.errors import (
    CloudError,
    CloudUnavailable,
    NotFound,
    Throttled,
    Timeout,
    UnknownOutcome,
)

Errors = tuple[type[CloudError], ...]

# After these a call may go well that failed now.
PASSING: Errors = (Throttled, CloudUnavailable, Timeout, UnknownOutcome)
# After these the cloud may have done what it was asked.
PERHAPS_DONE: Errors = (Timeout, UnknownOutcome)


@dataclass(frozen=True, slots=True)
class Rule:
    """After which errors to try again.

    With `gone_is_done`, NotFound is success once an attempt before may have worked: the thing was
    to be removed. With `leaves_doubt`, any other refusal is UnknownOutcome then: something was to
    be made, and perhaps it was. `late` is the message of the Timeout.
    """

    repeated_after: Errors
    late: str
    gone_is_done: bool = False
    leaves_doubt: bool = False


@dataclass(frozen=True, slots=True)
class Repeater:
    """Makes attempts until one goes well, or none can any more."""

    limits: Limits
    to_error: Callable[[Exception], CloudError]
    random: Callable[[], float]

    async def run(
        self,
        attempt: Callable[..., Coroutine[Any, Any, Any]],
        args: tuple[Any, ...],
        named: dict[str, Any],
        rule: Rule,
        until: float,
        tries: Tries,
    ) -> Any:
        """Return what `attempt(*args, **named)` returns, made until a time of the loop.

        Raises its last error as a CloudError, Timeout when the time is over. A TypeError of
        arguments that do not fit is the program's own and passes.
        """
        perhaps_done = False
        while True:
            tries.count += 1
            coroutine = attempt(*args, **named)
            try:
                return await finish(coroutine, until, rule.late)
            except Exception as raised:
                error = self.to_error(raised)
                if perhaps_done and rule.gone_is_done and isinstance(error, NotFound):
                    return None
                pause_s = self._pause(error, rule, tries.count, until)
                if pause_s is None:
                    if perhaps_done and rule.leaves_doubt and not isinstance(error, PERHAPS_DONE):
                        raise UnknownOutcome(
                            f"what was asked for may have been done before this: {error.message}"
                        ) from raised
                    if error is raised:
                        raise
                    raise error from raised
                perhaps_done = perhaps_done or isinstance(error, PERHAPS_DONE)
            await asyncio.sleep(pause_s)

    def _pause(self, error: CloudError, rule: Rule, attempt: int, until: float) -> float | None:
        if not isinstance(error, rule.repeated_after):
            return None
        remaining_s = until - asyncio.get_running_loop().time()
        return pause_before_retry(error, attempt, self.limits, remaining_s, self.random)


def pause_before_retry(
    error: CloudError,
    attempt: int,
    limits: Limits,
    remaining_s: float,
    random: Callable[[], float],
) -> float | None:
    """Return the seconds to wait after the failed attempt (counted from 1); None is to give up.

    Gives up after `limits.attempts`, and at once when the pause does not fit in `remaining_s`: a
    caller learns more from "throttled, come back in 60 s" than from a timeout later. A pause that
    the cloud asks for is kept in full; jitter comes on top, so that callers do not all come back
    at the same moment.
    """
    if attempt >= limits.attempts:
        return None
    pause_s = random() * min(limits.backoff_max_s, limits.backoff_s * 2.0 ** (attempt - 1))
    if isinstance(error, Throttled) and error.retry_after_s is not None:
        pause_s += max(0.0, error.retry_after_s)
    return pause_s if pause_s < remaining_s else None
