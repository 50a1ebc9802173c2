"""A broker that does jobs, over mock clouds."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.broker.conftest import ready_database
from tests.broker.whole import Whole, open_whole
from tests.broker.work.shop import Shop

__all__ = ["ready_database", "shop", "whole"]


@pytest.fixture
async def whole(tmp_path: Path, ready_database: Path) -> AsyncIterator[Whole]:
    file = shutil.copy(ready_database, tmp_path)
    async with open_whole(f"sqlite:///{file}", tmp_path, private=True) as opened:
        yield opened


@pytest.fixture
async def shop(whole: Whole) -> AsyncIterator[Shop]:
    """Give a broker at work, with the accounts `a` and `b`, in which nothing is."""
    await whole.add("a", "b")
    async with whole.broker.jobs.running():
        shop = Shop(whole)
        for account in ("a", "b"):
            shop.empty(account)
        yield shop
