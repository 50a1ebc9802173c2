"""What a step came to, as it is kept: a result, an error, or that the job was cancelled."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec

from nimbi.model.accounts import Problem
from nimbi.model.errors import ERRORS, CloudError, Throttled
from nimbi.store.errors import StoreUnavailable

R = TypeVar("R")

# "A result is ids, not data": this many bytes of JSON.
LARGEST_RESULT = 64 * 1024

BY_CODE = {error.code: error for error in ERRORS}


class JobCancelled(BaseException):
    """Somebody wants the job to end early.

    It is no Exception, so that no `except Exception` takes it for a failure.
    """


NOTHING = msgspec.Raw(b"null")


class Kept(msgspec.Struct, omit_defaults=True):
    """What a step came to: its result, unless one of the others is set."""

    result: msgspec.Raw = NOTHING
    error: Problem | None = None
    is_cancelled: bool = False


async def kept(function: Callable[..., Awaitable[Any]], args: tuple[Any, ...]) -> str:
    """Call a function and return what it came to, as JSON. Raises what is no CloudError.

    StoreUnavailable is raised too: that is not what the step came to, but that it must wait.
    """
    try:
        answer = await function(*args)
    except JobCancelled:
        found = Kept(is_cancelled=True)
    except StoreUnavailable:
        raise
    except CloudError as error:
        found = Kept(error=Problem.of(error))
    else:
        found = Kept(result=msgspec.Raw(msgspec.json.encode(answer)))
    body = msgspec.json.encode(found)
    if len(body) > LARGEST_RESULT:
        raise ValueError(f"a step's result has {len(body)} bytes, more than {LARGEST_RESULT}")
    return body.decode()


def given(body: str, type: type[R]) -> R:
    """Return the result that was kept. Raises the CloudError that was, and JobCancelled."""
    found = msgspec.json.decode(body, type=Kept)
    if found.is_cancelled:
        raise JobCancelled
    if found.error is not None:
        raise error_of(found.error)
    return msgspec.json.decode(found.result, type=type)


def error_of(problem: Problem) -> CloudError:
    """Return the error that a problem tells of."""
    if problem.code == Throttled.code:
        return Throttled(problem.message, problem.retry_after_s)
    return BY_CODE.get(problem.code, CloudError)(problem.message)
