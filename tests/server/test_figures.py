"""Numbers of what is in the database: for an empty one, a full one, and one that is gone."""

from pathlib import Path

import pytest
from sqlalchemy import insert, update
from tests.store.rows import row_of, tables
from tests.targets.postgres import Server

from nimbi.observability.figures import FIGURES, FRESH_S, Figures
from nimbi.observability.metrics import Metrics
from nimbi.store.database import Database, open_database
from nimbi.store.place import url_of
from nimbi.store.schema import OPEN_S, counters, jobs, leases, quotas, usage


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return url_of(tmp_path / "nimbi.db")
    server: Server = request.getfixturevalue("postgresql")
    return server.new_database()


async def numbers(database: Database) -> dict[str, float]:
    """Return what is told, by name and labels as Prometheus writes them."""
    text = Metrics().render((), await Figures().read(database)).decode()
    lines = [line for line in text.splitlines() if line.startswith("nimbi_")]
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


async def test_an_empty_database_tells_zeros(url: str) -> None:
    async with open_database(url) as database:
        told = await numbers(database)
        families = {family.name for family in await Figures().read(database)}
    assert families >= {figure.name for figure in FIGURES}
    assert told["nimbi_database_up"] == 1
    for name in ("nimbi_servers", "nimbi_jobs_stranded", "nimbi_job_wait_seconds"):
        assert told[name] == 0, name
    assert min(told.values()) >= 0


async def test_what_is_there_is_counted(url: str) -> None:
    async with open_database(url) as database:
        async with database.writing() as connection:
            await connection.execute(update(counters).values(value=30))
            for table in tables():
                await connection.execute(table.insert().values(row_of(table)))
            far = {"holder": "p", "fence": 1, "until_us": 2**62}
            await connection.execute(insert(leases).values(name="slot", **far))
            running = row_of(jobs, 8) | {"state": "running", "kind": "copy", "slot_fence": 1}
            await connection.execute(insert(jobs).values(running | {"slot": "slot"}))
            stranded = row_of(jobs, 9) | {"state": "running", "kind": "copy", "slot": None}
            await connection.execute(insert(jobs).values(stranded))
            await connection.execute(update(quotas).values(most=10))
            await connection.execute(update(usage).values(until_s=OPEN_S))
        told = await numbers(database)
    assert told["nimbi_servers"] == 1
    assert told['nimbi_jobs{kind="copy",state="running"}'] == 2
    assert told["nimbi_jobs_stranded"] == 1
    assert told["nimbi_events_total"] == 30
    assert told["nimbi_webhook_lag_events"] == 23
    assert told['nimbi_quota_used{resource="w\u00f6rd7",tenant="w\u00f6rd7"}'] == 7
    assert told['nimbi_quota_limit{resource="w\u00f6rd7",tenant="w\u00f6rd7"}'] == 10
    assert told['nimbi_usage_open{collection="w\u00f6rd7"}'] == 1
    assert told["nimbi_audit_entries_total"] == 7
    assert told['nimbi_accounts{state="enabled"}'] == 1


async def test_a_database_that_cannot_be_read_is_told_as_such(url: str) -> None:
    async with open_database(url) as database:
        async with database.writing() as connection:
            await connection.exec_driver_sql("drop table jobs")
        told = await numbers(database)
    assert told["nimbi_database_up"] == 0
    assert set(told) <= {"nimbi_database_up", "nimbi_sessions_open", "nimbi_consoles_open"}


async def test_who_asks_often_gets_the_numbers_of_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = iter([0.0, 0.0, 0.0, 0.0, FRESH_S - 1, FRESH_S, FRESH_S, FRESH_S, FRESH_S])
    asked = Figures(lambda: next(now))
    async with open_database(url_of(tmp_path / "nimbi.db")) as database:
        first = await asked.read(database)
        assert await asked.read(database) is first
        assert await asked.read(database) is not first
