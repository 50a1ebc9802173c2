"""Numbers of all servers together, read from the database they share when they are asked for."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from prometheus_client.core import Metric
from sqlalchemy import Select, case, func, literal, select, tuple_
from sqlalchemy.exc import SQLAlchemyError

from nimbi.model.errors import CloudError
from nimbi.store.database import Database
from nimbi.store.schema import (
    HEAD,
    OPEN_S,
    accounts,
    alerts,
    audit,
    audit_head,
    budgets,
    checks,
    counters,
    holdings,
    intents,
    jobs,
    leases,
    mails,
    meters,
    polls,
    quotas,
    schedules,
    things,
    usage,
    webhooks,
)

# Whoever asks more often gets the numbers of before: /metrics needs no login.
FRESH_S = 5.0
# Of one number by accounts or tenants; there are as many as the operator makes.
MOST_ROWS = 2000

SECOND_US = 1_000_000
RECENT_US = 3600 * SECOND_US
MICRO = 1e6
UNFINISHED = ("queued", "running", "cancelling")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Figure:
    """One number. `wish` selects rows of the labels' values and the number, in this order.

    It is called with the database. A COUNTER only grows.
    """

    name: str
    text: str
    wish: Callable[[Database], Select[Any]]
    labels: tuple[str, ...] = ()
    kind: Literal["gauge", "counter"] = "gauge"


def _count(*conditions: Any, of: Any) -> Select[Any]:
    return select(func.count()).select_from(of).where(*conditions)


def _age(database: Database, moment: Any) -> Any:
    """Return how many seconds ago the earliest of these was, 0 when there is none."""
    return func.coalesce((database.now_us() - func.min(moment)) / MICRO, 0.0)


def _alive(database: Database) -> Any:
    return select(leases.c.name, leases.c.fence).where(leases.c.until_us > database.now_us())


def _newest_event() -> Any:
    return select(counters.c.value).where(counters.c.name == "events").scalar_subquery()


FIGURES: Sequence[Figure] = (
    Figure(
        "nimbi_servers",
        "Processes that hold a lease: that poll, deliver, or do jobs.",
        lambda db: select(func.count(leases.c.holder.distinct())).where(
            leases.c.until_us > db.now_us()
        ),
    ),
    Figure(
        "nimbi_accounts",
        "Accounts, by whether they may be used.",
        lambda _db: select(
            case((accounts.c.is_enabled, "enabled"), else_="disabled"), func.count()
        ).group_by(accounts.c.is_enabled),
        ("state",),
    ),
    Figure(
        "nimbi_account_failing",
        "1 while the last look at an enabled account's lists was not whole, else 0.",
        lambda _db: (
            select(polls.c.account, func.max(case((polls.c.problem.is_(None), 0), else_=1)))
            .join(accounts, (accounts.c.id == polls.c.account) & accounts.c.is_enabled)
            .group_by(polls.c.account)
        ),
        ("account",),
    ),
    Figure(
        "nimbi_inventory_age_seconds",
        "Seconds since all lists of an enabled account were seen whole.",
        lambda db: (
            select(
                polls.c.account, (db.now_us() - func.min(func.coalesce(polls.c.ok_us, 0))) / MICRO
            )
            .join(accounts, (accounts.c.id == polls.c.account) & accounts.c.is_enabled)
            .where(polls.c.ok_us.is_not(None))
            .group_by(polls.c.account)
        ),
        ("account",),
    ),
    Figure(
        "nimbi_inventory_things",
        "Things in clouds, by their collection.",
        lambda _db: select(things.c.collection, func.count()).group_by(things.c.collection),
        ("collection",),
    ),
    Figure(
        "nimbi_creations_open",
        "Things being made, of which it is not known yet whether they were.",
        lambda _db: _count(~intents.c.is_done, of=intents),
    ),
    Figure(
        "nimbi_creations_lost",
        "Of these, those that nobody works on any more: see `nimbi orphans`.",
        lambda db: _count(~intents.c.is_done, intents.c.until_us <= db.now_us(), of=intents),
    ),
    Figure(
        "nimbi_events",
        "Changes that were seen.",
        lambda _db: select(func.coalesce(_newest_event(), 0)),
        kind="counter",
    ),
    Figure(
        "nimbi_webhooks",
        "Webhooks, by how deliveries go.",
        lambda _db: select(
            case(
                (~webhooks.c.is_enabled, "disabled"),
                (webhooks.c.failing_us.is_not(None), "failing"),
                else_="ok",
            ).label("state"),
            func.count(),
        ).group_by("state"),
        ("state",),
    ),
    Figure(
        "nimbi_webhook_lag_events",
        "Events that the enabled webhook that is furthest behind has not got.",
        lambda _db: select(
            func.coalesce(_newest_event() - func.min(webhooks.c.delivered_id), 0)
        ).where(webhooks.c.is_enabled),
    ),
    Figure(
        "nimbi_mails_waiting",
        "Mails of alerts that have not been sent.",
        lambda _db: _count(of=mails),
    ),
    Figure(
        "nimbi_jobs",
        "Jobs that are not at their end.",
        lambda _db: (
            select(jobs.c.kind, jobs.c.state, func.count())
            .where(jobs.c.state.in_(UNFINISHED))
            .group_by(jobs.c.kind, jobs.c.state)
        ),
        ("kind", "state"),
    ),
    Figure(
        "nimbi_jobs_recent",
        "Jobs that came to their end within the last hour.",
        lambda db: (
            select(jobs.c.kind, jobs.c.state, func.count())
            .where(jobs.c.ended_us > db.now_us() - RECENT_US)
            .group_by(jobs.c.kind, jobs.c.state)
        ),
        ("kind", "state"),
    ),
    Figure(
        "nimbi_job_wait_seconds",
        "How long the oldest job has waited that nobody has begun.",
        lambda db: select(_age(db, jobs.c.created_us)).where(jobs.c.state == "queued"),
    ),
    Figure(
        "nimbi_jobs_stranded",
        "Unfinished jobs that no living process does.",
        lambda db: _count(
            jobs.c.state.in_(UNFINISHED),
            jobs.c.slot.is_(None) | tuple_(jobs.c.slot, jobs.c.slot_fence).not_in(_alive(db)),
            of=jobs,
        ),
    ),
    Figure(
        "nimbi_schedule_late_seconds",
        "How long the schedule has been due that waits longest.",
        lambda db: select(_age(db, schedules.c.next_us)).where(
            schedules.c.is_enabled, schedules.c.next_us < db.now_us()
        ),
    ),
    Figure(
        "nimbi_holdings",
        "Things that tenants hold, or have room reserved for.",
        lambda _db: (
            select(holdings.c.state, func.count())
            .where(holdings.c.state != "released")
            .group_by(holdings.c.state)
        ),
        ("state",),
    ),
    Figure(
        "nimbi_reservation_seconds",
        "Age of the oldest reservation that has become nothing yet.",
        lambda db: select(_age(db, holdings.c.created_us)).where(holdings.c.state == "reserved"),
    ),
    Figure(
        "nimbi_quota_used",
        "What a tenant with a quota uses of it, those below it with it.",
        lambda _db: select(quotas.c.tenant, quotas.c.resource, quotas.c.used).where(
            quotas.c.most.is_not(None)
        ),
        ("tenant", "resource"),
    ),
    Figure(
        "nimbi_quota_limit",
        "What a tenant may use.",
        lambda _db: select(quotas.c.tenant, quotas.c.resource, quotas.c.most).where(
            quotas.c.most.is_not(None)
        ),
        ("tenant", "resource"),
    ),
    Figure(
        "nimbi_audit_entries",
        "Entries that the audit ever had.",
        lambda _db: select(func.coalesce(func.max(audit_head.c.seq), 0)),
        kind="counter",
    ),
    Figure(
        "nimbi_audit_recent",
        "Entries of the last hour, by result: ok, or the code of what went wrong.",
        lambda db: (
            select(audit.c.result, func.count())
            .where(audit.c.at_us > db.now_us() - RECENT_US, audit.c.result != "")
            .group_by(audit.c.result)
        ),
        ("result",),
    ),
    Figure(
        "nimbi_usage_lag_events",
        "Events that metering has not read yet.",
        lambda _db: select(func.coalesce(_newest_event() - func.min(meters.c.event_id), 0)),
    ),
    Figure(
        "nimbi_usage_idle_seconds",
        "How long ago metering last looked for events.",
        lambda db: select(_age(db, meters.c.seen_us)),
    ),
    Figure(
        "nimbi_usage_open",
        "Intervals of use that have not ended.",
        lambda _db: (
            select(usage.c.collection, func.count())
            .where(usage.c.until_s == OPEN_S)
            .group_by(usage.c.collection)
        ),
        ("collection",),
    ),
    Figure(
        "nimbi_budget_warnings",
        "Thresholds of a budget that this month's spending has passed.",
        lambda _db: select(budgets.c.tenant, budgets.c.id, budgets.c.warned),
        ("tenant", "budget"),
    ),
    Figure(
        "nimbi_checks",
        "Enabled health checks, by what they found last.",
        lambda _db: (
            select(checks.c.state, func.count()).where(checks.c.is_enabled).group_by(checks.c.state)
        ),
        ("state",),
    ),
    Figure(
        "nimbi_check_late_seconds",
        "How long the health check has been due that waits longest.",
        lambda db: select(_age(db, checks.c.next_us)).where(
            checks.c.is_enabled, checks.c.next_us < db.now_us()
        ),
    ),
    Figure(
        "nimbi_alerts_firing",
        "Alerts that fire.",
        lambda _db: _count(alerts.c.state == "firing", of=alerts),
    ),
    Figure(
        "nimbi_database_form",
        "The form of the tables that this server knows.",
        lambda _db: select(literal(int(HEAD))),
    ),
)

UP = "nimbi_database_up"
SECONDS = "nimbi_database_seconds"


class Figures:
    """The numbers, as they were at most FRESH_S ago."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._turn = asyncio.Lock()
        self._read_at = float("-inf")
        self._families: list[Metric] = []

    async def read(self, database: Database) -> Sequence[Metric]:
        """Return all numbers; a database that cannot be read has only one: that it is not up."""
        async with self._turn:
            if self._clock() - self._read_at >= FRESH_S:
                self._families = await self._read(database)
                self._read_at = self._clock()
            return self._families

    async def _read(self, database: Database) -> list[Metric]:
        began = self._clock()
        try:
            async with database.reading() as connection:
                found = [
                    _family(each, await connection.execute(each.wish(database).limit(MOST_ROWS)))
                    for each in FIGURES
                ]
        except (CloudError, SQLAlchemyError):
            log.warning("the numbers of the database cannot be read", exc_info=True)
            return [_one(UP, "1 while the database can be read.", 0.0)]
        seconds = self._clock() - began
        return [
            _one(UP, "1 while the database can be read.", 1.0),
            _one(SECONDS, "Seconds that it took to read these numbers.", seconds),
            *found,
        ]


def _one(name: str, text: str, value: float) -> Metric:
    family = Metric(name, text, "gauge")
    family.add_sample(name, {}, value)
    return family


def _family(figure: Figure, rows: Any) -> Metric:
    family = Metric(figure.name, figure.text, figure.kind)
    name = f"{figure.name}_total" if figure.kind == "counter" else figure.name
    for row in rows:
        *labels, value = row
        family.add_sample(name, dict(zip(figure.labels, labels, strict=True)), float(value or 0))
    return family
