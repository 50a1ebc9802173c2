"""Nimbi as a library, with no server."""

import importlib
from pathlib import Path

import pytest

import nimbi
from nimbi.driver.interface import UserAndPassword
from nimbi.drivers.mock import driver_over
from nimbi.drivers.mock.cloud import MockCloud, Settings
from nimbi.gateway import registry
from nimbi.gateway.audit import CallEvent, Hooks
from nimbi.gateway.cloud import Cloud
from nimbi.model import errors

MOCK = {"user": "mockuser", "password": "mockpassword"}


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, driver):
    """Let the scripted cloud be the one that is installed."""

    class Point:
        name = "scripted"

        def load(self):
            return driver

    monkeypatch.setattr(registry, "entry_points", lambda group: [Point()])


def test_all_public_names_can_be_imported():
    for name in nimbi.__all__:
        assert getattr(nimbi, name) is not None
    assert nimbi.Cloud is Cloud


def test_all_errors_are_public():
    assert {error.__name__ for error in (errors.CloudError, *errors.ERRORS)} <= set(nimbi.__all__)


def test_there_are_no_other_names():
    with pytest.raises(AttributeError, match=r"nimbi.*has no attribute 'Clown'"):
        _ = nimbi.Clown
    with pytest.raises(ImportError):
        importlib.import_module("nimbi.clown")


async def test_a_program_uses_a_cloud_with_no_server(tmp_path: Path):
    told: list[CallEvent] = []
    async with nimbi.connect("mock", **MOCK, state_dir=tmp_path, hooks=Hooks(told.append)) as cloud:
        page = await cloud.instances.page(None, 10)
        assert page.items
    assert [event.operation for event in told] == ["instances.page"]


async def test_a_wrong_login_is_unauthorized(tmp_path: Path):
    with pytest.raises(nimbi.Unauthorized):
        async with nimbi.connect("mock", user="mockuser", state_dir=tmp_path) as cloud:
            await cloud.verify()


async def test_an_unknown_driver_is_invalid(tmp_path: Path):
    with pytest.raises(nimbi.Invalid, match="there is no driver 'nowhere'"):
        async with nimbi.connect("nowhere", state_dir=tmp_path):
            pass


@pytest.mark.usefixtures("installed")
async def test_a_connection_is_closed_at_its_end(script, tmp_path: Path):
    async with nimbi.connect("scripted", "eu", state_dir=tmp_path) as cloud:
        assert cloud.provider == "eu"
    assert script.events == ["started", "opened", "closed", "ended"]


@pytest.mark.usefixtures("installed")
async def test_credentials_settings_and_places_reach_the_driver(
    script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("NIMBI_STATE_DIR", str(tmp_path / "env"))
    login = UserAndPassword("u", "p")
    async with nimbi.connect("scripted", credentials=login, settings={"size": 4}):
        pass
    (account,) = script.accounts
    ((settings, place),) = script.starts
    assert (account.credentials, settings.size) == (login, 4)
    assert place.state_dir == tmp_path / "env" / "scripted"


async def test_a_cloud_of_this_machine_knows_its_owner(
    make_driver, script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def own_login(settings, place):
        return UserAndPassword("me", str(place.state_dir))

    class Point:
        name = "scripted"

        def load(self):
            return make_driver(own_login=own_login)

    monkeypatch.setattr(registry, "entry_points", lambda group: [Point()])
    async with nimbi.connect("scripted", state_dir=tmp_path):
        pass
    async with nimbi.connect("scripted", user="you", state_dir=tmp_path):
        pass
    mine, yours = (account.credentials for account in script.accounts)
    assert mine == UserAndPassword("me", str(tmp_path / "scripted"))
    assert yours == UserAndPassword("you", "")


async def test_a_driver_itself_can_be_given(tmp_path: Path) -> None:
    cloud_in_memory = MockCloud(Settings(storage=None))
    driver = driver_over(cloud_in_memory)
    async with nimbi.connect(
        driver, user="mockuser", password="mockpassword", state_dir=tmp_path
    ) as cloud:
        assert (await cloud.realms.get("us")).name == "United States"
    cloud_in_memory.close()
