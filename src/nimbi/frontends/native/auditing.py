"""What of requests is written down: those that change what no cloud knows of, and those refused."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from nimbi.broker.access import Caller, is_reading
from nimbi.broker.audit import NOBODY, result_of
from nimbi.frontends.native.answer import JSON, Answer
from nimbi.frontends.native.exchange import Exchange
from nimbi.frontends.native.problems import Problem
from nimbi.frontends.native.route import Route
from nimbi.model.audit import OK
from nimbi.model.errors import CloudError, Forbidden, Unauthorized

log = logging.getLogger(__name__)

Work = Callable[[], Awaitable[Answer | None]]

READING = frozenset({"GET", "HEAD", "OPTIONS"})

# Members of bodies that are written down. Others may be secret, whatever they are called.
SHOWN = (
    *("id", "name", "kind", "title", "driver", "provider", "own_login", "is_enabled", "account"),
    *("user", "group", "role", "tenant", "parent", "project", "resource", "limit", "quota"),
    *("regions", "sizes", "price_hour", "amount", "currency", "expires_at", "collections"),
    *("accounts", "before", "cron", "time_zone", "tenants", "mend"),
)
# A larger body says more than an entry holds.
MOST_BYTES = 64 * 1024
# Which of the arguments of a path are told elsewhere.
ACCOUNT = "account"


def is_told(exchange: Exchange, route: Route) -> bool:
    """Return whether a request is written down here; the calls to clouds are where they are made.

    What hands out a way to a machine, as consoles do, changes nothing in the cloud: it is told too.
    """
    if route.api is not None:
        return route.api.operation.is_safe and not is_reading(route.api.id)
    if exchange.method in READING:
        return False
    return not ("dry_run" in exchange.query and exchange.flag("dry_run"))


async def audited(exchange: Exchange, route: Route, work: Work) -> Answer | None:
    """Return what the work does, written down before and after. Raises StoreUnavailable first."""
    if route.is_open:
        return await _opened(exchange, route, work)
    audit, operation = exchange.broker.audit, operation_of(route)
    begun = await audit.begun(
        exchange.caller,
        operation,
        account=exchange.account,
        thing=_thing(exchange),
        details=await _details(exchange, route),
    )
    try:
        answer = await work()
    except BaseException as error:
        await _quietly(audit.ended(begun, _result(error)))
        raise
    await _quietly(audit.ended(begun, OK, _made(answer)))
    return answer


async def refused(exchange: Exchange, route: Route, error: CloudError) -> None:
    """Write down that a caller was not let do something that changes."""
    if exchange.method in READING and (route.api is None or is_reading(route.api.id)):
        return
    await exchange.broker.audit.told(
        exchange.caller,
        operation_of(route),
        error.code,
        account=exchange.account,
        thing=_thing(exchange),
    )


def operation_of(route: Route) -> str:
    """Return the name under which a route is written down: `login.create` for POST /v1/login."""
    if route.operation is not None:
        return route.operation
    if route.api is not None:
        return route.api.id
    names = [part for part in route.template.split("/")[2:] if not part.startswith("{")]
    verb = {"POST": "create", "DELETE": "destroy"}.get(route.method, "update")
    return f"{names[0]}.{'_'.join(names[1:]) or verb}"


async def _opened(exchange: Exchange, route: Route, work: Work) -> Answer | None:
    """Write down who has signed in, and that somebody could not. Raises what `work` does.

    What else anybody may ask without a token changes nothing, and would fill the disk.
    """
    audit = exchange.broker.audit
    try:
        answer = await work()
    except (Unauthorized, Forbidden) as error:
        # Not who it pretended to be: people type their password there.
        await _quietly(audit.told(NOBODY, operation_of(route), error.code))
        raise
    caller: Caller | None = getattr(exchange, "caller", None)
    if caller is not None:
        await audit.told(caller, operation_of(route), OK, thing=_made(answer))
    return answer


async def _quietly(telling: Awaitable[Any]) -> None:
    # The thing is done: an error here must not have the caller do it again.
    try:
        await telling
    except CloudError:
        log.warning("how a change ended could not be written down", exc_info=True)


def _result(error: BaseException) -> str:
    return error.kind if isinstance(error, Problem) else result_of(error)


def _thing(exchange: Exchange) -> str | None:
    told = [value for name, value in exchange.arguments.items() if name != ACCOUNT]
    return "/".join(told) or None


async def _details(exchange: Exchange, route: Route) -> Mapping[str, Any]:
    if route.takes is None:
        return {}
    body = await exchange.body()
    if len(body) > MOST_BYTES:
        return {}
    try:
        told = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # The handler says what is wrong with it.
        return {}
    return {name: told[name] for name in SHOWN if name in told} if isinstance(told, dict) else {}


def _made(answer: Answer | None) -> str | None:
    """Return the id of what an answer tells of: `{"id": …}`, or `{"token": {"id": …}, …}`."""
    if answer is None or answer.media_type != JSON or len(answer.body) > MOST_BYTES:
        return None
    told = msgspec.json.decode(answer.body) if answer.body else None
    if not isinstance(told, dict):
        return None
    inner = (value for value in told.values() if isinstance(value, dict))
    for each in (told, *inner):
        if isinstance(each.get("id"), str):
            return str(each["id"])
    return None
