"""Points at which a process may die: before and after each call of a cloud, and each commit.

They are counted from outside: by SQLAlchemy's events, and around the faults of the mock cloud. A
point is what is done there and the how manieth time it is; how often something is looked at while
nothing else happens depends on the machine, and counts once. The end of one and the beginning of
the next are one moment, see `tests.crash.run.moments`.
"""

import os
import re
import signal
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.engine.default import DefaultDialect

from nimbi.drivers.mock.cloud import MockCloud
from nimbi.drivers.mock.injector import Call, Injector

WRITES = re.compile(r"\s*(?:with\b.*?\b)?(?:insert\s+into|update|delete\s+from)\s+([\w.\"]+)", re.I)
# Heartbeats come by the clock, not by what a job does; a process that dies there is as dead.
BY_THE_CLOCK = frozenset({"leases"})
WRITTEN = "nimbi tests: what was written"
LOOKS = (".get", ".page")


@dataclass
class Points:
    """The points that one process passes, as `names`; it dies at the one called `at`, if any."""

    at: str | None = None
    names: list[str] = field(default_factory=list)
    is_counting: bool = False
    _counts: Counter[str] = field(default_factory=Counter)
    _last: str = ""

    def passed(self, name: str) -> None:
        """Pass a point, or die there."""
        if not self.is_counting:
            return
        self._last = ""
        self._counts[name] += 1
        self.names.append(f"{name} {self._counts[name]}")
        if self.names[-1] == self.at:
            os.kill(os.getpid(), signal.SIGKILL)

    def called(self, side: str, operation: str) -> None:
        """Pass a point beside a call, unless it only looks again."""
        if operation.endswith(LOOKS) and self._last == operation:
            return
        self.passed(f"{side} call {operation}")
        if side == "after":
            self._last = operation

    def install(self) -> None:
        """Count the commits of all databases of this process."""
        event.listen(Engine, "before_cursor_execute", _wrote)
        event.listen(Engine, "rollback", _forgot)
        original = DefaultDialect.do_commit
        # What the very next commit commits: nothing comes between SQLAlchemy's event and it.
        told = threading.local()

        def commits(conn: Any) -> None:
            told.tables = conn.info.pop(WRITTEN, None)

        def committed(dialect: DefaultDialect, connection: Any) -> None:
            tables, told.tables = getattr(told, "tables", None), None
            name = "+".join(sorted(tables or ()))
            if name:
                self.passed(f"before commit {name}")
            original(dialect, connection)
            if name:
                self.passed(f"after commit {name}")

        event.listen(Engine, "commit", commits)
        DefaultDialect.do_commit = committed  # type: ignore[method-assign]

    def watch(self, cloud: MockCloud) -> None:
        """Count the calls of a cloud, with the faults that it has."""
        cloud.injector = _Counted(self, cloud.injector)  # type: ignore[assignment]


def _wrote(conn: Any, _cursor: Any, statement: str, *_more: Any) -> None:
    if (match := WRITES.match(statement)) and conn.in_transaction():
        table = match[1].replace('"', "").rpartition(".")[2]
        if table not in BY_THE_CLOCK:
            conn.info.setdefault(WRITTEN, set()).add(table)


def _forgot(conn: Any) -> None:
    # One that was lost has no info any more, nor anything to commit.
    if not conn.invalidated:
        conn.info.pop(WRITTEN, None)


class _Counted:
    """The faults of a mock cloud, with points around what it does."""

    def __init__(self, points: Points, faults: Injector | None) -> None:
        self._points = points
        self._faults = faults

    async def before(self, call: Call) -> None:
        self._points.called("before", call.operation.id)
        if self._faults is not None:
            await self._faults.before(call)

    def after(self, call: Call) -> None:
        # The cloud has done it, and the answer is not here yet.
        self._points.called("after", call.operation.id)
        if self._faults is not None:
            self._faults.after(call)
