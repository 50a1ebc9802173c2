"""Deliveries to webhooks: signed, in order, and made again until somebody listens."""

import asyncio
import base64
import hashlib
import hmac
import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec

from nimbi.broker.background import background
from nimbi.model.accounts import Problem
from nimbi.model.errors import CloudUnavailable, Forbidden
from nimbi.model.inventory import Event
from nimbi.model.webhooks import Webhook
from nimbi.store.errors import SealError
from nimbi.store.events import EventStore
from nimbi.store.sealing import Keyring
from nimbi.store.webhooks import Delivery, WebhookStore, bound_to
from nimbi.wire.destinations import Reach
from nimbi.wire.http import HttpClient, HttpError, Request, open_client

log = logging.getLogger(__name__)

# Source of the form of secrets, headers and signatures: https://www.standardwebhooks.com,
# "Standard Webhooks specification".
SECRET_MARK = "whsec_"  # noqa: S105  a prefix
SECRET_BYTES = 32

GONE = 410
ANSWER_BYTES = 64 * 1024
BATCH = 100
# Webhooks delivered to at the same moment by one process.
AT_ONCE = 20


# Leaves out of events what a webhook's owner is not to see. Raises Forbidden for who is nobody now.
Shown = Callable[[Webhook, Sequence[Event]], Awaitable[Sequence[Event]]]


@dataclass(frozen=True)
class Pace:
    """When deliveries are made: looked for every `look_s`, and given up after `patience_s`.

    The pause after the n-th failure in a row is up to `first_s * 2 ** n`, at most `longest_s`. A
    webhook that failed for `disable_s` on end is disabled.
    """

    look_s: float = 1.0
    patience_s: float = 15.0
    first_s: float = 5.0
    longest_s: float = 3600.0
    disable_s: float = 3 * 24 * 3600.0


class Deliverer:
    """Delivers what is due; several processes share the work."""

    def __init__(
        self,
        store: WebhookStore,
        events: EventStore,
        keyring: Keyring,
        reach: Reach,
        *,
        holder: str,
        pace: Pace,
        random: Callable[[], float] = random.random,
        shown: Shown | None = None,
    ) -> None:
        self._store = store
        self._events = events
        self._keyring = keyring
        self._reach = reach
        self._holder = holder
        self._pace = pace
        self._random = random
        self._shown = shown or _all
        self._lease_s = 2 * pace.patience_s

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Deliver until the block ends; a delivery under way is broken off, and made again."""
        async with (
            open_client(silence_s=self._pace.patience_s) as client,
            background(self._run(client.reaching(self._reach))),
        ):
            yield

    async def _run(self, client: HttpClient) -> None:
        busy: set[asyncio.Task[None]] = set()
        try:
            while True:
                busy = {task for task in busy if not task.done()}
                try:
                    room = AT_ONCE - len(busy)
                    due = await self._store.due(self._holder, self._lease_s, room) if room else ()
                except CloudUnavailable:
                    log.warning("webhooks wait: the database cannot be reached")
                    due = ()
                busy |= {asyncio.ensure_future(self._guarded(client, each)) for each in due}
                await asyncio.sleep(self._pace.look_s)
        finally:
            for task in busy:
                task.cancel()
            if busy:
                await asyncio.wait(busy)

    async def _guarded(self, client: HttpClient, delivery: Delivery) -> None:
        try:
            await self._deliver(client, delivery)
        except CloudUnavailable:
            log.warning("webhook %s waits: the database cannot be reached", delivery.webhook.id)
        except Exception:
            # Its lease runs out, and somebody tries again.
            log.exception("webhook %s could not be delivered to", delivery.webhook.id)

    async def _deliver(self, client: HttpClient, delivery: Delivery) -> None:
        """Tell one webhook all that it has not got yet, in order, as far as it listens."""
        webhook = delivery.webhook
        newest = await self._events.newest()
        events = await self._events.after(
            webhook.delivered_id,
            BATCH,
            accounts=webhook.accounts or None,
            collections=webhook.collections or None,
        )
        ready = await self._ready(delivery, events)
        if isinstance(ready, Problem):
            await self._failed(delivery, ready)
            return
        secret, told = ready
        seen = webhook.delivered_id
        for event in told:
            if not await self._store.keep(webhook.id, self._holder, self._lease_s):
                return
            problem = await self._told(client, webhook, secret, event)
            if problem is not None:
                if seen != webhook.delivered_id:
                    await self._store.delivered(webhook.id, self._holder, seen)
                    delivery = delivery._replace(attempts=0)
                await self._failed(delivery, problem)
                return
            seen = event.id
        # Fewer than a batch: what is not among them does not concern it.
        if events:
            seen = events[-1].id
        if len(events) < BATCH:
            seen = max(seen, newest)
        await self._store.delivered(webhook.id, self._holder, seen)

    async def _ready(
        self, delivery: Delivery, events: Sequence[Event]
    ) -> tuple[bytes, Sequence[Event]] | Problem:
        """Return the secret, and of the events what its owner may see; or why that cannot be."""
        webhook = delivery.webhook
        try:
            secret = self._keyring.open(delivery.secret, bound_to(webhook.id))
            return secret, await self._shown(webhook, events)
        except SealError as error:
            return Problem("sealed", str(error))
        except Forbidden as error:
            return Problem("forbidden", error.message)

    async def _told(
        self, client: HttpClient, webhook: Webhook, secret: bytes, event: Event
    ) -> Problem | None:
        """Deliver one event; return why it failed, None when it was taken."""
        body = body_of(event)
        headers = headers_of(f"msg_{webhook.id}_{event.id}", int(time.time()), body, secret)
        request = Request("POST", webhook.url, headers, body)
        try:
            async with asyncio.timeout(self._pace.patience_s):
                answer = await client.send(request, limit_bytes=ANSWER_BYTES)
        except TimeoutError:
            return Problem("timeout", f"no answer within {self._pace.patience_s:g} s")
        except HttpError as error:
            return Problem("unreachable", str(error))
        if 200 <= answer.status < 300:
            return None
        if answer.status == GONE:
            return Problem("gone", "the URL answered 410: it wants no more")
        return Problem("refused", f"the URL answered {answer.status}")

    async def _failed(self, delivery: Delivery, problem: Problem) -> None:
        now = datetime.now(UTC)
        since = delivery.webhook.failing_since or now
        pause_s = min(self._pace.longest_s, self._pace.first_s * 2.0 ** min(delivery.attempts, 30))
        # At least half of it, so that a server that is starting is not knocked over.
        again_at: datetime | None = now + timedelta(seconds=pause_s * (1 + self._random()) / 2)
        if problem.code == "gone" or (now - since).total_seconds() > self._pace.disable_s:
            again_at = None
            log.warning("webhook %s is disabled: %s", delivery.webhook.id, problem.message)
        await self._store.failed(delivery.webhook.id, self._holder, problem, now, again_at)


async def _all(_webhook: Webhook, events: Sequence[Event]) -> Sequence[Event]:
    return events


def body_of(event: Event) -> bytes:
    """Return what is delivered: `{"type": "instances.changed", "timestamp": …, "data": {…}}`."""
    told = {
        "type": f"{event.collection}.{event.kind.value}",
        "timestamp": event.at,
        "data": event,
    }
    return msgspec.json.encode(told)


def headers_of(id: str, at: int, body: bytes, secret: bytes) -> dict[str, str]:
    """Return the headers of one delivery; the same event has the same id each time."""
    signed = b"%b.%d.%b" % (id.encode(), at, body)
    signature = base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
    return {
        "Content-Type": "application/json",
        "webhook-id": id,
        "webhook-timestamp": str(at),
        "webhook-signature": f"v1,{signature}",
    }
