"""The database as a whole: whether it can be used, its form, its clock, and the operator's key."""

import time
from collections.abc import Sequence

from sqlalchemy import func, literal_column, select, text

from nimbi.cli.doctor.finding import Finding, Patient, StoredCheck, broken, poor
from nimbi.store.database import Database
from nimbi.store.errors import SealError
from nimbi.store.keys import key_source
from nimbi.store.resealing import in_use
from nimbi.store.schema import HEAD, events
from nimbi.store.sealing import Keyring
from nimbi.store.upgrade import version

MIB = 1024 * 1024
# Leases and tokens go by the database's clock; requests to clouds by this machine's.
APART_S = 5.0
MICRO = 1_000_000


async def form(database: Database) -> Finding:
    """Say of which form the database is; anything but OK means that its tables are not to be read.

    Raises StoreError.
    """
    async with database.reading() as connection:
        found = await connection.run_sync(version)
    if found == HEAD:
        return Finding(found=f"{database.place}, of the form {HEAD}")
    if found is None:
        return poor(f"{database.place} is empty", "the first server makes the tables", "nimbi up")
    from nimbi.store.migrations.run import known
    from nimbi.store.upgrade import MIGRATIONS

    if found not in known(MIGRATIONS):
        return broken(
            f"{database.place} is of the form {found}, and this Nimbi knows {HEAD}",
            "this Nimbi does not start on it",
            "run the newer Nimbi, or restore a backup from before",
        )
    return poor(
        f"{database.place} is of the form {found}; {HEAD} is the newest",
        "the first server of this version brings it there, and the rest was not looked at",
        "nimbi backup FILE, then start a server of this version",
    )


async def integrity(database: Database, _patient: Patient) -> Finding:
    """Let the database look itself over."""
    async with database.reading() as connection:
        if database.dialect == "postgresql":
            name = (await connection.execute(text("show server_version"))).scalar_one()
            size = (
                await connection.execute(text("select pg_database_size(current_database())"))
            ).scalar_one()
            return Finding(found=f"PostgreSQL {name}, {size // MIB} MiB")
        told = (await connection.execute(text("pragma quick_check(3)"))).scalars().all()
    size = database.place.file.stat().st_size if database.place.file else 0
    if told != ["ok"]:
        return broken(
            f"SQLite finds damage: {told[0]}",
            "what is remembered may be wrong, and more of it soon",
            "stop the servers; nimbi restore of the newest backup",
        )
    return Finding(found=f"SQLite finds nothing wrong in {size // MIB} MiB")


async def clocks(database: Database, _patient: Patient) -> Finding:
    """Hold this machine's clock against the database's, and against what was seen last."""
    now = literal_column("0") if database.dialect == "sqlite" else database.now_us()
    before = time.time()
    async with database.reading() as connection:
        newest = (await connection.execute(select(func.max(events.c.at_us)))).scalar() or 0
        theirs = (await connection.execute(select(now))).scalar_one() / MICRO
    apart = theirs - (before + time.time()) / 2 if theirs else 0.0
    if abs(apart) > APART_S:
        return poor(
            f"the database's clock is {apart:+.0f} s from this machine's",
            "times in lists and bills are wrong by as much",
            "keep both in step by NTP",
        )
    ahead = newest / MICRO - time.time()
    if ahead > APART_S:
        return poor(
            f"the newest event is {ahead:.0f} s in the future",
            "a clock went back: leases may last that much longer",
            "see why the clock jumped; what waits goes on by itself after that time",
        )
    return Finding(found="this machine, the database and what was seen last agree")


async def keys(database: Database, patient: Patient) -> Finding:
    """See whether the operator's keys open all that is sealed."""
    options = patient.options
    source = key_source(options.key_file, options.environment, options.key_command)
    used = await in_use(database)
    if not (source.command or source.variable or options.key_file.exists()):
        if used:
            return broken(
                f"{options.key_file} is gone, and {sum(used.values())} records are sealed by it",
                "no login to a cloud can be read",
                "bring the key file back from where you keep it",
            )
        return Finding(found="there is no key yet, and nothing is sealed")
    try:
        keyring = await Keyring.from_settings(source)
    except SealError as error:
        return broken(str(error), "no server starts", "nimbi operator-key --help")
    lost = {id: count for id, count in used.items() if id not in keyring.keys}
    if lost:
        return broken(
            f"{sum(lost.values())} records are sealed by keys that are not there: "
            + ", ".join(sorted(lost)),
            "these logins cannot be read",
            f"put the old keys behind the current one in {source}",
        )
    older = sum(count for id, count in used.items() if id != keyring.current)
    if older:
        return poor(
            f"{older} of {sum(used.values())} records are sealed by an older key",
            "that key must stay",
            "nimbi operator-key encrypt",
        )
    return Finding(found=f"{source} opens all of {sum(used.values())} sealed records")


CHECKS: Sequence[StoredCheck] = (
    StoredCheck("database", integrity),
    StoredCheck("clocks", clocks),
    StoredCheck("operator's key", keys),
)
