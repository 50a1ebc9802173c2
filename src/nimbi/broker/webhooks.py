"""Webhooks: URLs that are told of changes."""

import base64
import secrets
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime

from nimbi.broker.access import ADMIN, Caller, is_below, may_see
from nimbi.broker.accounts import Accounts
from nimbi.broker.deliveries import SECRET_BYTES, SECRET_MARK, Deliverer, Pace, Shown
from nimbi.broker.destinations import Destinations
from nimbi.broker.health.notification import COLLECTION as ALERTS
from nimbi.broker.inventory.collections import REMEMBERED
from nimbi.model.errors import Invalid, NotFound
from nimbi.model.webhooks import CreatedWebhook, NewWebhook, Webhook
from nimbi.store.accounts import COLLECTION as ACCOUNTS
from nimbi.store.budgets import COLLECTION as BUDGETS
from nimbi.store.events import EventStore
from nimbi.store.sealing import Keyring
from nimbi.store.webhooks import WebhookStore, bound_to, missing

MOST = 100
LONGEST_URL = 2000


class Webhooks:
    """Keeps webhooks, and delivers events to them. `holder` names this process and no other."""

    def __init__(
        self,
        store: WebhookStore,
        events: EventStore,
        accounts: Accounts,
        keyring: Keyring,
        destinations: Destinations,
        *,
        holder: str,
        pace: Pace | None = None,
        shown: Shown | None = None,
    ) -> None:
        self._store = store
        self._events = events
        self._accounts = accounts
        self._keyring = keyring
        self._destinations = destinations
        self._deliverer = Deliverer(
            store,
            events,
            keyring,
            destinations.reach,
            holder=holder,
            pace=pace or Pace(),
            shown=shown,
        )

    async def all(self, caller: Caller = ADMIN) -> tuple[Webhook, ...]:
        """Return the webhooks of the caller's tenant and below, the oldest first."""
        return tuple(one for one in await self._store.list() if is_below(caller, one.tenant))

    async def get(self, id: str, caller: Caller = ADMIN) -> Webhook:
        """Return one. Raises NotFound, also for one of others."""
        found = await self._store.get(id)
        if not is_below(caller, found.tenant):
            raise missing(id)
        return found

    async def create(self, new: NewWebhook, caller: Caller = ADMIN) -> CreatedWebhook:
        """Return a new webhook with its secret; it is told what happens from now on.

        Raises Invalid for a URL that is none and for an unknown collection, Forbidden for one that
        this server may not call, NotFound for an unknown account. It is told no more than the
        caller may see, at the time when something happens.
        """
        await self._check(new, caller)
        secret = secrets.token_bytes(SECRET_BYTES)
        webhook = Webhook(
            id=f"wh_{secrets.token_hex(8)}",
            url=new.url,
            accounts=new.accounts,
            collections=new.collections,
            created_at=datetime.now(UTC),
            delivered_id=await self._events.newest(),
            tenant=caller.tenant,
            owner=None if caller.owner == ADMIN.owner else caller.owner,
        )
        await self._store.add(webhook, self._keyring.seal(secret, bound_to(webhook.id)))
        told = SECRET_MARK + base64.b64encode(secret).decode()
        return CreatedWebhook(webhook=webhook, secret=told)

    async def enable(self, id: str, caller: Caller = ADMIN) -> Webhook:
        """Return the webhook, delivered to again; what it missed is delivered first.

        Raises NotFound.
        """
        await self.get(id, caller)
        return await self._store.set_enabled(id, True)

    async def destroy(self, id: str, caller: Caller = ADMIN) -> None:
        """Remove one. Raises NotFound."""
        await self.get(id, caller)
        await self._store.remove(id)

    def delivering(self) -> AbstractAsyncContextManager[None]:
        """Deliver in the background for as long as the block runs."""
        return self._deliverer.running()

    async def _check(self, new: NewWebhook, caller: Caller) -> None:
        known = {*REMEMBERED, ALERTS, BUDGETS, ACCOUNTS}
        for name in new.collections:
            if name not in known:
                raise Invalid(f"nobody is told of {name!r}; there are: {', '.join(sorted(known))}")
        accounts = {
            account.id for account in await self._accounts.all() if may_see(caller, account.id)
        }
        for name in new.accounts:
            if name not in accounts:
                raise NotFound(f"there is no account {name!r}")
        if len(new.url) > LONGEST_URL:
            raise Invalid(f"a URL has at most {LONGEST_URL} characters")
        if len(await self.all()) >= MOST:
            raise Invalid(f"there are {MOST} webhooks already")
        await self._destinations.check_url(new.url)
