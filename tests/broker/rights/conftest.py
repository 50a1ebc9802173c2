"""A world of tenants."""

import pytest
from tests.broker.rights.towns import Town
from tests.broker.whole import Whole


@pytest.fixture
async def town(whole: Whole) -> Town:
    made = Town(whole)
    await made.settle()
    return made
