"""The login of this very user, from files and environment, as openstacksdk reads them."""

import json
import os
import warnings
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web
from tests.drivers.openstack.stand_in import PROJECT, StandIn, standing_in

from nimbi.driver.interface import Account, Place
from nimbi.drivers.openstack.login import OwnLogin, own_login
from nimbi.drivers.openstack.logins.clouds import entry_of
from nimbi.drivers.openstack.logins.files import read_files
from nimbi.drivers.openstack.logins.methods import way_of
from nimbi.drivers.openstack.session import Session, Settings, open_session, start
from nimbi.model.errors import CloudError, CloudUnavailable, Unauthorized, Unsupported

KEYSTONE = "https://k.example:5000/v3"
DEFAULT = {"id": "default"}

CLOUDS: dict[str, Any] = {
    "plain": {
        "auth": {
            "auth_url": KEYSTONE,
            "username": "me",
            "password": "in the open",
            "project_name": "mine",
            "domain_name": "ours",
        },
        "region_name": "R1",
    },
    "old": {
        "auth": {"auth-url": KEYSTONE, "username": "me", "password": "p", "tenant-id": "t1"},
        "region-name": "R1",
        "endpoint_type": "internalURL",
    },
    "regions": {
        "auth": {
            "auth_url": "https://{region_name}.example/v3",
            "username": "me",
            "password": "p",
            "user_domain_id": "u",
            "project_name": "mine",
            "project_domain_name": "theirs",
        },
        "regions": ["east", {"name": "west", "values": {"interface": "admin"}}],
    },
    "vendor": {"profile": "our-cloud", "auth": {"username": "me", "password": "p"}},
    "public": {"profile": "otc", "auth": {"username": "me", "password": "p"}},
    "outside": {
        "auth": {"auth_url": KEYSTONE, "password": "p"},
        "username": "me",
        "project_name": "top",
        "region_name": "R1",
    },
}
SECRETS = {"plain": {"auth": {"password": "kept apart"}}}
VENDORS = {
    "our-cloud": {
        "auth": {"auth_url": KEYSTONE, "user_domain_name": "ours", "project_name": "all"},
        "region_name": "RegionOne",
    }
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the directory of OpenStack's files of a user who has all of them."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / ".config" / "openstack"
    folder.mkdir(parents=True)
    return folder


def written(folder: Path, clouds: Any, secrets: Any = None, vendors: Any = None) -> None:
    for name, key, told in (
        ("clouds", "clouds", clouds),
        ("secure", "clouds", secrets),
        ("clouds-public", "public-clouds", vendors),
    ):
        if told is not None:
            (folder / f"{name}.yaml").write_text(yaml.safe_dump({key: told}))


async def no_profile(url: str) -> dict[str, Any]:
    raise CloudUnavailable(url)


async def entry(cloud: str | None = None, region: str | None = None) -> dict[str, Any]:
    return await entry_of(os.environ, read_files(os.environ), cloud, region, no_profile)


def oracle(cloud: str | None, region: str | None, folder: Path) -> dict[str, Any]:
    """Return what openstacksdk makes of the same."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from openstack.config import OpenStackConfig

        def files(name: str) -> list[str]:
            return [str(folder / f"{name}.yaml")]

        config = OpenStackConfig(
            config_files=files("clouds"),
            secure_files=files("secure"),
            vendor_files=files("clouds-public"),
        )
        named = {"region_name": region} if region else {}
        found: dict[str, Any] = config.get_one(cloud=cloud, validate=False, **named).config
        return found


@pytest.mark.parametrize(
    ("cloud", "region"),
    [*((name, None) for name in CLOUDS), ("regions", "west"), ("public", "eu-nl")],
)
async def test_an_entry_is_read_as_openstacksdk_reads_it(
    cloud: str, region: str | None, home: Path
) -> None:
    written(home, CLOUDS, SECRETS, VENDORS)
    ours, theirs = await entry(cloud, region), oracle(cloud, region, home)
    auth = theirs["auth"]
    for name in ("username", "project_name"):
        if name in theirs:
            auth[name] = theirs[name]
    assert ours["auth"] == {name: value for name, value in auth.items() if value}
    assert (ours["region_name"] or "") == theirs["region_name"]
    interface = str(ours.get("interface") or ours.get("endpoint_type") or "public")
    assert interface.removesuffix("URL") == theirs["interface"].removesuffix("URL")


async def test_the_environment_is_read_as_openstacksdk_reads_it(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(home, CLOUDS)
    told = {
        "AUTH_URL": KEYSTONE,
        "USERNAME": "me",
        "PASSWORD": "p",
        "TENANT_NAME": "mine",
        "USER_DOMAIN_NAME": "ours",
        "PROJECT_DOMAIN_ID": "d",
        "REGION_NAME": "R9",
    }
    for name, value in told.items():
        monkeypatch.setenv(f"OS_{name}", value)
    ours, theirs = await entry(), oracle(None, None, home)
    auth = theirs["auth"] | {name: theirs[name] for name in ("auth_url", "username", "password")}
    assert ours["auth"] == auth
    assert ours["region_name"] == "R9"
    way = way_of(ours)
    assert way.scope == {"project": {"name": "mine", "domain": {"id": "d"}}}


async def test_which_cloud_is_meant_must_be_told(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Unauthorized, match="no login"):
        await entry()
    written(home, CLOUDS)
    with pytest.raises(Unauthorized, match="OS_CLOUD"):
        await entry()
    with pytest.raises(Unauthorized, match="'nope'"):
        await entry("nope")
    monkeypatch.setenv("OS_CLOUD", "outside")
    assert (await entry())["auth"]["project_name"] == "top"
    monkeypatch.setenv("OS_REGION_NAME", "R2")
    assert (await entry())["region_name"] == "R2"
    written(home, {"only": CLOUDS["plain"]})
    monkeypatch.delenv("OS_CLOUD")
    assert (await entry())["region_name"] == "R2"


async def test_a_file_that_the_environment_names_counts_first(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(home, CLOUDS)
    (tmp_path / "mine.json").write_text(json.dumps({"clouds": {"mine": CLOUDS["old"]}}))
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "mine.json"))
    assert list(read_files(os.environ).clouds) == ["mine"]


async def test_a_broken_file_is_left_out_and_not_shown(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (home / "clouds.yaml").write_text("clouds: {password: hunter2, [")
    assert read_files(os.environ).clouds == {}
    (home / "clouds.yaml").write_text("- hunter2")
    assert read_files(os.environ).clouds == {}
    assert "hunter2" not in caplog.text


USER = {"username": "me", "user_domain_name": "ours"}


@pytest.mark.parametrize(
    ("auth_type", "auth", "methods", "part"),
    [
        (
            "v3applicationcredential",
            {"application_credential_id": "i", "application_credential_secret": "s"},
            ["application_credential"],
            {"id": "i", "secret": "s"},
        ),
        (
            None,
            {"application_credential_name": "n", "application_credential_secret": "s", **USER},
            ["application_credential"],
            {"name": "n", "secret": "s", "user": {"name": "me", "domain": {"name": "ours"}}},
        ),
        ("v3token", {"token": "t"}, ["token"], {"id": "t"}),
        ("password", {"auth_token": "t"}, ["token"], {"id": "t"}),
        (
            "v3totp",
            {"passcode": "1", "user_id": "u"},
            ["totp"],
            {"user": {"id": "u", "passcode": "1"}},
        ),
        (
            "v3multifactor",
            {
                **USER,
                "password": "p",
                "passcode": "1",
                "auth_methods": ["v3password", "v3totp"],
            },
            ["password", "totp"],
            {"user": {"name": "me", "domain": {"name": "ours"}, "password": "p"}},
        ),
    ],
)
async def test_each_type_of_login_is_told_to_keystone(
    auth_type: str | None, auth: dict[str, Any], methods: list[str], part: Any, home: Path
) -> None:
    cloud = {"auth": {"auth_url": KEYSTONE, **auth}, "auth_type": auth_type}
    written(home, {"mine": {name: value for name, value in cloud.items() if value}})
    way = way_of(await entry())
    assert way.identity["methods"] == methods
    assert way.identity[methods[0]] == part


@pytest.mark.parametrize(
    ("auth", "scope"),
    [
        ({"project_id": "p"}, {"project": {"id": "p"}}),
        ({"tenant_name": "p"}, {"project": {"name": "p", "domain": DEFAULT}}),
        (
            {"project_name": "p", "default_domain_id": "d"},
            {"project": {"name": "p", "domain": {"id": "d"}}},
        ),
        ({"domain_name": "d"}, {"domain": {"name": "d"}}),
        ({"system_scope": "all"}, {"system": {"all": True}}),
        ({"trust_id": "t"}, {"OS-TRUST:trust": {"id": "t"}}),
        ({}, None),
    ],
)
async def test_a_login_may_be_to_anything(auth: dict[str, Any], scope: Any, home: Path) -> None:
    login = {"auth_url": KEYSTONE, "username": "me", "password": "p", **auth}
    written(home, {"mine": {"auth": login}})
    assert way_of(await entry()).scope == scope


@pytest.mark.parametrize("kind", ["v3kerberos", "v3samlpassword", "none", "v2password", "nonsense"])
async def test_other_types_of_login_are_named_as_unsupported(kind: str, home: Path) -> None:
    written(home, {"mine": {"auth": {"auth_url": KEYSTONE}, "auth_type": kind}})
    with pytest.raises(Unsupported, match=kind):
        way_of(await entry())


async def test_what_is_missing_is_named(home: Path) -> None:
    written(home, {"mine": {"auth": {"auth_url": KEYSTONE, "username": "me"}}})
    with pytest.raises(Unauthorized, match="password"):
        way_of(await entry())


async def opened(
    openstack: StandIn,
    folder: Path,
    provider: str | None = None,
    settings: Settings | None = None,
    **cloud: Any,
) -> Session:
    """Return a session of a user who has an entry for a stand-in, when it is over."""
    auth = {
        "auth_url": openstack.auth_url,
        "username": "me",
        "password": "p",
        "project_name": "mine",
    }
    written(folder, {"mine": {"auth": auth | cloud.pop("auth", {}), **cloud}})
    told = settings or Settings()
    login = own_login(told, Place(folder))
    async with (
        start(told, Place(folder)) as backend,
        open_session(backend, Account(login, provider)) as session,
    ):
        return session


async def test_this_user_is_logged_in(home: Path) -> None:
    async with standing_in(regions=("east", "west")) as openstack:
        session = await opened(openstack, home, region_name="west")
        assert (session.region, session.project_id) == ("west", PROJECT)
        assert (await opened(openstack, home, "east")).region == "east"
        assert (await opened(openstack, home, "mine")).region == "east"
        assert (await opened(openstack, home, f"{openstack.url}/identity;west")).region == "west"


async def test_a_password_is_not_sent_elsewhere(home: Path) -> None:
    async with standing_in() as openstack, standing_in() as other:
        with pytest.raises(Unauthorized, match="has a login"):
            await opened(openstack, home, other.auth_url)
        assert (openstack.logins, other.logins) == ([], [])


async def test_endpoints_and_interface_of_an_entry_count(home: Path) -> None:
    async with standing_in() as openstack:
        session = await opened(
            openstack,
            home,
            network_endpoint_override=f"{openstack.url}/elsewhere",
            block_storage_endpoint_override=f"{openstack.url}/volumes/v3",
            interface="internal",
        )
        assert await session.url("network") == f"{openstack.url}/elsewhere"
        assert await session.url("volume") == f"{openstack.url}/volumes/v3"
        assert session.regions() == ("here",)


async def test_certificates_of_an_entry_are_trusted_or_not_asked(home: Path) -> None:
    async with standing_in() as openstack:
        with pytest.raises(CloudError, match=r"nowhere\.pem"):
            await opened(openstack, home, cacert="nowhere.pem")
        session = await opened(openstack, home, verify=False, cacert="nowhere.pem")
        assert session.http is not session.backend.http
        assert session.http._tls.check_hostname is False  # type: ignore[union-attr]


async def test_a_cloud_of_the_settings_is_taken(home: Path) -> None:
    settings = Settings(cloud="mine")
    assert own_login(settings, Place(home)) == OwnLogin("mine")
    async with standing_in() as openstack:
        session = await opened(openstack, home, settings=settings)
        assert session.project_id == PROJECT


async def test_whom_keystone_believes_may_log_in(home: Path) -> None:
    async with standing_in() as openstack:
        federation = "/identity/v3/OS-FEDERATION/identity_providers/idp/protocols/openid/auth"
        openstack.tell("GET /discovery", {"token_endpoint": f"{openstack.url}/oauth"})
        openstack.tell("POST /oauth", {"access_token": "access", "token_type": "Bearer"})
        unscoped = {"token": openstack.token(project=None, catalog=[])}
        openstack.tell(
            f"POST {federation}",
            web.json_response(unscoped, status=201, headers={"X-Subject-Token": "unscoped"}),
        )
        auth = {
            "identity_provider": "idp",
            "protocol": "openid",
            "client_id": "cli",
            "client_secret": "c s",
            "discovery_endpoint": f"{openstack.url}/discovery",
        }
        session = await opened(openstack, home, auth_type="v3oidcpassword", auth=auth)
        assert session.project_id == PROJECT
        form = openstack.requests("/oauth")[0].body
        assert b"grant_type=password" in form
        assert b"username=me" in form
        assert openstack.requests(federation)[0].headers["Authorization"] == "Bearer access"
        assert openstack.logins[-1]["identity"]["token"] == {"id": "unscoped"}
        assert openstack.logins[-1]["scope"]["project"]["name"] == "mine"

        openstack.tell("POST /oauth", web.json_response({"error": "invalid_grant"}, status=400))
        with pytest.raises(Unauthorized):
            await opened(openstack, home, auth_type="v3oidcpassword", auth=auth)
