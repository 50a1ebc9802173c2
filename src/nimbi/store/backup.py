"""Backups: the whole database in one file, of one form whichever database it comes from."""

import asyncio
import os
import shutil
import sqlite3
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

from sqlalchemy import Table, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from nimbi.store.database import Database, open_database
from nimbi.store.errors import NewerSchema, StoreError
from nimbi.store.events import COUNTER
from nimbi.store.place import url_of
from nimbi.store.schema import METADATA, attempts, counters, leases

# What says who is at work just now is of no use later.
KEPT = tuple(table for table in METADATA.tables.values() if table not in {leases, attempts})
BATCH = 500
WORK = ".nimbi-backup-"


async def back_up(url: str, file: Path) -> None:
    """Write all that is kept, as of one moment, to a file of mode 0600; servers go on meanwhile.

    The file is an SQLite database: `restore` takes it for either kind. It appears whole or not at
    all, and replaces one that is there. The operator's keys are not in it. Raises StoreError.
    """
    async with open_database(url) as database, _workplace(file.parent) as work:
        made = work / file.name
        if database.place.file is not None:
            await asyncio.to_thread(_copied, database.place.file, made)
        else:
            async with (
                open_database(url_of(made)) as target,
                database.snapshot() as source,
                target.writing() as connection,
            ):
                await _poured(source, connection)
        await asyncio.to_thread(_finished, made, file)


async def restore(url: str, file: Path) -> None:
    """Put what is in a backup in the place of all that is kept, in one transaction.

    A backup of an older Nimbi is brought to the newest form first; the file stays as it is. Servers
    may run meanwhile. Events go on with greater ids than before. Raises StoreError; NewerSchema.
    """
    async with _workplace(None) as work:
        copy = work / "backup"
        await asyncio.to_thread(_checked, file, copy)
        async with _opened(copy, file) as source, open_database(url) as target:
            await _put_in_place(source, target)


@asynccontextmanager
async def _opened(copy: Path, file: Path) -> AsyncIterator[Database]:
    try:
        async with open_database(url_of(copy)) as database:
            yield database
    except NewerSchema as error:
        raise NewerSchema(f"{file}: a newer Nimbi made this backup; restore it by that") from error


@asynccontextmanager
async def _workplace(beside: Path | None) -> AsyncIterator[Path]:
    """Give a directory of our own, and remove it at the end with all that is in it."""
    try:
        work = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix=WORK, dir=beside))
    except OSError as error:
        raise StoreError(f"{beside}: no backup can be made there: {error.strerror}") from error
    try:
        yield work
    finally:
        await asyncio.to_thread(shutil.rmtree, work, ignore_errors=True)


def _copied(source: Path, target: Path) -> None:
    """Copy one SQLite database as of one moment, while others read and write it."""
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with (
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as origin,
            closing(sqlite3.connect(target)) as copy,
        ):
            # In one step: writers need not wait, and cannot make it begin anew.
            origin.backup(copy)
            # Whatever is in the copy is in this one file.
            copy.execute("pragma journal_mode = delete")
    except sqlite3.Error as error:
        raise StoreError(f"{source}: cannot be copied: {error}") from error


def _finished(made: Path, file: Path) -> None:
    try:
        with closing(sqlite3.connect(made)) as copy:
            copy.execute("pragma journal_mode = delete")
        with made.open("rb") as opened:
            os.fsync(opened.fileno())
        made.replace(file)
        directory = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"{file}: the backup cannot be written: {error}") from error


def _checked(file: Path, copy: Path) -> None:
    if not file.is_file():
        raise StoreError(f"{file}: there is no such backup")
    try:
        _copied(file, copy)
        with closing(sqlite3.connect(copy)) as opened:
            (found,) = opened.execute("pragma quick_check").fetchone()
            (form,) = opened.execute("select version_num from alembic_version").fetchone()
    except (StoreError, sqlite3.Error, TypeError) as error:
        raise StoreError(f"{file}: not a backup of Nimbi, or a damaged one") from error
    if found != "ok" or not form:
        raise StoreError(f"{file}: not a backup of Nimbi, or a damaged one")


async def _put_in_place(source: Database, target: Database) -> None:
    value = select(counters.c.value).where(counters.c.name == COUNTER)
    async with source.reading() as reader, target.writing(alone=True) as writer:
        newest = (await writer.execute(value)).scalar_one()
        await _poured(reader, writer)
        restored = (await writer.execute(value)).scalar_one()
        # Who has seen events of the time after the backup is not to miss those to come.
        await writer.execute(
            update(counters).where(counters.c.name == COUNTER).values(value=max(newest, restored))
        )


async def _poured(source: AsyncConnection, target: AsyncConnection) -> None:
    for table in METADATA.tables.values():
        await target.execute(delete(table))
    for table in KEPT:
        await _poured_table(table, source, target)


async def _poured_table(table: Table, source: AsyncConnection, target: AsyncConnection) -> None:
    async with source.stream(select(table)) as found:
        async for rows in found.mappings().partitions(BATCH):
            await target.execute(insert(table), [dict(row) for row in rows])
