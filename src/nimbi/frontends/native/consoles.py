"""Consoles: an address for one use, at which the front end for consoles opens one."""

import asyncio
from datetime import UTC, datetime, timedelta

from nimbi.api.routes import ROUTES
from nimbi.driver.compute import Instances
from nimbi.frontends.native import intake
from nimbi.frontends.native.answer import Answer, json_answer
from nimbi.frontends.native.exchange import Exchange
from nimbi.frontends.native.login import secret_of
from nimbi.gateway.tickets import Ticket
from nimbi.model.errors import Conflict, Unsupported
from nimbi.model.instances import InstanceState

EXPIRES_S = 60

# The driver that opens accounts by tokens; the ticket opens the console as whoever asked for it.
DRIVER = "nimbi"

AWAKE = frozenset({InstanceState.PENDING, InstanceState.RUNNING, InstanceState.PAUSED})


async def open_console(exchange: Exchange) -> Answer:
    """Answer with the address of a console: a WebSocket, for one use within a minute."""
    api = ROUTES["instances.open_console"]
    given = await intake.arguments(api, exchange)
    if exchange.tickets is None:
        raise Unsupported("this server has no consoles", api.id)
    if not exchange.cloud.supports(Instances.open_console):
        raise Unsupported(f"{exchange.cloud.driver.name} has no consoles", api.id)
    account = exchange.arguments["account"]
    instance = await exchange.cloud.call(Instances.get, given["id"])
    if instance.state not in AWAKE:
        raise Conflict(f"the instance {instance.id!r} is {instance.state}: it has no console")
    if exchange.flag("dry_run"):
        return json_answer({"dry_run": True, "operation": api.id, "account": account})
    ticket = Ticket(
        driver=DRIVER,
        provider=account,
        login=(exchange.caller.name, secret_of(exchange)),
        instance_id=instance.id,
        kind=given["kind"],
        expires_at=datetime.now(UTC) + timedelta(seconds=EXPIRES_S),
    )
    token = await asyncio.to_thread(exchange.tickets.give, ticket)
    told = {
        "account": account,
        "instance_id": instance.id,
        "kind": ticket.kind,
        "url": f"{exchange.origin}/consoles/{token}",
        "token": token,
        "expires_at": ticket.expires_at,
    }
    return json_answer(told, 201)
