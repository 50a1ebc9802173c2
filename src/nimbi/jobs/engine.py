"""DBOS behind a seam: it remembers what steps came to, and starts what was cut off anew.

Nothing of it is known outside this file. It works by itself on a loop of its own, in a thread; what
jobs do runs on the loop that opened it, where the clouds' sessions are.
"""

import asyncio
import contextvars
import logging
import os
from collections.abc import Awaitable, Callable, Collection, Coroutine
from contextlib import suppress
from datetime import datetime
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from sqlalchemy import Engine as DatabaseEngine
from sqlalchemy import create_engine, event

from nimbi.store.database import BUSY_S, CONNECTION
from nimbi.store.place import Place

if TYPE_CHECKING:
    from dbos import DBOSConfig

R = TypeVar("R")

NAME = "nimbi"
SCHEMA = "dbos"
WORKFLOW = "nimbi.job"
# What was begun by one version is gone on with by all that say the same; see `jobs/__init__.py`.
VERSION = "1"
# It gives up on a workflow that was begun so often; we never do.
MOST_ATTEMPTS = 1_000_000
LOOK_S = 0.25
CLOSE_S = 10.0
CONNECTIONS = 8
# Of a database of its own beside ours; full: a result that was kept survives a power cut.
PRAGMAS = (f"busy_timeout = {BUSY_S * 1000}", "journal_mode = wal", "synchronous = full")

# What a workflow may be that is still to be done.
GOING_ON = frozenset({"PENDING", "ENQUEUED", "DELAYED", "CANCELLED"})

log = logging.getLogger(__name__)


class Engine:
    """The one engine of this process. `queue` is its own, `executor` its name for all times.

    `run` does a job, by its id; it is called on the loop that opened the engine, and raises nothing
    but CancelledError, which leaves the job to whoever begins it next.
    """

    def __init__(
        self,
        place: Place,
        queue: str,
        executor: str,
        run: Callable[[str], Coroutine[Any, Any, None]],
    ) -> None:
        self._place = place
        self._queue = queue
        # Never one that was there before: it would begin what that one left by itself.
        self._executor = executor
        self._run = run
        self._main = asyncio.get_running_loop()
        self._loop = asyncio.new_event_loop()
        self._database: DatabaseEngine | None = None
        self._ended = Event()
        # What is being done on the loop that opened it.
        self._tasks: set[asyncio.Task[Any]] = set()
        # Jobs whose steps are not those that are remembered.
        self._changed: set[str] = set()

    async def open(self) -> None:
        """Begin to work. Raises what the database does."""
        Thread(target=self._work, name="nimbi-jobs", daemon=True).start()
        await self._apart(self._launch())

    async def begin(self, id: str) -> None:
        """Do a job, or go on with it where the process before was cut off."""
        await self._apart(self._begin(id))

    async def step(self, name: str, function: Callable[[], Awaitable[str]]) -> str:
        """Return what a step of the running job came to before, or what it comes to now.

        To be called from within `run`. Steps count in the order of these calls.
        """
        # Handed over at once, and first come first served there: the order of calls is theirs.
        return await self._there(self._step(name, function))

    async def old(self, before: datetime) -> frozenset[str]:
        """Return jobs, up to a thousand, that were begun before this time and are remembered."""
        return await self._apart(self._old(before))

    async def forget(self, ids: Collection[str]) -> None:
        """Forget the steps of jobs."""
        await self._apart(self._forget(list(ids)))

    async def aclose(self) -> None:
        """Stop; what is being done is left for another time."""
        with suppress(Exception):
            async with asyncio.timeout(CLOSE_S):
                await self._apart(self._stop())
                # Cancelled with it; they let go of what they use, on this loop.
                await asyncio.gather(*self._tasks, return_exceptions=True)
        self._loop.call_soon_threadsafe(self._loop.stop)
        await asyncio.to_thread(self._ended.wait, CLOSE_S)
        if self._database is not None:
            self._database.dispose()

    def _work(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()
            self._ended.set()

    def _there(self, work: Coroutine[Any, Any, R]) -> "asyncio.Future[R]":
        return asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def _apart(self, work: Coroutine[Any, Any, R]) -> "asyncio.Future[R]":
        """Do what is no part of the running job, whoever calls: a job may start others."""
        return contextvars.Context().run(self._there, work)

    async def _here(self, work: Coroutine[Any, Any, R]) -> R:
        kept = self._kept(work)
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(kept, self._main))

    async def _kept(self, work: Coroutine[Any, Any, R]) -> R:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in a task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await work

    async def _launch(self) -> None:
        # Its logger would print by itself if nobody listened; what it says goes to ours.
        logging.getLogger("dbos").addHandler(logging.NullHandler())
        # It would call its makers' service when this is set.
        os.environ.pop("DBOS__CLOUD", None)
        from dbos import DBOS

        self._database = _database(self._place)
        DBOS(config=self._config(self._database))

        @DBOS.workflow(name=WORKFLOW, max_recovery_attempts=MOST_ATTEMPTS)
        async def job(id: str) -> None:
            await self._here(self._run(id))

        self._job = job
        DBOS.listen_queues([self._queue])
        DBOS.launch()
        await DBOS.register_queue_async(self._queue, polling_interval_sec=LOOK_S)

    def _config(self, database: DatabaseEngine) -> "DBOSConfig":
        return {
            "name": NAME,
            "application_version": VERSION,
            "executor_id": self._executor,
            "system_database_url": database.url.render_as_string(hide_password=False),
            "system_database_engine": database,
            "dbos_system_schema": SCHEMA,
            "enable_otlp": False,
            "log_level": "ERROR",
            # Nobody waits for what it could tell: one thread and one connection less.
            "use_listen_notify": False,
            "scheduler_polling_interval_sec": 3600.0,
            "notification_listener_polling_interval_sec": 1.0,
            "serializer": _serializer(),
        }

    async def _begin(self, id: str) -> None:
        from dbos import DBOS, SetWorkflowID

        status = await DBOS.get_workflow_status_async(id)
        is_known = status is not None and id not in self._changed
        if is_known and status is not None and status.status in GOING_ON:
            await DBOS.resume_workflow_async(id, queue_name=self._queue)
            return
        if status is not None:
            # Or it came to an end there, and our database, which knows of none, was restored.
            await DBOS.delete_workflow_async(id)
            self._changed.discard(id)
        with SetWorkflowID(id):
            await DBOS.start_workflow_async(self._job, id)

    async def _step(self, name: str, function: Callable[[], Awaitable[str]]) -> str:
        from dbos import DBOS, error

        async def done() -> str:
            return await self._here(_coroutine(function))

        try:
            return await DBOS.run_step_async({"name": name}, done)
        except error.DBOSUnexpectedStepError as other:
            # Begun by a version whose steps were others: what those did is found by its tokens.
            log.info("job %s: its steps are others now, it starts anew", DBOS.workflow_id)
            self._changed.add(str(DBOS.workflow_id))
            raise asyncio.CancelledError from other

    async def _old(self, before: datetime) -> frozenset[str]:
        from dbos import DBOS

        found = await DBOS.list_workflows_async(
            name=WORKFLOW,
            end_time=before.isoformat(),
            limit=1000,
            load_input=False,
            load_output=False,
        )
        return frozenset(one.workflow_id for one in found)

    async def _forget(self, ids: list[str]) -> None:
        from dbos import DBOS

        await DBOS.delete_workflows_async(ids)

    async def _stop(self) -> None:
        from dbos import DBOS

        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        DBOS.destroy(destroy_registry=True)


async def _coroutine(function: Callable[[], Awaitable[str]]) -> str:
    return await function()


def _database(place: Place) -> DatabaseEngine:
    if place.file is None:
        return create_engine(
            place.url,
            hide_parameters=True,
            pool_size=CONNECTIONS,
            max_overflow=CONNECTIONS,
            pool_pre_ping=True,
            connect_args=CONNECTION,
        )
    file = f"{place.file}.jobs"
    # For its user alone, as ours is; SQLite makes the files beside it with the mode of this one.
    os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    url = place.url.set(drivername="sqlite", database=file)
    engine = create_engine(url, hide_parameters=True)
    event.listen(engine, "connect", _configured)
    return engine


def _configured(connection: Any, _record: Any) -> None:
    # As it does for itself: writers that wait in line from the first statement on.
    connection.isolation_level = "IMMEDIATE"
    for pragma in PRAGMAS:
        connection.execute(f"pragma {pragma}")
    connection.execute("pragma foreign_keys = on")


def _serializer() -> Any:
    from dbos import Serializer

    class Json(Serializer):
        """Its own is pickle: whoever wrote to the database could run code here."""

        def serialize(self, data: Any) -> str:
            return msgspec.json.encode(data, enc_hook=repr).decode()

        def deserialize(self, serialized_data: str) -> Any:
            return msgspec.json.decode(serialized_data)

        def name(self) -> str:
            return "nimbi_json"

    return Json()
