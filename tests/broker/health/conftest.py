"""A broker that looks after the instances of one account."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.broker.health.ward import Machine, Ward, open_ward, standing


@pytest.fixture
async def ward(tmp_path: Path, ready_database: Path) -> AsyncIterator[Ward]:
    file = shutil.copy(ready_database, tmp_path)
    async with open_ward(f"sqlite:///{file}", tmp_path) as opened:
        yield opened


@pytest.fixture
async def machine() -> AsyncIterator[Machine]:
    """Give a machine that answers by HTTP."""
    async with standing(Machine()) as found:
        yield found
