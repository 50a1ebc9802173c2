"""What is told about each call to a cloud: for audit logs and metrics, and nothing secret."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from nimbi.model.errors import CloudError

# Set by a server for the time of one request; events carry it.
REQUEST_ID: ContextVar[str | None] = ContextVar("nimbi_request_id", default=None)

# The address of the client, set likewise; who guesses logins is slowed down by it.
CLIENT: ContextVar[str | None] = ContextVar("nimbi_client", default=None)

CANCELLED = "cancelled"

log = logging.getLogger(__name__)


class CallEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One call, after its end. Holds no arguments, no answer and no message of an error.

    `error_code` is that of a CloudError, or `cancelled`; None when the call went well. `seconds`
    includes all `attempts` and the pauses between them; a blob that is read counts until it is
    open. `session` is a digest that tells sessions of one process apart and cannot be turned back
    into credentials.
    """

    driver: str
    provider: str | None
    operation: str
    started_at: datetime
    seconds: float
    error_code: str | None
    attempts: int
    request_id: str | None
    session: str


class Tries:
    """How one call goes; `began` is a time of the loop."""

    __slots__ = ("began", "count", "error_code")

    def __init__(self, began: float) -> None:
        self.began = began
        self.count = 0
        self.error_code: str | None = CANCELLED


@dataclass(frozen=True)
class Login:
    """Whose calls are told: `session` is the digest."""

    driver: str
    provider: str | None
    session: str


@dataclass(frozen=True)
class Hooks:
    """What is called after each call, in the caller's task; it must return at once."""

    on_call: Callable[[CallEvent], None]


class Audit:
    """Tells hooks about calls. A hook that raises is logged once and never breaks a call."""

    def __init__(self, hooks: Hooks) -> None:
        self._hooks = hooks
        self._complained = False

    async def observe(
        self, call: Awaitable[Any], tries: Tries, *, operation: str, whose: Login
    ) -> Any:
        """Return what the call returns, raise what it raises, and tell of either."""
        started_at = datetime.now(UTC)
        try:
            answer = await call
        except CloudError as error:
            tries.error_code = error.code
            raise
        else:
            tries.error_code = None
            return answer
        finally:
            self._tell(
                CallEvent(
                    driver=whose.driver,
                    provider=whose.provider,
                    operation=operation,
                    started_at=started_at,
                    seconds=asyncio.get_running_loop().time() - tries.began,
                    error_code=tries.error_code,
                    attempts=tries.count,
                    request_id=REQUEST_ID.get(),
                    session=whose.session,
                )
            )

    def _tell(self, event: CallEvent) -> None:
        try:
            self._hooks.on_call(event)
        except Exception:
            # A broken observer must not break what it observes.
            if not self._complained:
                self._complained = True
                log.warning("the on_call hook raised; logged once", exc_info=True)
