"""Where a database is: its URL, and an SQLite file that is made for its user alone."""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from nimbi.store.errors import StoreError

FORMS = "sqlite:////DIRECTORY/FILE or postgresql://USER@HOST/NAME"
DRIVERS: dict[str, Literal["sqlite", "postgresql"]] = {
    "sqlite": "sqlite",
    "postgresql": "postgresql",
    "postgres": "postgresql",
}
# A user's own; the group and others may do nothing with it.
FOREIGN = 0o077


@dataclass(frozen=True)
class Place:
    """Where one database is. `file` is absolute, and None for PostgreSQL."""

    dialect: Literal["sqlite", "postgresql"]
    url: URL
    file: Path | None

    def __str__(self) -> str:
        """Return the place without its password."""
        return str(self.file) if self.file else self.url.render_as_string(hide_password=True)


def place_of(url: str) -> Place:
    """Return the place that a URL names. Raises StoreError, whose text does not repeat the URL."""
    try:
        made = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise StoreError(f"the database's URL cannot be read; it is {FORMS}") from error
    dialect = DRIVERS.get(made.drivername)
    if dialect is None:
        raise StoreError(f"databases of this kind are not known; the URL is {FORMS}")
    if dialect == "postgresql":
        return Place(dialect, made.set(drivername="postgresql+psycopg"), None)
    if made.host or not made.database or made.database == ":memory:" or made.query:
        raise StoreError("SQLite needs a file, and nothing else: sqlite:////DIRECTORY/FILE")
    file = Path(made.database).expanduser().absolute()
    return Place(dialect, URL.create("sqlite+aiosqlite", database=str(file)), file)


def url_of(file: Path) -> str:
    """Return the URL of an SQLite file."""
    return URL.create("sqlite", database=str(file.absolute())).render_as_string()


@asynccontextmanager
async def opening_alone(place: Place) -> AsyncIterator[None]:
    """Keep other processes from opening the same SQLite file meanwhile; it exists from then on.

    A PostgreSQL server needs none of this.
    """
    if place.file is None:
        yield
        return
    # Beside the database: closing a file drops all locks that SQLite has on it in this process.
    lock = await asyncio.to_thread(_locked, place.file)
    try:
        yield
    finally:
        os.close(lock)


def _locked(file: Path) -> int:
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(f"{file}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(f"{file}: cannot be opened: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _make(file)
    except OSError as error:
        os.close(lock)
        raise StoreError(f"{file}: cannot be opened: {error.strerror}") from error
    return lock


def _make(file: Path) -> None:
    # SQLite makes the files beside it with the mode of this one.
    if not file.exists():
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    elif (mode := file.stat().st_mode) & FOREIGN:
        file.chmod(mode & 0o700)
