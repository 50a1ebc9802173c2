"""Where the keys of this very user come from, and how they are kept fresh."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from hashlib import sha1
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

import nimbi
from nimbi.driver.interface import Account, Place
from nimbi.drivers.ec2 import DRIVER
from nimbi.drivers.ec2.backend import Backend
from nimbi.drivers.ec2.login import AccessKey, GivenKeys, OwnLogin, own_login
from nimbi.drivers.ec2.session import Settings, open_session, start
from nimbi.model.errors import Unauthorized
from nimbi.wire.sigv4 import Keys

ROLE = "arn:aws:iam::123456789012:role/tester"
LATER = "2099-01-01T00:00:00Z"
STS = """<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{action}Result>
<Credentials><AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>role-secret</SecretAccessKey>
<SessionToken>role-token</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>
</{action}Result></{action}Response>"""
JSON_KEYS = {
    "AccessKeyId": "ASIAJSON",
    "SecretAccessKey": "json-secret",
    "Token": "json-token",
    "Expiration": LATER,
}


@dataclass
class Services:
    """Everything that gives keys, on one port; `requests` tells what it was asked."""

    url: str = ""
    requests: list[tuple[str, str, dict[str, str], str]] = field(default_factory=list)
    metadata_is_there: bool = True
    sts_error: str | None = None

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.text()
        self.requests.append((request.method, request.path, dict(request.headers), body))
        path = request.path
        if path.startswith("/latest/"):
            return self.metadata(request)
        if path == "/federation/credentials":
            return self.role_of_person(request)
        if path == "/token":
            return web.json_response(
                {"accessToken": "new-access", "expiresIn": 3600, "refreshToken": "new-refresh"}
            )
        if path == "/container":
            return web.json_response(JSON_KEYS)
        return self.sts(body)

    def metadata(self, request: web.Request) -> web.Response:
        if request.path == "/latest/api/token":
            if request.method != "PUT" or not self.metadata_is_there:
                return web.Response(status=404)
            return web.Response(text="metadata-token")
        if request.headers.get("X-aws-ec2-metadata-token") != "metadata-token":
            return web.Response(status=401)
        if request.path.endswith("/security-credentials/"):
            return web.Response(text="tester")
        return web.json_response({"Code": "Success"} | JSON_KEYS)

    def sts(self, body: str) -> web.Response:
        if self.sts_error:
            text = f"<ErrorResponse><Error><Code>{self.sts_error}</Code></Error></ErrorResponse>"
            return web.Response(status=403, text=text)
        action = "AssumeRoleWithWebIdentity" if "WithWebIdentity" in body else "AssumeRole"
        return web.Response(text=STS.format(action=action))

    def role_of_person(self, request: web.Request) -> web.Response:
        token = request.headers.get("x-amz-sso_bearer_token")
        if token not in {"good-access", "new-access"}:
            return web.Response(status=401)
        keys = {
            "accessKeyId": "ASIASSO",
            "secretAccessKey": "sso-secret",
            "sessionToken": "sso-token",
            "expiration": 4070908800000,
        }
        return web.json_response({"roleCredentials": keys})

    def forms(self) -> list[str]:
        return [body for method, path, _, body in self.requests if path == "/"]


@pytest.fixture
async def services() -> AsyncIterator[Services]:
    services = Services()
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", services.answer)
    async with TestServer(app) as server:
        services.url = str(server.make_url("")).rstrip("/")
        yield services


@dataclass
class Home:
    """The home directory of one who uses AWS's tools."""

    folder: Path

    def config(self, text: str) -> None:
        (self.folder / ".aws" / "config").write_text(text)

    def credentials(self, text: str) -> None:
        (self.folder / ".aws" / "credentials").write_text(text)

    def sso_login(self, name: str, **told: Any) -> Path:
        folder = self.folder / ".aws" / "sso" / "cache"
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{sha1(name.encode()).hexdigest()}.json"
        file.write_text(json.dumps(told))
        return file


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    (tmp_path / ".aws").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("AWS_CONFIG_FILE")
    monkeypatch.delenv("AWS_SHARED_CREDENTIALS_FILE")
    return Home(tmp_path)


@pytest.fixture
def find(home: Home, services: Services, tmp_path: Path) -> Callable[..., Any]:
    """Give a search for the keys of this user, as AWS's tools would find them."""

    async def find(profile: str | None = None) -> Keys:
        settings = Settings(profile=profile, endpoint_url=services.url)
        async with start(settings, Place(tmp_path)) as backend:
            login = own_login(settings, Place(tmp_path))
            async with open_session(backend, Account(login, "eu-west-1")) as session:
                return await session.keys()

    return find


async def test_the_environment_comes_first(find: Any, home: Home, monkeypatch: Any) -> None:
    home.credentials("[default]\naws_access_key_id=AKFILE\naws_secret_access_key=s\n")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    assert await find() == Keys("AKENV", "secret", "token")


async def test_a_profile_of_the_settings_goes_before_the_environment(
    find: Any, home: Home, monkeypatch: Any
) -> None:
    home.credentials("[other]\naws_access_key_id=AKFILE\naws_secret_access_key=s\n")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    assert (await find("other")).access_key_id == "AKFILE"


async def test_half_a_login_in_the_environment_is_refused(find: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKENV")
    with pytest.raises(Unauthorized, match="AWS_SECRET_ACCESS_KEY"):
        await find()


async def test_keys_in_files_are_found(find: Any, home: Home, monkeypatch: Any) -> None:
    home.config("[profile work]\naws_access_key_id=AKCONFIG\naws_secret_access_key=c\n")
    home.credentials("[default]\naws_access_key_id = AKFILE\naws_secret_access_key = s%s\n")
    assert await find() == Keys("AKFILE", "s%s", None)
    monkeypatch.setenv("AWS_PROFILE", "work")
    assert await find() == Keys("AKCONFIG", "c", None)


async def test_a_profile_that_is_not_there_is_refused(find: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(Unauthorized, match="nobody"):
        await find()


async def test_a_role_is_taken_with_the_keys_of_another_profile(
    find: Any, home: Home, services: Services
) -> None:
    home.config(
        f"[profile admin]\nrole_arn={ROLE}\nsource_profile=base\nexternal_id=x y\n"
        "duration_seconds=900\nrole_session_name=me\n"
        "[profile base]\naws_access_key_id=AKBASE\naws_secret_access_key=b\n"
    )
    assert await find("admin") == Keys("ASIAROLE", "role-secret", "role-token")
    [form] = services.forms()
    assert "Action=AssumeRole&" in form
    assert "ExternalId=x%20y" in form
    assert "DurationSeconds=900" in form
    assert "RoleSessionName=me" in form
    assert "Credential=AKBASE/" in services.requests[0][2]["Authorization"]


async def test_a_role_may_be_taken_from_a_role(find: Any, home: Home, services: Services) -> None:
    home.config(
        f"[profile a]\nrole_arn={ROLE}-a\nsource_profile=b\n"
        f"[profile b]\nrole_arn={ROLE}-b\ncredential_source=Ec2InstanceMetadata\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("AWS_EC2_METADATA_DISABLED")
        patch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", services.url)
        await find("a")
    assert [form.split("tester-")[1][0] for form in services.forms()] == ["b", "a"]


async def test_a_profile_may_take_a_role_with_its_own_keys(find: Any, home: Home) -> None:
    home.config(f"[profile a]\nrole_arn={ROLE}\nsource_profile=a\n")
    home.credentials("[a]\naws_access_key_id=AKBASE\naws_secret_access_key=b\n")
    assert (await find("a")).access_key_id == "ASIAROLE"


async def test_profiles_in_a_circle_are_refused(find: Any, home: Home) -> None:
    home.config(
        f"[profile a]\nrole_arn={ROLE}\nsource_profile=b\n"
        f"[profile b]\nrole_arn={ROLE}\nsource_profile=a\n"
    )
    with pytest.raises(Unauthorized, match="a -> b -> a"):
        await find("a")


async def test_a_role_that_needs_a_device_is_refused(find: Any, home: Home) -> None:
    home.config(
        f"[profile a]\nrole_arn={ROLE}\nsource_profile=b\nmfa_serial=arn:aws:iam::1:mfa/me\n"
        "[profile b]\naws_access_key_id=AKBASE\naws_secret_access_key=b\n"
    )
    with pytest.raises(Unauthorized, match="device"):
        await find("a")


async def test_a_role_that_may_not_be_taken_is_a_wrong_login(
    find: Any, home: Home, services: Services
) -> None:
    home.config(f"[profile a]\nrole_arn={ROLE}\nsource_profile=a\n")
    home.credentials("[a]\naws_access_key_id=AKBASE\naws_secret_access_key=hidden\n")
    services.sts_error = "AccessDenied"
    with pytest.raises(Unauthorized, match="AccessDenied") as raised:
        await find("a")
    assert "hidden" not in str(raised.value)


async def test_a_role_is_taken_with_a_token_from_a_file(
    find: Any, services: Services, monkeypatch: Any, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("web-token\n")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_ROLE_ARN", ROLE)
    assert (await find()).access_key_id == "ASIAROLE"
    [form] = services.forms()
    assert "WebIdentityToken=web-token" in form
    assert "Authorization" not in services.requests[0][2]


SSO_PROFILE = """[profile person]
sso_session = company
sso_account_id = 123456789012
sso_role_name = Tester
[sso-session company]
sso_region = eu-central-1
sso_start_url = https://company.invalid/start
"""


async def test_the_login_of_the_identity_centre_is_used(
    find: Any, home: Home, services: Services
) -> None:
    home.config(SSO_PROFILE)
    home.sso_login("company", accessToken="good-access", expiresAt=LATER)
    assert await find("person") == Keys("ASIASSO", "sso-secret", "sso-token")
    assert [path for _, path, _, _ in services.requests] == ["/federation/credentials"]


async def test_the_login_of_the_identity_centre_is_renewed(
    find: Any, home: Home, services: Services
) -> None:
    home.config(SSO_PROFILE)
    file = home.sso_login(
        "company",
        accessToken="old",
        expiresAt="2020-01-01T00:00:00Z",
        refreshToken="refresh",
        clientId="client",
        clientSecret="client-secret",
        somethingElse="kept",
    )
    assert (await find("person")).access_key_id == "ASIASSO"
    kept = json.loads(file.read_text())
    assert kept["accessToken"] == "new-access"
    assert kept["refreshToken"] == "new-refresh"
    assert kept["somethingElse"] == "kept"
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("told", [{}, {"accessToken": "old", "expiresAt": "2020-01-01T00:00:00Z"}])
async def test_who_is_not_logged_in_is_told_to(find: Any, home: Home, told: dict[str, str]) -> None:
    home.config(SSO_PROFILE)
    home.sso_login("company", **told)
    with pytest.raises(Unauthorized, match="aws sso login"):
        await find("person")


async def test_a_program_tells_keys(find: Any, home: Home) -> None:
    script = home.folder / "tell me.py"
    told = JSON_KEYS | {"Version": 1, "SessionToken": "t"}
    script.write_text(f"print({json.dumps(json.dumps(told))})")
    home.config(f"[default]\ncredential_process = {sys.executable} '{script}'\n")
    assert await find() == Keys("ASIAJSON", "json-secret", "t")


@pytest.mark.parametrize("output", ["", "{}", '{"Version": 2}', '{"Version": 1, "x": "hidden"}'])
async def test_a_program_that_tells_no_keys_is_refused(find: Any, home: Home, output: str) -> None:
    script = home.folder / "tell.py"
    script.write_text(f"print({output!r})")
    home.config(f"[default]\ncredential_process = {sys.executable} {script}\n")
    with pytest.raises(Unauthorized) as raised:
        await find()
    assert "hidden" not in str(raised.value)


@pytest.mark.parametrize("command", ["/nowhere/program", "'", sys.executable + " -c 'exit(3)'"])
async def test_a_program_that_fails_is_refused(find: Any, home: Home, command: str) -> None:
    home.config(f"[default]\ncredential_process = {command}\n")
    with pytest.raises(Unauthorized):
        await find()


async def test_the_role_of_a_container_is_used(
    find: Any, services: Services, monkeypatch: Any, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("Bearer x\n")
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{services.url}/container")
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(tmp_path / "token"))
    assert await find() == Keys("ASIAJSON", "json-secret", "json-token")
    assert services.requests[0][2]["Authorization"] == "Bearer x"


@pytest.mark.parametrize("url", ["http://keys.example/x", "ftp://127.0.0.1/", "http://[::1", "x"])
async def test_keys_of_a_container_come_from_near_or_by_https(
    find: Any, monkeypatch: Any, url: str
) -> None:
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url)
    with pytest.raises(Unauthorized, match="https"):
        await find()


async def test_the_role_of_an_instance_is_asked_for_by_token(
    find: Any, services: Services, monkeypatch: Any
) -> None:
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", services.url + "/")
    assert await find() == Keys("ASIAJSON", "json-secret", "json-token")
    assert [(method, path.rsplit("/", 1)[1]) for method, path, _, _ in services.requests] == [
        ("PUT", "token"),
        ("GET", ""),
        ("GET", "tester"),
    ]


async def test_nobody_logged_in_anywhere_is_unauthorized(
    find: Any, services: Services, monkeypatch: Any
) -> None:
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", services.url)
    services.metadata_is_there = False
    with pytest.raises(Unauthorized, match="no login"):
        await find()


async def test_a_disabled_metadata_service_is_not_asked(
    find: Any, services: Services, monkeypatch: Any
) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", services.url)
    with pytest.raises(Unauthorized):
        await find()
    assert services.requests == []


def test_a_session_token_may_follow_the_secret() -> None:
    keys = asyncio.run(GivenKeys(AccessKey("AK", "se/cr+et:to:ken")).keys())
    assert keys == Keys("AK", "se/cr+et", "to:ken")


@pytest.mark.parametrize("login", [AccessKey("AKIA", "hidden"), Keys("AKIA", "hidden", "hidden")])
def test_no_secret_is_in_a_repr(login: object) -> None:
    assert "hidden" not in repr(login)


async def test_sessions_of_one_user_share_their_keys(tmp_path: Path) -> None:
    async with start(Settings(endpoint_url="http://127.0.0.1:9"), Place(tmp_path)) as backend:
        assert isinstance(backend, Backend)
        assert backend.own_source(None) is backend.own_source(None)
        assert backend.own_source("a") is not backend.own_source(None)


def test_the_own_login_names_the_profile_of_the_settings(tmp_path: Path) -> None:
    assert own_login(Settings(profile="work"), Place(tmp_path)) == OwnLogin("work")


async def test_a_program_logs_in_as_aws_s_own_tools_do(
    moto: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto)
    monkeypatch.setenv("AWS_REGION", "ap-south-1")
    with pytest.raises(Unauthorized):
        async with nimbi.connect(DRIVER, state_dir=tmp_path) as cloud:
            await cloud.verify()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    async with nimbi.connect(DRIVER, state_dir=tmp_path) as cloud:
        await cloud.verify()
        page = await cloud.realms.page(None, 1)
        assert page.items[0].id == "ap-south-1a"
