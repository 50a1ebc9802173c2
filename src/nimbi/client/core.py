"""What a client has in either way of calling: its token, and how patient it is."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from functools import update_wrapper
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, overload

import msgspec

from nimbi.client.flow import Flow, Received, Retries, asked, new_key
from nimbi.client.running import arun, run
from nimbi.client.transport import AsyncTransport, Request, Transport

P = ParamSpec("P")
T = TypeVar("T")

JSON = "application/json"
PATIENT = Retries()


@dataclass(frozen=True)
class Core:
    """Makes flows of requests. `timeout_s` is for each silence of the server."""

    token: str | None = field(default=None, repr=False)
    retries: Retries = PATIENT
    timeout_s: float = 60.0
    agent: str = "nimbi"

    def ask(self, request: Request, *, open: bool = False) -> Flow[Received]:
        """Return what the server answers; raises what it tells as a failure."""
        headers = {"Accept": JSON, "User-Agent": self.agent, **request.headers}
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
        told = replace(request, headers=headers)
        if request.timeout_s is not None:
            told = replace(told, timeout_s=max(request.timeout_s, self.timeout_s))
        return asked(told, self.retries, open=open)

    def exchange(
        self,
        method: str,
        target: str,
        body: Any = msgspec.UNSET,
        headers: Mapping[str, str] | None = None,
    ) -> Flow[Received]:
        """Return the answer to a request whose body is JSON, when it has one."""
        told = dict(headers or {})
        if method == "POST":
            told.setdefault("Idempotency-Key", new_key())
        if body is msgspec.UNSET:
            return self.ask(Request(method, target, told))
        told["Content-Type"] = JSON
        return self.ask(Request(method, target, told, msgspec.json.encode(body)))


class Looping:
    """What calls from an event loop."""

    def __init__(self, core: Core, transport: AsyncTransport) -> None:
        self.core = core
        self.transport = transport


class Blocking:
    """What calls and waits."""

    def __init__(self, core: Core, transport: Transport) -> None:
        self.core = core
        self.transport = transport


class call(Generic[P, T]):  # noqa: N801 — a decorator
    """Makes a method of a flow: one that is awaited of a Looping, one that blocks of a Blocking."""

    def __init__(self, flow: Callable[Concatenate[Any, P], Flow[T]]) -> None:
        self._flow = flow
        update_wrapper(self, flow)  # type: ignore[arg-type]

    @overload
    def __get__(self, it: Blocking, owner: object = None) -> Callable[P, T]: ...
    @overload
    def __get__(self, it: Looping, owner: object = None) -> Callable[P, Coroutine[Any, Any, T]]: ...
    @overload
    def __get__(self, it: None, owner: object = None) -> "call[P, T]": ...
    def __get__(self, it: Any, owner: object = None) -> Any:
        if it is None:
            return self
        flow = self._flow
        if isinstance(it, Looping):

            async def looping(*args: P.args, **named: P.kwargs) -> T:
                return await arun(flow(it, *args, **named), it.transport)

            return update_wrapper(looping, flow)

        def blocking(*args: P.args, **named: P.kwargs) -> T:
            return run(flow(it, *args, **named), it.transport)

        return update_wrapper(blocking, flow)
