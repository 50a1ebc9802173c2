"""The driver of Shelf against the conformance suite, and what only Shelf does."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from nimbi.driver.interface import UserAndPassword
from nimbi.drivertest import ConformsToDriver, ConformsToRealms, ConformsToVolumes, opened
from nimbi.gateway.cloud import Cloud
from nimbi.model.errors import CloudError
from nimbi.model.volumes import NewVolume
from nimbi_shelf import DRIVER
from nimbi_shelf.cloud import ShelfError
from nimbi_shelf.session import ERRORS, to_error

LOGIN = UserAndPassword(user="reader", password="open-sesame")


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[Cloud]:
    async with opened(DRIVER, tmp_path, credentials=LOGIN) as cloud:
        yield cloud


class TestDriver(ConformsToDriver):
    pass


class TestRealms(ConformsToRealms):
    pass


class TestVolumes(ConformsToVolumes):
    pass


async def test_a_disk_is_on_the_top_board_when_none_is_asked_for(cloud: Cloud) -> None:
    assert (await cloud.volumes.create(NewVolume())).realm_id == "top"


@pytest.mark.parametrize("code", ["bad_login", "bad_value", "no_such_disk"])
def test_every_code_of_the_cloud_is_in_the_table(code: str) -> None:
    assert code in ERRORS
    assert isinstance(to_error(ShelfError(code, "why")), CloudError)
