"""Calls of operations as the requests that a transport sends."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any
from urllib.parse import urlencode

from nimbi.api import requests as api
from nimbi.api.routes import ApiRoute, is_wish
from nimbi.client.flow import new_key
from nimbi.client.transport import Request


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What a caller wants of one call beside its arguments.

    `wait_s` waits for the state to settle, `deadline_s` is how long the server may take for the
    call. `key` is the Idempotency-Key; None makes one up.
    """

    wait_s: float | None = None
    deadline_s: float | None = None
    key: str | None = None

    def pairs(self) -> list[tuple[str, str]]:
        """Return those that a query tells."""
        told = (("wait", self.wait_s), ("deadline", self.deadline_s))
        return [(name, whole(value)) for name, value in told if value is not None]


NO_WISHES = Wishes()

# Beyond the wait that was wished for, the server takes a moment to answer.
GRACE_S = 30.0


def bound(route: ApiRoute, args: tuple[Any, ...], named: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments by name, with defaults. Raises TypeError when they do not fit."""
    found = api.arguments_of(route, args, named)
    return {a.name: found.get(a.name, a.default) for a in route.arguments}


def request_of(
    route: ApiRoute,
    account: str,
    arguments: Mapping[str, Any],
    wishes: Wishes = NO_WISHES,
    *,
    dry_run: bool = False,
) -> Request:
    """Return the request that carries out an operation on an account."""
    told = {name: value for name, value in arguments.items() if name != CHUNKS}
    if CHUNKS in arguments:
        told[CHUNKS] = b""
    made = api.request_of(route, account, (), told)
    query = [*made.query, *wishes.pairs()]
    if dry_run:
        query.append(("dry_run", "true"))
    headers = dict(made.headers)
    size = headers.pop("Content-Length", None)
    if route.method == "POST":
        headers["Idempotency-Key"] = wishes.key or _token(arguments) or new_key()
    longest_s = max(wishes.wait_s or 0.0, wishes.deadline_s or 0.0)
    return Request(
        made.method,
        with_query(made.path, query),
        headers,
        arguments.get(CHUNKS, made.body),
        None if size is None else int(size),
        STREAM_S if CHUNKS in arguments else longest_s + GRACE_S,
    )


# The argument that is streamed, and how long a cloud may think about what it was sent.
CHUNKS = "chunks"
STREAM_S = 600.0


def with_query(path: str, pairs: Iterable[tuple[str, str]]) -> str:
    """Return a path with its query, when there is one."""
    query = urlencode(list(pairs))
    return f"{path}?{query}" if query else path


def whole(seconds: float) -> str:
    """Return seconds as the API takes them: whole ones, and not too few."""
    return str(max(1, ceil(seconds)))


def _token(arguments: Mapping[str, Any]) -> str | None:
    return next((a.token for a in arguments.values() if is_wish(type(a)) and a.token), None)
