"""What is under way: accounts, lists, leases, things being made, jobs, quotas, audit, usage."""

import time
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Select, func, select, tuple_

from nimbi.cli.doctor.finding import Finding, Patient, StoredCheck, broken, poor, some
from nimbi.model.accounts import Health, HealthState
from nimbi.store.audit import AuditStore, hash_of
from nimbi.store.database import Database
from nimbi.store.quotas import QuotaStore
from nimbi.store.schema import (
    accounts,
    alerts,
    events,
    intents,
    jobs,
    leases,
    mails,
    meters,
    polls,
    schedules,
    webhooks,
)

MINUTE_US = 60 * 1_000_000
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US
# No process holds anything longer in advance.
LONGEST_LEASE_US = HOUR_US
# What is due is begun within seconds where a server runs.
LATE_US = 10 * MINUTE_US
# How much of the end of the audit's chain is looked at; `nimbi audit verify` looks at all.
LINKS = 1000

HEALTH = msgspec.json.Decoder(Health)
UNFINISHED = ("queued", "running", "cancelling")


async def _rows(database: Database, wish: Select[Any]) -> list[Any]:
    async with database.reading() as connection:
        return list(await connection.execute(wish))


async def _count(database: Database, wish: Select[Any]) -> int:
    return int((await _rows(database, wish))[0][0] or 0)


async def servers(database: Database, _patient: Patient) -> Finding:
    """Tell how many servers are at work; they are known by what they hold."""
    now = database.now_us()
    holders = {
        row.holder
        for row in await _rows(database, select(leases.c.holder).where(leases.c.until_us > now))
    }
    if not holders:
        return Finding(found="no server polls or works just now")
    return Finding(found=f"{len(holders)} at work")


async def old_leases(database: Database, _patient: Patient) -> Finding:
    """Look for leases that nobody can take for longer than any process holds one."""
    wish = select(leases.c.name).where(leases.c.until_us > database.now_us() + LONGEST_LEASE_US)
    stuck = [row.name for row in await _rows(database, wish.order_by(leases.c.name))]
    if stuck:
        return broken(
            f"{len(stuck)} are held for hours to come: {some(stuck)}",
            "a clock went back; what they stand for waits until then",
            "keep clocks in step; stop the servers, nimbi backup, nimbi restore: that drops leases",
        )
    over = select(func.count()).select_from(leases).where(leases.c.until_us < database.now_us())
    return Finding(found=f"{await _count(database, over)} have run out, and can be taken")


async def health(database: Database, _patient: Patient) -> Finding:
    """Tell which accounts' clouds did not answer when they were asked last."""
    rows = await _rows(database, select(accounts).order_by(accounts.c.id))
    failed = []
    for row in rows:
        told = HEALTH.decode(row.health)
        if row.is_enabled and told.state is HealthState.FAILED:
            failed.append(f"{row.id} ({told.problem.message if told.problem else 'unknown'})")
    if failed:
        return poor(
            f"{len(failed)} of {len(rows)} do not answer: {some(failed)}",
            "their part of lists is what was known before",
            "nimbi accounts test NAME; nimbi accounts change NAME for a new login",
        )
    disabled = sum(not row.is_enabled for row in rows)
    return Finding(found=f"{len(rows)}, of which {disabled} are disabled")


async def inventory(database: Database, _patient: Patient) -> Finding:
    """Look for lists that nobody has asked clouds for although it was time."""
    wish = (
        select(polls.c.account, func.count())
        .join(accounts, accounts.c.id == polls.c.account)
        .where(polls.c.next_us < database.now_us() - LATE_US, accounts.c.is_enabled)
        .group_by(polls.c.account)
        .order_by(polls.c.account)
    )
    late = [row.account for row in await _rows(database, wish)]
    if late:
        return poor(
            f"nobody polls {some(late)}",
            "lists show what was known when a server last ran",
            "start a server with NIMBI_POLLS on: nimbi up, or nimbi serve",
        )
    return Finding(found="all that is due is polled")


async def being_made(database: Database, _patient: Patient) -> Finding:
    """Look for things of which nobody knows whether they were made."""
    limit = database.now_us() - HOUR_US
    wish = select(intents.c.account, intents.c.operation).where(
        ~intents.c.is_done, intents.c.until_us < limit, intents.c.begun_us < limit
    )
    lost = [f"{row.operation} on {row.account}" for row in await _rows(database, wish)]
    if lost:
        return poor(
            f"{len(lost)} answers were lost and not found out about: {some(lost)}",
            "something may cost money that nobody owns",
            "nimbi orphans list, then nimbi orphans destroy or adopt",
        )
    return Finding(found="nothing is left in the middle")


async def listeners(database: Database, _patient: Patient) -> Finding:
    """Look at the webhooks that fail, and at mail that does not leave."""
    wish = select(webhooks.c.url).where(webhooks.c.failing_us.is_not(None) | ~webhooks.c.is_enabled)
    failing = [row.url for row in await _rows(database, wish)]
    unsent = await _count(
        database,
        select(func.count()).select_from(mails).where(mails.c.attempts > 1),
    )
    if failing or unsent:
        found = [f"{len(failing)} webhooks fail: {some(failing)}"] if failing else []
        found += [f"{unsent} mails cannot be sent"] if unsent else []
        return poor(
            "; ".join(found),
            "nobody is told of changes there",
            "nimbi webhooks list; nimbi webhooks enable ID; the settings of SMTP",
        )
    return Finding(found="webhooks and mail are delivered")


async def stuck_jobs(database: Database, _patient: Patient) -> Finding:
    """Look for jobs that no living process does."""
    now = database.now_us()
    alive = select(leases.c.name, leases.c.fence).where(leases.c.until_us > now)
    wish = select(jobs.c.id).where(
        jobs.c.state.in_(UNFINISHED),
        jobs.c.created_us < now - LATE_US,
        jobs.c.slot.is_(None) | tuple_(jobs.c.slot, jobs.c.slot_fence).not_in(alive),
    )
    stuck = [row.id for row in await _rows(database, wish.order_by(jobs.c.created_us))]
    if stuck:
        return broken(
            f"{len(stuck)} are unfinished, and no server does them: {some(stuck)}",
            "what was asked for does not happen",
            "start a server with NIMBI_POLLS on; it takes them over; or nimbi jobs cancel ID",
        )
    late = select(schedules.c.id).where(schedules.c.is_enabled, schedules.c.next_us < now - LATE_US)
    waiting = [row.id for row in await _rows(database, late)]
    if waiting:
        return poor(
            f"{len(waiting)} schedules are overdue: {some(waiting)}",
            "nothing begins by itself",
            "start a server with NIMBI_POLLS on",
        )
    count = select(func.count()).select_from(jobs).where(jobs.c.state.in_(UNFINISHED))
    return Finding(found=f"{await _count(database, count)} unfinished, all in good hands")


async def quotas(database: Database, _patient: Patient) -> Finding:
    """Count what tenants hold anew."""
    wrong = await QuotaStore(database).recount()
    if wrong:
        names = [f"{each.resource} of {each.tenant}" for each in wrong]
        return poor(
            f"{len(wrong)} are not the sum of what is held: {some(names)}",
            "too much or too little is let through",
            "nimbi quotas recount --mend",
        )
    return Finding(found="each is the sum of what is held")


async def audit_chain(database: Database, _patient: Patient) -> Finding:
    """Verify the end of the audit's chain."""
    store = AuditStore(database)
    chain = await store.chain()
    first = max(chain.seq - LINKS, chain.anchor_seq)
    rows = await store.rows(first, LINKS)
    # What is appended meanwhile is no part of this look.
    rows = [row for row in rows if row.seq <= chain.seq]
    previous, seq = None, first
    for row in rows:
        seq += 1
        is_linked = previous is None or bytes(row.previous) == previous
        if row.seq != seq or not is_linked or hash_of(row) != bytes(row.hash):
            return _tampered(seq)
        previous = bytes(row.hash)
    if seq != chain.seq or (rows and previous != bytes(chain.hash)):
        return _tampered(seq + 1)
    return Finding(found=f"the last {len(rows)} of {chain.seq} entries are as they were written")


def _tampered(seq: int) -> Finding:
    return broken(
        f"entry {seq} is not as it was written, or gone",
        "somebody changed the record of who did what",
        "nimbi audit verify tells all of it; compare with an export or a backup",
    )


async def usage(database: Database, _patient: Patient) -> Finding:
    """See how far metering is behind the events."""
    newest = select(func.max(events.c.id))
    last = await _count(database, newest)
    rows = await _rows(database, select(meters))
    if not rows:
        return Finding(found="nothing is metered yet")
    behind = [row for row in rows if row.seen_us < time.time_ns() // 1000 - LATE_US]
    lag = last - min(row.event_id for row in rows)
    if lag and len(behind) == len(rows):
        return poor(
            f"{lag} events are not metered, and nobody is at it",
            "bills lack what was used since",
            "start a server with NIMBI_POLLS on; nothing is lost meanwhile",
        )
    return Finding(found=f"{lag} events to go")


async def open_alerts(database: Database, _patient: Patient) -> Finding:
    """Tell which alerts are open."""
    wish = select(alerts.c.source, alerts.c.account).where(alerts.c.state == "firing")
    firing = [f"{row.source} on {row.account}" for row in await _rows(database, wish)]
    if firing:
        return poor(f"{len(firing)} fire: {some(firing)}", "see there", "nimbi alerts list")
    return Finding(found="none fires")


CHECKS: Sequence[StoredCheck] = (
    StoredCheck("servers", servers),
    StoredCheck("leases", old_leases),
    StoredCheck("accounts", health),
    StoredCheck("inventory", inventory),
    StoredCheck("things being made", being_made),
    StoredCheck("webhooks and mail", listeners),
    StoredCheck("jobs", stuck_jobs),
    StoredCheck("quotas", quotas),
    StoredCheck("audit", audit_chain),
    StoredCheck("usage", usage),
    StoredCheck("alerts", open_alerts),
)
