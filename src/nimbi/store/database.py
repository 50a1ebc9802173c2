"""The database: opening it, reading, and writing in one transaction."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Table,
    any_,
    cast,
    event,
    literal,
    literal_column,
    text,
)
from sqlalchemy.exc import (
    DatabaseError,
    DataError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    ProgrammingError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from nimbi.store.errors import StoreError, StoreUnavailable
from nimbi.store.place import Place, opening_alone, place_of
from nimbi.store.schema import HEAD
from nimbi.store.upgrade import upgraded, version

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite

log = logging.getLogger(__name__)

# Writers of several processes wait for each other this long.
BUSY_S = 30

# Full: what was answered survives a power cut. Readers never wait for writers, nor these for them.
PRAGMAS = (
    f"busy_timeout = {BUSY_S * 1000}",
    "journal_mode = wal",
    "synchronous = full",
    "cache_size = -16384",
)

READERS = 8
# Seconds to be let in; milliseconds that a server may leave what was sent to it unanswered.
CONNECTION = {"connect_timeout": 10, "tcp_user_timeout": 30_000, "application_name": "nimbi"}

# What is our own doing, not the database's state.
REFUSALS = (DataError, IntegrityError, ProgrammingError)

LOCK = text("select pg_advisory_xact_lock(hashtextextended(:name, 0))")
# All writers share a lock that a restore takes for itself: it waits for them, and they for it.
BESIDE = text("select pg_advisory_xact_lock_shared(7956007263)")
ALONE = text("select pg_advisory_xact_lock(7956007263)")
NOW_US = "(extract(epoch from clock_timestamp()) * 1000000)::bigint"


class Database:
    """One open database; what is kept there is read and changed by the stores beside this file.

    All methods may be called by many tasks at once.
    """

    def __init__(self, readers: AsyncEngine, writers: AsyncEngine, place: Place) -> None:
        self.dialect: Literal["sqlite", "postgresql"] = place.dialect
        self.place = place
        self._readers = readers
        self._writers = writers
        # SQLite has one writer at a time: those of this process stand in line here, in order.
        self._turn = asyncio.Lock() if place.dialect == "sqlite" else None

    def reading(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Give a connection to read by; each statement sees one state of the database.

        Raises StoreUnavailable.
        """
        return self._read()

    def writing(self, *, alone: bool = False) -> AbstractAsyncContextManager[AsyncConnection]:
        """Give a connection to write by: one transaction, committed when the block ends.

        Nothing is changed when it raises, or when the process dies before. With `alone` nobody else
        writes anything meanwhile. Raises StoreUnavailable.
        """
        return self._write(alone)

    def snapshot(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Give a connection to read by that sees one state of the database all along."""
        return self._snapshot()

    def insert(self, table: Table) -> "sqlite.Insert | postgresql.Insert":
        """Return an INSERT that knows `on_conflict_do_update` and `on_conflict_do_nothing`."""
        # Each dialect takes its time to import, and a process has one database.
        if self.dialect == "sqlite":
            from sqlalchemy.dialects.sqlite import insert as sqlite_insert

            return sqlite_insert(table)
        from sqlalchemy.dialects.postgresql import insert as postgresql_insert

        return postgresql_insert(table)

    def among(self, column: Column[str], values: Sequence[str]) -> ColumnElement[bool]:
        """Return the condition that a column has one of these values, however many they are."""
        if self.dialect == "sqlite":
            return column.in_(values)
        # One parameter instead of hundreds.
        return column == any_(cast(list(values), ARRAY(column.type)))

    def now_us(self) -> ColumnElement[int]:
        """Return the present time as SQL, by one clock for all who share the database."""
        if self.dialect == "sqlite":
            return literal(time.time_ns() // 1000, BigInteger)
        return literal_column(NOW_US, BigInteger)

    async def locked(self, connection: AsyncConnection, *name: str) -> None:
        """Wait until no other transaction holds the lock of this name, and hold it to the end."""
        if self.dialect == "postgresql":
            await connection.execute(LOCK, {"name": "/".join(name)})

    async def measured(self) -> None:
        """Let the planner know that the inventory has grown; it would notice in a minute or so."""
        if self.dialect == "postgresql":
            async with self.reading() as connection:
                await connection.exec_driver_sql("analyze things, labels")

    async def rows(self, sql: str, values: Sequence[Any]) -> list[Any]:
        """Return all rows of one SELECT, written with `?` for each value.

        It goes around SQLAlchemy's layers, for lists that must be quick. `sql` is made of our own
        words, never of a caller's. Raises StoreUnavailable.
        """
        async with self.reading() as connection:
            raw = await connection.get_raw_connection()
            return list(await _fetched(raw.driver_connection, sql, values, self.dialect))

    @asynccontextmanager
    async def _read(self) -> AsyncIterator[AsyncConnection]:
        with _told(self.place):
            async with self._readers.connect() as connection:
                yield connection

    @asynccontextmanager
    async def _write(self, alone: bool) -> AsyncIterator[AsyncConnection]:
        with _told(self.place):
            async with self._turn or nullcontext(), self._writers.begin() as connection:
                if self.dialect == "postgresql":
                    await connection.execute(ALONE if alone else BESIDE)
                yield connection

    @asynccontextmanager
    async def _snapshot(self) -> AsyncIterator[AsyncConnection]:
        engine = self._writers if self.dialect == "postgresql" else self._readers
        with _told(self.place):
            async with engine.connect() as connection:
                if self.dialect == "postgresql":
                    _ = await connection.execution_options(isolation_level="REPEATABLE READ")
                else:
                    await connection.exec_driver_sql("begin")
                try:
                    yield connection
                finally:
                    await connection.exec_driver_sql("rollback")


@asynccontextmanager
async def open_database(url: str, *, upgrade: bool = True) -> AsyncIterator[Database]:
    """Open a database, and close it at the end.

    `sqlite:////DIRECTORY/FILE` is made with mode 0600 when it is not there; its directory too, with
    0700. `postgresql://USER@HOST/NAME` must exist. The tables are brought to the newest form, by
    one process when several begin at once; with `upgrade=False` the database is taken as it is.
    Raises StoreError; NewerSchema when a newer Nimbi made it, and StoreUnavailable.
    """
    place = place_of(url)
    readers, writers = _engines(place)
    database = Database(readers, writers, place)
    try:
        await _begin(database, upgrade=upgrade)
        yield database
    finally:
        await writers.dispose()
        if readers is not writers:
            await readers.dispose()


async def _begin(database: Database, *, upgrade: bool) -> None:
    place = database.place
    try:
        async with opening_alone(place):
            async with database.reading() as connection:
                is_new = await connection.run_sync(version) == HEAD
            if upgrade and not is_new:
                # Nearly always there is nothing to do, and servers at work are not held up.
                async with database.writing(alone=True) as connection:
                    await upgraded(connection, str(place))
    except StoreUnavailable as error:
        # This one is read by the operator.
        raise StoreUnavailable(f"{place}: {_cause(error.__cause__)}") from error.__cause__


def _engines(place: Place) -> tuple[AsyncEngine, AsyncEngine]:
    """Return what reads and what writes."""
    if place.dialect == "postgresql":
        return _postgresql(place)
    return _sqlite(place, writes=False), _sqlite(place, writes=True)


def _sqlite(place: Place, *, writes: bool) -> AsyncEngine:
    engine = create_async_engine(
        place.url,
        hide_parameters=True,
        # One writes at a time; each reader has a thread of its own.
        pool_size=1 if writes else READERS,
        max_overflow=0,
        pool_timeout=BUSY_S,
        skip_autocommit_rollback=not writes,
    )
    event.listen(engine.sync_engine, "connect", _configured)
    if writes:
        event.listen(engine.sync_engine, "begin", _begun)
    return engine


def _configured(connection: Any, _record: Any) -> None:
    # Python's sqlite3 begins no transactions of its own then.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in PRAGMAS:
        cursor.execute(f"pragma {pragma}")
    cursor.close()


def _begun(connection: Connection) -> None:
    # At once a writer: one that begins as a reader and writes later fails when another was quicker.
    connection.exec_driver_sql("begin immediate")


def _postgresql(place: Place) -> tuple[AsyncEngine, AsyncEngine]:
    try:
        engine = create_async_engine(
            place.url,
            hide_parameters=True,
            pool_size=READERS,
            max_overflow=READERS,
            pool_timeout=BUSY_S,
            # A server that was started anew costs no request an error.
            pool_pre_ping=True,
            skip_autocommit_rollback=True,
            connect_args=CONNECTION,
        )
    except ImportError as error:
        raise StoreError("PostgreSQL needs a package: pip install 'nimbi[postgresql]'") from error
    return engine.execution_options(isolation_level="AUTOCOMMIT"), engine


async def _fetched(raw: Any, sql: str, values: Sequence[Any], dialect: str) -> Any:
    if dialect == "sqlite":
        return await raw.execute_fetchall(sql, values)
    cursor = await raw.execute(sql.replace("?", "%s"), values, binary=True)
    return await cursor.fetchall()


@contextmanager
def _told(place: Place) -> Iterator[None]:
    """Raise what befalls the database as our own error, which tells nothing of the place."""
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeout, DatabaseError) as error:
        if isinstance(error, REFUSALS):
            raise
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            # A statement that is cut off may end so; who waits for the end of the task waits for it
            # in vain when it goes on.
            raise asyncio.CancelledError from error
        log.warning("the database %s cannot be used: %s", place, _cause(error))
        raise StoreUnavailable("the database cannot be used just now") from error


def _cause(error: BaseException | None) -> str:
    """Return what the database itself says, in one line; values are never part of it."""
    return str(getattr(error, "orig", None) or error).partition("\n")[0]
