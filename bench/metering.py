"""A month's bills of a thousand projects from a million events, to one SQL sum over them."""

import random
import sqlite3
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import uvloop

from bench.one_list import _forget_peak, _status_kib
from bench.table import Line
from nimbi.broker.metering.metering import Metering
from nimbi.model.metering import Meter, NewBills, NewPrice, NewPrices
from nimbi.store.database import Database, open_database
from nimbi.store.leases import LeaseStore
from nimbi.store.metered import Facts, series_digest
from nimbi.store.meters import MeterStore

EVENTS = 1_000_000
PROJECTS = 1000
PROFILES = ("small", "medium", "large", "huge")
# Changes of one thing: it runs and stops in turn.
CHANGES = 10
MONTH = "2026-03"
BEGIN_S, UNTIL_S = 1_772_323_200, 1_775_001_600
MIB = 2**20
ROUNDS = 3

# What the month's use of all projects comes to, without asking whose it is or what it costs.
SUM = """select sum(((case when until_s < :end then until_s else :end end)
    - (case when begin_s > :begin then begin_s else :begin end)) * amount)
    from usage where begin_s < :end and until_s > :begin and series > 0"""


def measure(place: Path) -> list[Line]:
    """Measure on SQLite, in this process."""
    return uvloop.run(_measured(place / "metering.db"))


async def _measured(file: Path) -> list[Line]:
    async with open_database(f"sqlite:///{file}") as database:
        await MeterStore(database).compare(whole=True)
        _fill(file)
        metering = Metering(database, LeaseStore(database), None, holder="bench")
        prices = tuple(
            NewPrice(meter=meter, kind=kind, amount=Decimal("0.0123"), currency="EUR")
            for meter in (Meter.RUNNING, Meter.STOPPED)
            for kind in PROFILES
        )
        await metering.prices.add(prices, NewPrices())
        sum_s = min(_sum_s(file) for _ in range(ROUNDS))
        # Once before, since SQLite's cache grows to its full size only then.
        await _billed_s(metering, database)
        before = _status_kib("VmRSS")
        _forget_peak()
        bill_s = min([await _billed_s(metering, database) for _ in range(ROUNDS)])
        growth = (_status_kib("VmHWM") - before) * 1024 / MIB
    return [
        Line(
            f"{EVENTS:,} events: bills of {PROJECTS:,} projects, to one SQL sum over them",
            bill_s / sum_s,
            "x",
            3,
            at_least=False,
            note=f"{bill_s * 1000:.0f} ms, {sum_s * 1000:.0f} ms",
        ),
        Line("memory that grows while they are made", growth, "MiB", 32, at_least=False),
    ]


async def _billed_s(metering: Metering, database: Database) -> float:
    """Return how long it takes to make and keep the bills, which are then forgotten."""
    began = time.perf_counter()
    await metering.bills.make(NewBills(month=MONTH))
    taken = time.perf_counter() - began
    made = await metering.bills.page(tenant=None, month=MONTH, after="", limit=2 * PROJECTS)
    if len(made) != PROJECTS:
        raise SystemExit(f"there are {len(made)} bills")
    async with database.writing() as connection:
        await connection.exec_driver_sql("delete from bills")
    return taken


def _sum_s(file: Path) -> float:
    with sqlite3.connect(file) as connection:
        connection.execute("pragma cache_size = -16384")
        began = time.perf_counter()
        connection.execute(SUM, {"begin": BEGIN_S, "end": UNTIL_S}).fetchone()
        return time.perf_counter() - began


def _fill(file: Path) -> None:
    with sqlite3.connect(file) as connection:
        connection.executemany("insert into series values (?,?,?,?,?,?,?,?,?,?,?,?)", _series())
        connection.executemany("insert into usage values (?,?,?,?,?,?,?,?,?,?,?)", _usage())
        connection.execute("update meters set usage_id = ?", (EVENTS,))


def _series() -> Iterator[tuple[object, ...]]:
    for project in range(PROJECTS):
        tenant, path = f"project{project:04}", f"/root/project{project:04}/"
        for number, state in enumerate(("running", "stopped")):
            kind = PROFILES[project % len(PROFILES)]
            facts = Facts(state, kind, "", 1, 2, 4096)
            digest = series_digest(tenant, path, "aws", "instances", facts)
            told = (digest, tenant, path, "aws", "instances", state, kind, "", 2, 4096, b"{}")
            yield (project * 2 + number + 1, *told)


def _usage() -> Iterator[tuple[object, ...]]:
    dice = random.Random(1)
    for number in range(EVENTS // CHANGES):
        at = BEGIN_S - 86_400 + dice.randrange(86_400 * 2)
        for change in range(CHANGES):
            until = at + dice.randrange(60, 86_400 * 5)
            series = number % PROJECTS * 2 + change % 2 + 1
            thing = ("aws", "instances", f"i-{number:08}", f"web-{number}", at * 1_000_000)
            yield (number * CHANGES + change + 1, *thing, at, until, series, 1, None)
            at = until
