"""Who may come in, and what needs no login."""

from pathlib import Path

import pytest

from nimbi.driver.capabilities import BY_ID, supported
from nimbi.driver.interface import Account, Place, UserAndPassword
from nimbi.drivers.mock import DRIVER
from nimbi.drivers.mock.buckets import MockBuckets
from nimbi.drivers.mock.cloud import MockCloud, Settings
from nimbi.drivers.mock.hardware_profiles import MockHardwareProfiles
from nimbi.drivers.mock.instances import MockInstances
from nimbi.drivers.mock.realms import MockRealms
from nimbi.drivers.mock.session import LOGIN
from nimbi.model.errors import CloudUnavailable, Unauthorized
from nimbi.model.instances import NewInstance


@pytest.mark.parametrize(
    ("user", "password"),
    [
        ("mockuser", "wrong"),
        ("other", "mockpassword"),
        ("", ""),
        ("mockuser", ""),
        ("MOCKUSER", "mockpassword"),
        ("möckuser\udcff", "mockpassword"),
    ],
)
async def test_another_login_is_unauthorized(cloud: MockCloud, user: str, password: str) -> None:
    with pytest.raises(Unauthorized):
        async with DRIVER.open(cloud, Account(UserAndPassword(user, password))):
            pass


async def test_without_a_login_only_hardware_profiles_are_told(cloud: MockCloud) -> None:
    async with DRIVER.open(cloud, Account(None)) as session:
        assert len((await MockHardwareProfiles(session).page(None, 10)).items) == 4
        for collection in (MockRealms, MockInstances, MockBuckets):
            with pytest.raises(Unauthorized):
                await collection(session).page(None, 10)


async def test_all_providers_are_the_same_cloud(cloud: MockCloud) -> None:
    async with (
        DRIVER.open(cloud, Account(LOGIN, "test1")) as one,
        DRIVER.open(cloud, Account(LOGIN, "test2")) as other,
    ):
        await MockInstances(one).stop("inst0")
        assert (await MockInstances(other).get("inst0")).state == "stopped"


def test_every_operation_of_every_interface_is_supported() -> None:
    assert supported(DRIVER) == set(BY_ID)


def test_it_lives_in_one_process_unless_it_is_stored() -> None:
    assert DRIVER.in_process(Settings(storage=None))
    assert not DRIVER.in_process(Settings(storage="/somewhere"))


def test_the_environment_names_the_storage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DELTACLOUD_MOCK_STORAGE", "/somewhere")
    assert Settings().storage == "/somewhere"
    monkeypatch.setenv("DELTACLOUD_MOCK_STORAGE", "")
    assert Settings().storage is None


async def test_a_folder_that_cannot_be_used_is_told_by_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings = Settings(storage=str(tmp_path / "file" / "folder"))
    with pytest.raises(CloudUnavailable, match="file/folder"):
        async with DRIVER.start(settings, Place(tmp_path)):
            pass


async def test_nothing_of_the_cloud_is_in_the_text_form_of_a_session(cloud: MockCloud) -> None:
    wish = NewInstance(image_id="img1", user_data=b"hush", password="hush")
    async with DRIVER.open(cloud, Account(LOGIN)) as session:
        await MockInstances(session).create(wish)
        assert "hush" not in f"{session!r} {session.state!r} {session.state.boots!r}"
