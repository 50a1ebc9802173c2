"""Prints the table of all points at which a process may die, and what comes of it."""

import argparse
import gc
import importlib
import signal
import sys
import time

from tests.crash.mending_scenes import SCENES as OF_MENDING
from tests.crash.run import DATABASES, PROCESSES, Row, enumerated, server
from tests.crash.scenes import FAULTS, SCENES
from tests.crash.work_scenes import SCENES as OF_WORK

HEAD = (
    "job",
    "database",
    "processes",
    "faults",
    "points",
    "moments",
    "deaths",
    "not come to",
    "same end",
    "leaked",
    "doubled",
)
ALL = (*SCENES, *OF_WORK, *OF_MENDING)
# What takes a process its time, and need not be loaded in each that is forked.
PRELOADED = (
    "dbos",
    "dbos._sys_db_sqlite",
    "alembic",
    "aiosqlite",
    "psycopg",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite.aiosqlite",
)


def main() -> int:
    """Play what is asked for; the exit code tells whether all came to the same end."""
    asked = _parsed()
    # So that the server and the folders go, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    for name in PRELOADED:
        importlib.import_module(name)
    # What is loaded is shared by all that are forked, and none of them walks through it.
    gc.freeze()
    rows: list[Row] = []
    begun = time.monotonic()
    _say("| " + " | ".join(HEAD) + " |\n" + "|---" * len(HEAD) + "|")
    with server(asked.database) as postgresql:
        for scene in [s for s in ALL if any(name in s.name for name in asked.scene)]:
            for database in asked.database:
                for processes in asked.processes:
                    for number, faults in enumerate(asked.faults):
                        row = enumerated(
                            scene,
                            database,
                            processes,
                            faults,
                            postgresql=postgresql,
                            every=asked.every,
                            first=number % asked.every,
                            most=asked.most,
                            at_once=asked.at_once,
                        )
                        rows.append(row)
                        _say(_line(row))
    for row in rows:
        for wrong in row.wrong:
            _say(f"{row.scene}, {row.database}, {row.processes}, {row.faults}: {wrong}")
    total = sum(row.killed for row in rows)
    is_right = all(row.killed > 0 and not row.wrong for row in rows)
    leaked, doubled = sum(row.leaked for row in rows), sum(row.doubled for row in rows)
    same = sum(row.same for row in rows)
    took_s = time.monotonic() - begun
    _say(
        f"crash points: {total} same end {same} leaked {leaked} doubled {doubled} ({took_s:.0f} s)"
    )
    return 0 if is_right else 1


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _line(row: Row) -> str:
    cells = (
        row.scene,
        row.database,
        row.processes,
        row.faults,
        row.points,
        row.moments if row.tried == row.moments else f"{row.tried} of {row.moments}",
        row.killed,
        row.tried - row.killed,
        row.same,
        row.leaked,
        row.doubled,
    )
    return "| " + " | ".join(map(str, cells)) + " |"


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--scene", nargs="+", default=("",), help="those with this in their name")
    parser.add_argument("--database", nargs="+", choices=DATABASES, default=DATABASES)
    parser.add_argument("--processes", nargs="+", type=int, choices=PROCESSES, default=PROCESSES)
    parser.add_argument("--faults", nargs="+", choices=tuple(FAULTS), default=tuple(FAULTS))
    parser.add_argument("--every", type=int, default=1, help="each n-th moment only")
    parser.add_argument("--most", type=int, help="so many moments of each at most, far apart")
    parser.add_argument("--at-once", type=int, default=4, help="deaths at the same time")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
