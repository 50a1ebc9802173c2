"""A broker over mock clouds, on a database of its own."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.broker.sites import Site, open_site
from tests.broker.whole import Whole, open_whole

from nimbi.store.database import open_database


@pytest.fixture(scope="session")
def ready_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a database with all its tables, to be copied: making them takes longer than a test."""
    file = tmp_path_factory.mktemp("database") / "nimbi.db"
    asyncio.run(_made(f"sqlite:///{file}"))
    return file


async def _made(url: str) -> None:
    async with open_database(url):
        pass


@pytest.fixture
async def site(tmp_path: Path, ready_database: Path) -> AsyncIterator[Site]:
    file = shutil.copy(ready_database, tmp_path)
    async with open_site(f"sqlite:///{file}", tmp_path) as opened:
        yield opened


@pytest.fixture
async def whole(tmp_path: Path, ready_database: Path) -> AsyncIterator[Whole]:
    file = shutil.copy(ready_database, tmp_path)
    async with open_whole(f"sqlite:///{file}", tmp_path) as opened:
        yield opened
