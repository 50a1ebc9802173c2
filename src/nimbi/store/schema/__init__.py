"""The tables. `migrations/` makes them; a test holds both against each other."""

from nimbi.store.schema.base import HEAD, METADATA, Words, plain
from nimbi.store.schema.clouds import accounts, dropped, labels, polls, things
from nimbi.store.schema.events import counters, events, webhooks
from nimbi.store.schema.people import attempts, passwords, tokens
from nimbi.store.schema.requests import answers, intents, leases

__all__ = [
    "HEAD",
    "METADATA",
    "Words",
    "accounts",
    "answers",
    "attempts",
    "counters",
    "dropped",
    "events",
    "intents",
    "labels",
    "leases",
    "passwords",
    "plain",
    "polls",
    "things",
    "tokens",
    "webhooks",
]
