"""Webhooks: URLs that are told of changes."""

from datetime import datetime

import msgspec

from nimbi.model.accounts import Problem
from nimbi.model.people import ROOT, Owner
from nimbi.model.resource import NewResource


class NewWebhook(NewResource, frozen=True, kw_only=True):
    """Tell a URL of changes; of all of them unless accounts or collections are named."""

    url: str
    accounts: tuple[str, ...] = ()
    collections: tuple[str, ...] = ()


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """A URL that is told of changes.

    `delivered_id` is the last event that it took. `problem` is why the last delivery failed; after
    `failing_since` is long ago it is not `is_enabled` any more. It is told what its `owner` may see
    in `tenant`; without one, what the operator may.
    """

    id: str
    url: str
    accounts: tuple[str, ...]
    collections: tuple[str, ...]
    created_at: datetime
    is_enabled: bool = True
    delivered_id: int = 0
    failing_since: datetime | None = None
    problem: Problem | None = None
    tenant: str = ROOT
    owner: Owner | None = None


class CreatedWebhook(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook just made, with the secret that signs what it is sent, which is told this once."""

    webhook: Webhook
    secret: str

    def __repr__(self) -> str:
        return f"CreatedWebhook({self.webhook!r}, …)"
