"""What a route of the native API is: a place, a handler, and what it may be asked."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

from nimbi.api.routes import ApiRoute
from nimbi.frontends.native.answer import Answer
from nimbi.frontends.native.exchange import Exchange

Handler = Callable[[Exchange], Awaitable[Answer]]

# What must be the same when a request comes again with the same Idempotency-Key: the `whole` of it
# (the body is read ahead), or the `head`, for a POST whose body is streamed. `none` takes no key.
Key = Literal["whole", "head", "none"]


@dataclass(frozen=True)
class Route:
    """One method of one place: `Route("GET", "/v1/events", read, "events.read")`.

    `template` names the parts of the path that vary: `/v1/webhooks/{id}`; the handler finds them,
    decoded, in `exchange.arguments`. `operation` is what the caller must be allowed to do, on the
    account of `{account}` or, without one, on all; with None, the handler asks itself. A token is
    needed for all but what `is_open`.
    `query` are the names that the query string may have, a family of them as `tags.*`; any other
    is refused. With `opens_cloud`, `exchange.cloud` is the session of `{account}`. `api` is the
    operation of a collection that this is. `text` says what it does, for the pages of the API.

    Where there is no `api`, the OpenAPI document is made of these: `takes` is the type of the JSON
    body, None without one; `gives` that of the answer, None for nothing, a tuple of it is a list in
    `{"items": […]}`; `status` is that of success, `media_types` are those of an answer that is no
    JSON; `headers` are names of request headers with a meaning here; `fails` are statuses
    of failures that only this route has.

    A handler returns an Answer, or raises a CloudError, or a Problem for what no CloudError says.
    """

    method: str
    template: str
    handler: Handler
    operation: str | None
    query: frozenset[str] = frozenset()
    opens_cloud: bool = False
    key: Key = "none"
    api: ApiRoute | None = None
    text: str = ""
    takes: Any = None
    gives: Any = None
    status: int = 200
    media_types: tuple[str, ...] = ()
    is_open: bool = False
    headers: tuple[str, ...] = ()
    fails: frozenset[int] = frozenset()
