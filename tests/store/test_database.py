"""Opening a database, and what a transaction promises."""

import asyncio
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import OperationalError

from nimbi.model.errors import CloudUnavailable
from nimbi.store.database import Database, open_database
from nimbi.store.errors import NewerSchema, StoreError, StoreUnavailable
from nimbi.store.place import place_of, url_of
from nimbi.store.schema import HEAD, METADATA

KINDS = ("sqlite", "postgresql")

# Writes, says so, and waits to be killed before it commits.
HALF_DONE = """
import asyncio, sys
from sqlalchemy import text
from nimbi.store.database import open_database
async def main():
    async with open_database(sys.argv[1]) as database, database.writing() as connection:
        await connection.execute(text("insert into passwords values ('half', 'x', 1)"))
        print("written", flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""


async def people(database: Database) -> list[str]:
    async with database.reading() as connection:
        return list((await connection.execute(text("select person from passwords"))).scalars())


async def add(database: Database, person: str) -> None:
    async with database.writing() as connection:
        await connection.execute(
            text("insert into passwords values (:person, 'x', 1)"), {"person": person}
        )


async def test_a_new_file_and_its_directory_are_for_their_user_alone(tmp_path: Path) -> None:
    file = tmp_path / "state" / "nimbi.db"
    async with open_database(url_of(file)) as database:
        await add(database, "p")
        modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in file.parent.iterdir()}
    assert {"nimbi.db", "nimbi.db-wal"} <= set(modes)
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


async def test_a_file_that_others_may_read_is_closed_to_them(tmp_path: Path) -> None:
    file = tmp_path / "nimbi.db"
    file.touch(mode=0o644)
    async with open_database(url_of(file)):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("kind", KINDS)
async def test_several_that_begin_at_once_make_the_tables_once(
    kind: str, new_url: Callable[..., str]
) -> None:
    url = new_url(kind, with_tables=False)

    async def people_seen() -> list[str]:
        async with open_database(url) as database:
            return await people(database)

    # Both the lock of a file and those of PostgreSQL hold between connections of one process too.
    assert await asyncio.gather(*(people_seen() for _ in range(4))) == [[], [], [], []]


def shape(connection: Connection) -> dict[str, object]:
    """Return what a database has, in words."""
    seen = inspect(connection)
    return {
        table: (
            sorted((c["name"], repr(c["type"]), c["nullable"]) for c in seen.get_columns(table)),
            seen.get_pk_constraint(table)["constrained_columns"],
            sorted((i["name"], i["column_names"]) for i in seen.get_indexes(table)),
            [u["column_names"] for u in seen.get_unique_constraints(table)],
        )
        for table in seen.get_table_names()
        if table != "alembic_version"
    }


@pytest.mark.parametrize("kind", KINDS)
async def test_the_migrations_make_the_tables_that_the_code_names(
    kind: str, new_url: Callable[..., str]
) -> None:
    async with open_database(new_url(kind)) as database, database.reading() as connection:
        migrated = await connection.run_sync(shape)
    empty = new_url(kind, "other", with_tables=False)
    async with open_database(empty, upgrade=False) as database:
        async with database.writing() as connection:
            await connection.run_sync(METADATA.create_all)
        async with database.reading() as connection:
            assert await connection.run_sync(shape) == migrated


async def test_the_database_of_a_newer_program_is_refused(url: str) -> None:
    async with open_database(url) as database, database.writing() as connection:
        await connection.execute(text("update alembic_version set version_num = '9999'"))
    with pytest.raises(NewerSchema, match=f"form 9999, and this one knows {HEAD}"):
        async with open_database(url):
            pass


async def test_a_transaction_that_raises_changes_nothing(database: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        async with database.writing() as connection:
            await connection.execute(text("insert into passwords values ('p', 'x', 1)"))
            raise ZeroDivisionError
    assert await people(database) == []


async def test_a_writer_that_is_cancelled_changes_nothing_and_others_go_on(
    database: Database,
) -> None:
    written = asyncio.Event()

    async def half() -> None:
        async with database.writing() as connection:
            await connection.execute(text("insert into passwords values ('half', 'x', 1)"))
            written.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(half())
    await written.wait()
    task.cancel()
    await asyncio.wait([task])
    await add(database, "whole")
    assert await people(database) == ["whole"]


async def test_a_process_that_is_killed_in_a_transaction_leaves_what_was_before(url: str) -> None:
    async with open_database(url) as database:
        await add(database, "before")
        process = await asyncio.create_subprocess_exec(
            *[sys.executable, "-c", HALF_DONE, url], stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        assert await process.stdout.readline() == b"written\n"
        process.kill()
        await process.communicate()
        await add(database, "after")
        assert sorted(await people(database)) == ["after", "before"]


async def test_many_writers_at_once_all_get_their_turn(database: Database) -> None:
    names = [f"p{n:02}" for n in range(40)]
    await asyncio.gather(*(add(database, name) for name in names))
    assert sorted(await people(database)) == names


async def test_a_reader_does_not_wait_for_a_writer(database: Database) -> None:
    async with database.writing() as connection:
        await connection.execute(text("insert into passwords values ('p', 'x', 1)"))
        assert await people(database) == []


async def test_a_snapshot_stays_as_it_was(database: Database) -> None:
    async with database.snapshot() as connection:
        count = text("select count(*) from passwords")
        assert (await connection.execute(count)).scalar() == 0
        await add(database, "p")
        assert (await connection.execute(count)).scalar() == 0


async def test_what_postgresql_cannot_keep_becomes_a_stand_in(database: Database) -> None:
    from nimbi.store.people import PeopleStore

    store = PeopleStore(database)
    await store.set_password_hash("x\0y", person="nul\0half\ud800")
    assert await store.password_hash("nul\0half\ud800") == "x\ufffdy"


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "mysql://user:hush@host/db",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:////x/y?mode=ro&secret=hush",
        "postgresql://user:hush@host:port/db",
    ],
)
def test_a_url_that_names_no_database_is_refused_without_its_secret(url: str) -> None:
    with pytest.raises(StoreError, match=r"sqlite:////DIRECTORY/FILE") as raised:
        place_of(url)
    assert "hush" not in str(raised.value)


def test_a_place_is_told_without_its_password() -> None:
    assert str(place_of("postgres://u:hush@h/n")) == "postgresql+psycopg://u:***@h/n"


async def test_a_server_that_is_not_there_is_unavailable_and_no_secret_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(StoreUnavailable) as raised:
        async with open_database("postgresql://user:hush@127.0.0.1:1/nimbi"):
            pass
    assert isinstance(raised.value, CloudUnavailable)
    assert "refused" in caplog.text
    assert "hush" not in f"{caplog.text} {raised.value!r} {raised.value.__cause__!r}"


async def test_a_file_that_is_no_database_is_an_error_of_the_store(tmp_path: Path) -> None:
    file = tmp_path / "nimbi.db"
    file.write_bytes(b"no database at all" * 100)
    with pytest.raises(StoreError):
        async with open_database(url_of(file)):
            pass
    assert file.read_bytes() == b"no database at all" * 100


async def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"cannot be opened: (Not a directory|File exists)"):
        async with open_database(url_of(tmp_path / "file" / "nimbi.db")):
            pass


async def test_what_is_answered_survives_a_loss_of_power(tmp_path: Path) -> None:
    place = url_of(tmp_path / "nimbi.db")
    async with open_database(place) as database, database.writing() as connection:
        synchronous = (await connection.exec_driver_sql("pragma synchronous")).scalar()
        journal = (await connection.exec_driver_sql("pragma journal_mode")).scalar()
    assert (synchronous, journal) == (2, "wal")


async def test_who_is_cancelled_ends_also_when_the_database_fails_meanwhile(
    database: Database,
) -> None:
    began = asyncio.Event()

    async def work() -> None:
        with suppress(StoreUnavailable):
            async with database.writing():
                began.set()
                try:
                    await asyncio.sleep(60)
                finally:
                    raise OperationalError("commit", {}, Exception("the connection is lost"))
        await asyncio.sleep(60)

    task = asyncio.create_task(work())
    await began.wait()
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=20)
    assert done
    assert task.cancelled()
