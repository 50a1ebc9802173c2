"""Logins to Rackspace: by API key, by password, by token; at which region."""

from pathlib import Path

import pytest
from tests.drivers.rackspace.conftest import LOGIN
from tests.targets.rackspace import ACCOUNT, API_KEY, PASSWORD, USER, Rackspace

from nimbi.driver.interface import Place
from nimbi.drivers.rackspace import DRIVER
from nimbi.drivers.rackspace.login import ApiKey, own_login, way_of
from nimbi.drivers.rackspace.settings import Settings
from nimbi.drivertest import opened
from nimbi.gateway.cloud import Cloud
from nimbi.model.errors import Invalid, Unauthorized


@pytest.mark.parametrize("login", [LOGIN, ApiKey(USER, PASSWORD)], ids=["key", "password"])
async def test_a_user_logs_in_by_key_or_by_password(
    rackspace: Rackspace, tmp_path: Path, login: ApiKey
) -> None:
    async with opened(DRIVER, tmp_path, credentials=login, provider=rackspace.url) as cloud:
        assert [profile.id for profile in (await cloud.hardware_profiles.page(None, 1)).items]


async def test_a_token_of_the_account_logs_in(rackspace: Rackspace, tmp_path: Path) -> None:
    rackspace.tokens.add("t0ken")
    login = ApiKey(f"token={ACCOUNT}", "t0ken")
    async with opened(DRIVER, tmp_path, credentials=login, provider=rackspace.url) as cloud:
        await cloud.realms.page(None, 1)


@pytest.mark.parametrize(
    "login",
    [ApiKey(USER, "0" * 32), ApiKey(USER, "no password"), ApiKey("nobody", API_KEY)],
    ids=["key", "password", "user"],
)
async def test_a_wrong_login_is_unauthorized_and_not_told(
    rackspace: Rackspace, tmp_path: Path, login: ApiKey
) -> None:
    with pytest.raises(Unauthorized) as refused:
        async with opened(DRIVER, tmp_path, credentials=login, provider=rackspace.url):
            pass
    assert login.api_key not in str(refused.value)
    assert login.api_key not in repr(login)


@pytest.mark.parametrize("login", [ApiKey("", "key"), ApiKey(USER, ""), ApiKey("token=", "x")])
def test_half_a_login_is_unauthorized(login: ApiKey) -> None:
    with pytest.raises(Unauthorized):
        way_of(login)


@pytest.mark.parametrize(("region", "realm"), [("", "ORD"), (";DFW", "DFW"), (";ORD", "ORD")])
async def test_the_region_is_the_provider_or_that_of_the_user(
    rackspace: Rackspace, tmp_path: Path, region: str, realm: str
) -> None:
    provider = f"{rackspace.url}{region}"
    async with opened(DRIVER, tmp_path, credentials=LOGIN, provider=provider) as cloud:
        assert [found.id for found in (await cloud.realms.page(None, 10)).items] == [realm]


async def test_a_region_alone_is_one_of_rackspace(rackspace: Rackspace, tmp_path: Path) -> None:
    settings = {"auth_url": rackspace.url}
    async with opened(
        DRIVER, tmp_path, settings=settings, credentials=LOGIN, provider="DFW"
    ) as cloud:
        assert (await cloud.realms.get("DFW")).name == "DFW"


async def test_a_region_that_the_account_lacks_is_invalid(
    rackspace: Rackspace, tmp_path: Path
) -> None:
    with pytest.raises(Invalid, match="DFW, ORD"):
        async with opened(DRIVER, tmp_path, credentials=LOGIN, provider=f"{rackspace.url};MARS"):
            pass


async def test_what_the_account_lacks_is_not_there(cloud: Cloud) -> None:
    assert "instances.create" in cloud.operations
    assert not any(id.startswith(("blobs.", "networks.", "firewalls.")) for id in cloud.operations)


async def test_a_token_that_expired_is_renewed_once(rackspace: Rackspace, cloud: Cloud) -> None:
    await cloud.instances.page(None, 1)
    rackspace.tokens.clear()
    await cloud.instances.page(None, 1)
    assert [asked.action for asked in rackspace.asked].count("POST /v2.0/tokens") == 2


def test_the_login_of_this_user_is_that_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("RS_USERNAME", raising=False)
    assert own_login(Settings(), Place(tmp_path)) is None
    monkeypatch.setenv("RS_USERNAME", USER)
    monkeypatch.setenv("RS_API_KEY", API_KEY)
    assert own_login(Settings(), Place(tmp_path)) == LOGIN
