"""What a route is: a verb and a path, what it needs and takes, and the function that answers."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any

from nimbi.driver.capabilities import OPERATIONS, Function
from nimbi.frontends.deltacloud.exchange import Exchange
from nimbi.frontends.deltacloud.formats import DOCUMENTS
from nimbi.frontends.deltacloud.reply import Reply
from nimbi.wire.negotiation import Format

Handler = Callable[[Exchange], Awaitable[Reply]]


class Body(Enum):
    """What a route reads from the body of a request."""

    FORM = "form"  # parameters
    FILES = "files"  # parameters and files, spooled to disk
    STREAM = "stream"  # bytes, read by the handler


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A parameter of an operation. One that is `numbered` comes as `name1`, `name2`.

    `spelling` is a regular expression of all its names, where that is not how they are.
    """

    name: str
    text: str
    required: bool = False
    numbered: bool = False
    kind: str = "string"
    spelling: str = ""

    @cached_property
    def pattern(self) -> re.Pattern[str] | None:
        """Return what the names look like, None when there is just one."""
        if self.spelling:
            return re.compile(self.spelling, re.ASCII)
        if not self.numbered:
            return None
        spelled = re.escape(self.name).replace("_", "[-_]")
        return re.compile(rf"{spelled}[-_]?\d*", re.ASCII)

    def signature(self) -> str:
        """Return `name:type:required`, as the original describes parameters."""
        return f"{self.name}:{self.kind}:{'required' if self.required else 'optional'}"


def required(name: str, text: str) -> Parameter:
    return Parameter(name=name, text=text, required=True)


def optional(name: str, text: str) -> Parameter:
    return Parameter(name=name, text=text)


def numbered(name: str, text: str) -> Parameter:
    return Parameter(name=name, text=text, numbered=True, kind="array")


@dataclass(frozen=True, kw_only=True)
class Route:
    """One operation on the wire: everything that is known of it.

    `path` is a pattern such as `/api/instances/:id/start`. `needs` are the driver's operations
    without which the answer is 412 with `capability`. `is_action` marks what changes the state of
    an instance. `opens_cloud` False is for what is answered without any login; with `is_told` it is
    then answered by the session all the same where sessions of one driver differ.
    """

    verb: str
    path: str
    collection: str
    operation: str
    text: str
    handler: Handler
    needs: tuple[Function, ...] = ()
    capability: str = ""
    parameters: tuple[Parameter, ...] = ()
    features: tuple[Parameter, ...] = ()
    formats: tuple[Format, ...] = DOCUMENTS
    body: Body = Body.FORM
    is_action: bool = False
    opens_cloud: bool = True
    is_told: bool = False
    any_accept: bool = False
    documented: bool = True

    @cached_property
    def need_ids(self) -> frozenset[str]:
        return frozenset(OPERATIONS[function].id for function in self.needs)

    @cached_property
    def segments(self) -> tuple[str, ...]:
        return tuple(self.path.split("/")[1:])

    @cached_property
    def positions(self) -> tuple[tuple[int, str], ...]:
        """Return where the named parts of the path stand."""
        return tuple((at, s[1:]) for at, s in enumerate(self.segments) if s.startswith(":"))

    @cached_property
    def required(self) -> tuple[str, ...]:
        return tuple(p.name for p in self.parameters if p.required)

    @cached_property
    def known(self) -> frozenset[str]:
        return frozenset(p.name for p in (*self.parameters, *self.features))

    @cached_property
    def patterns(self) -> tuple[re.Pattern[str], ...]:
        given = (p.pattern for p in (*self.parameters, *self.features))
        return tuple(p for p in given if p is not None)

    def knows(self, name: str) -> bool:
        return name in self.known or any(p.fullmatch(name) for p in self.patterns)


def handler_of(function: Callable[[Exchange, Any], Awaitable[Reply]], given: Any) -> Handler:
    """Return a handler that passes one more thing, such as the collection that it works on."""

    async def handler(exchange: Exchange) -> Reply:
        return await function(exchange, given)

    return handler
