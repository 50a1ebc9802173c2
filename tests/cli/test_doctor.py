"""The command `nimbi doctor`: what it finds wrong, and that it tells how to mend it."""

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import insert, update
from tests.cli.conftest import own_environment
from tests.store.rows import row_of, tables
from tests.store.samples import account

from nimbi.cli.main import main
from nimbi.model.accounts import Health, HealthState, Problem
from nimbi.store.accounts import AccountStore
from nimbi.store.database import Database, open_database
from nimbi.store.keys import new_key
from nimbi.store.place import url_of
from nimbi.store.schema import accounts, audit, audit_head, intents, jobs, leases, meters, quotas

Doctor = Callable[..., Result]
Work = Callable[[Database], Any]


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    environment = own_environment(tmp_path)
    for name in set(os.environ) - set(environment):
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    place = tmp_path / "state" / "nimbi"
    place.mkdir(parents=True, mode=0o700)
    return place


def doctor(*flags: str) -> Result:
    return CliRunner().invoke(main, ["doctor", *flags])


def findings(*flags: str) -> dict[str, dict[str, str]]:
    """Return what is told, by the name of the check."""
    done = CliRunner().invoke(main, ["doctor", "--json", *flags])
    return {each["check"]: each for each in json.loads(done.stdout)}


def fill(state: Path, work: Work) -> None:
    async def filled() -> None:
        async with open_database(url_of(state / "nimbi.db")) as database:
            await work(database)

    asyncio.run(filled())


async def nothing(_database: Database) -> None:
    return


def test_a_machine_without_anything_is_well(state: Path) -> None:
    done = doctor("--all")
    assert done.exit_code == 0
    assert "will be made at the first start" in done.stdout


def test_a_new_database_is_well_and_nothing_is_changed(state: Path) -> None:
    fill(state, nothing)
    before = {file.name: file.read_bytes() for file in state.iterdir()}
    told = findings()
    assert {name for name, each in told.items() if each["verdict"] != "ok"} <= {
        "clock",
        "disk",
        "open files",
    }
    after = {file.name: file.read_bytes() for file in state.iterdir()}
    assert {k: v for k, v in after.items() if k in before} == before
    assert not (state / "nimbi.key").exists()


def test_what_is_wrong_is_told_with_what_follows_and_how_to_mend_it(state: Path) -> None:
    async def wrong(database: Database) -> None:
        failing = Health(state=HealthState.FAILED, problem=Problem("timeout", "No answer."))
        await AccountStore(database).add(account("aws", health=failing), None)
        async with database.writing() as connection:
            for table in tables():
                if table not in {accounts, audit, audit_head}:
                    await connection.execute(table.insert().values(row_of(table)))
            await connection.execute(update(jobs).values(state="running"))
            await connection.execute(update(intents).values(is_done=False))
            await connection.execute(update(quotas).values(used=99))
            await connection.execute(update(meters).values(event_id=0))
            far = {"name": "poll/aws", "holder": "p", "fence": 1, "until_us": 2**62}
            await connection.execute(insert(leases).values(far))
            await connection.execute(insert(audit).values(row_of(audit, 1)))
            await connection.execute(
                insert(audit_head).values(row_of(audit_head, 1) | {"anchor_seq": 0})
            )

    fill(state, wrong)
    state.chmod(0o755)
    told = findings()
    wanted = {
        "state directory": "poor",
        "operator's key": "broken",
        "leases": "broken",
        "accounts": "poor",
        "things being made": "poor",
        "webhooks and mail": "poor",
        "jobs": "broken",
        "quotas": "poor",
        "audit": "broken",
        "usage": "poor",
    }
    assert {name: told[name]["verdict"] for name in wanted} == wanted
    assert "aws (No answer.)" in told["accounts"]["found"]
    for name in wanted:
        assert told[name]["follows"], told[name]
        assert told[name]["mend"], told[name]
    done = doctor()
    assert done.exit_code == 1
    assert "broken  audit: entry 1 is not as it was written" in done.stdout


def test_a_database_that_is_none_is_told(state: Path) -> None:
    (state / "nimbi.db").write_bytes(b"a novel, not a database" * 100)
    (state / "nimbi.db").chmod(0o600)
    done = doctor()
    assert done.exit_code == 1
    assert "broken  form of the database" in done.stdout


def test_a_database_that_does_not_answer_is_told_without_its_password(state: Path) -> None:
    done = doctor("--database", "postgresql://nimbi:hush@127.0.0.1:1/nimbi")
    assert done.exit_code == 1
    assert "broken  form of the database" in done.stdout
    assert "hush" not in done.output


def test_a_database_of_a_newer_program_is_told(state: Path) -> None:
    async def newer(database: Database) -> None:
        async with database.writing() as connection:
            await connection.exec_driver_sql("update alembic_version set version_num = '9999'")

    fill(state, newer)
    told = findings()["form of the database"]
    assert (told["verdict"], "9999" in told["found"]) == ("broken", True)


def test_secrets_that_others_may_read_are_told(state: Path) -> None:
    fill(state, nothing)
    (state / "nimbi.key").write_text(new_key())
    (state / "nimbi.key").chmod(0o644)
    told = findings()
    assert told["secrets"]["verdict"] == "broken"
    assert str(state / "nimbi.key") in told["secrets"]["found"]
    assert told["operator's key"]["verdict"] == "broken"
