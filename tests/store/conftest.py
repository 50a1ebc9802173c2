"""A database of each kind, empty, for every test that asks for one."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from threading import Thread

import pytest
from tests.store.samples import account
from tests.targets.postgres import Server

from nimbi.store.accounts import AccountStore
from nimbi.store.database import Database, open_database
from nimbi.store.keys import new_key
from nimbi.store.place import url_of
from nimbi.store.schema import HEAD, METADATA
from nimbi.store.sealing import Keyring

KINDS = ("sqlite", "postgresql")
# The lock waits for those who write yet. To truncate takes ten times as long: it makes new files.
CLEAR = (
    "set session_replication_role = replica;"  # whatever refers to what
    f" lock table {', '.join(METADATA.tables)};"
    f" {' '.join(f'delete from {table};' for table in METADATA.tables)}"
    " insert into counters values ('events', 0);"
    f" update alembic_version set version_num = '{HEAD}'"
)


async def _upgrade(url: str) -> None:
    async with open_database(url):
        pass


class Databases:
    """Databases of one server that are made once, and emptied after each test."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._spare: list[str] = []
        self._used: list[str] = []
        self._template = server.new_database()
        # In a thread: it may be first asked for where a loop runs already.
        thread = Thread(target=lambda: asyncio.run(_upgrade(self._template)))
        thread.start()
        thread.join()

    def take(self) -> str:
        """Return the URL of a database with all tables and nothing in them."""
        template = self._template.rpartition("/")[2]
        url = self._spare.pop() if self._spare else self._server.new_database(template)
        self._used.append(url)
        return url

    def clear(self) -> None:
        """Empty those that were taken."""
        while self._used:
            url = self._used.pop()
            self._server.run(CLEAR, url.rpartition("/")[2])
            self._spare.append(url)


@pytest.fixture(scope="session")
def databases(postgresql: Server) -> Databases:
    return Databases(postgresql)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a file with all tables, which others are copied from."""
    file = tmp_path_factory.mktemp("template") / "nimbi.db"
    thread = Thread(target=lambda: asyncio.run(_upgrade(url_of(file))))
    thread.start()
    thread.join()
    return file


@pytest.fixture
def new_url(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., str]]:
    """Make databases of a kind; `with_tables=False` makes empty ones."""
    used: list[Databases] = []

    def make(kind: str, name: str = "nimbi", *, with_tables: bool = True) -> str:
        if kind == "sqlite":
            file = tmp_path / f"{name}.db"
            if with_tables:
                shutil.copy(request.getfixturevalue("template"), file)
            return url_of(file)
        if not with_tables:
            server: Server = request.getfixturevalue("postgresql")
            return server.new_database()
        used.append(request.getfixturevalue("databases"))
        return used[0].take()

    yield make
    for each in used[:1]:
        each.clear()


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, new_url: Callable[..., str]) -> str:
    """Give the URL of a database, of one kind after the other."""
    return new_url(request.param)


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    async with open_database(url) as opened:
        yield opened


@pytest.fixture
async def accounts(database: Database) -> AccountStore:
    """Give the accounts; there are `a` and `b`."""
    store = AccountStore(database)
    for id in ("a", "b"):
        await store.add(account(id), None)
    return store


@pytest.fixture
def keyring() -> Keyring:
    return Keyring.of(new_key())
