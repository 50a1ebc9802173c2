"""The tables. `migrations/` makes them; a test holds both against each other."""

from nimbi.store.schema.audit import audit, audit_head
from nimbi.store.schema.base import HEAD, METADATA, Words, plain
from nimbi.store.schema.checks import (
    alerts,
    check_actions,
    check_counts,
    checks,
    mails,
    objectives,
    silences,
)
from nimbi.store.schema.clouds import accounts, dropped, labels, polls, things
from nimbi.store.schema.events import counters, events, webhooks
from nimbi.store.schema.holdings import holdings, limits, quotas
from nimbi.store.schema.jobs import job_lines, jobs
from nimbi.store.schema.openid import sign_ins
from nimbi.store.schema.people import (
    attempts,
    grants,
    lends,
    members,
    passwords,
    roles,
    tenants,
    tokens,
    user_groups,
    users,
)
from nimbi.store.schema.requests import answers, intents, leases
from nimbi.store.schema.schedules import firings, schedules
from nimbi.store.schema.usage import OPEN_S, bills, budgets, meters, prices, series, usage

__all__ = [
    "HEAD",
    "METADATA",
    "OPEN_S",
    "Words",
    "accounts",
    "alerts",
    "answers",
    "attempts",
    "audit",
    "audit_head",
    "bills",
    "budgets",
    "check_actions",
    "check_counts",
    "checks",
    "counters",
    "dropped",
    "events",
    "firings",
    "grants",
    "holdings",
    "intents",
    "job_lines",
    "jobs",
    "labels",
    "leases",
    "lends",
    "limits",
    "mails",
    "members",
    "meters",
    "objectives",
    "passwords",
    "plain",
    "polls",
    "prices",
    "quotas",
    "roles",
    "schedules",
    "series",
    "sign_ins",
    "silences",
    "tenants",
    "things",
    "tokens",
    "usage",
    "user_groups",
    "users",
    "webhooks",
]
