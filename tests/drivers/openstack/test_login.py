"""What HTTP Basic carries to Keystone, and how Keystone takes it."""

from pathlib import Path
from typing import Any

import pytest
from tests.drivers.openstack.stand_in import PROJECT, StandIn, fault, logged_in, standing_in
from tests.targets.openstack.projects import Project

from nimbi.driver.interface import Account, Place
from nimbi.drivers.openstack.errors import OpenStackError, to_error
from nimbi.drivers.openstack.login import Login, way_of
from nimbi.drivers.openstack.places import Where, check_allowed, where_of
from nimbi.drivers.openstack.session import Settings, open_session, start
from nimbi.drivers.openstack.tokens import Way
from nimbi.model.errors import CloudUnavailable, Forbidden, Invalid, Unauthorized

DEFAULT = {"id": "default"}
ID = "0" * 32


def user_of(way: Way) -> Any:
    return way.identity["password"]["user"]


@pytest.mark.parametrize(
    ("basic", "user", "scope"),
    [
        ("me", {"name": "me", "domain": DEFAULT}, None),
        (
            "me+mine",
            {"name": "me", "domain": DEFAULT},
            {"project": {"name": "mine", "domain": DEFAULT}},
        ),
        (
            "me+mine+ours",
            {"name": "me", "domain": {"name": "ours"}},
            {"project": {"name": "mine", "domain": {"name": "ours"}}},
        ),
        (
            f"me+mine+{ID}+theirs",
            {"name": "me", "domain": {"id": ID}},
            {"project": {"name": "mine", "domain": {"name": "theirs"}}},
        ),
        (f"{ID}+{ID}", {"id": ID}, {"project": {"id": ID}}),
        ("me++ours", {"name": "me", "domain": {"name": "ours"}}, None),
        (
            "me%2Bx@example.com+50%25",
            {"name": "me+x@example.com", "domain": DEFAULT},
            {"project": {"name": "50%", "domain": DEFAULT}},
        ),
        ("me%41", {"name": "me%41", "domain": DEFAULT}, None),
    ],
)
def test_a_user_names_the_project_and_its_domain(basic: str, user: Any, scope: Any) -> None:
    way = way_of(Login(basic, "secret"), "default")
    assert user_of(way) == {**user, "password": "secret"}
    assert way.scope == scope


def test_fields_stand_before_what_the_user_says() -> None:
    login = Login("me+x+y", "s", project="p", user_domain="u", project_domain="d")
    way = way_of(login, "default")
    assert user_of(way)["domain"] == {"name": "u"}
    assert way.scope == {"project": {"name": "p", "domain": {"name": "d"}}}
    assert way_of(Login("me", "s", project_id="odd id"), "x").scope == {"project": {"id": "odd id"}}


def test_a_name_without_a_domain_is_of_the_settings_domain() -> None:
    way = way_of(Login("me+mine", "s"), "ours")
    assert user_of(way)["domain"] == {"name": "ours"}
    assert way.scope == {"project": {"name": "mine", "domain": {"name": "ours"}}}


@pytest.mark.parametrize(
    ("basic", "told"),
    [
        (f"application_credential={ID}", {"id": ID}),
        ("application_credential=any id", {"id": "any id"}),
        (
            "application_credential=ci+me",
            {"name": "ci", "user": {"name": "me", "domain": DEFAULT}},
        ),
        (
            "application_credential=ci+me+ours",
            {"name": "ci", "user": {"name": "me", "domain": {"name": "ours"}}},
        ),
    ],
)
def test_an_application_credential_has_its_own_project(basic: str, told: Any) -> None:
    way = way_of(Login(basic, "secret"), "default")
    assert way.identity["methods"] == ["application_credential"]
    assert way.identity["application_credential"] == {**told, "secret": "secret"}
    assert way.scope is None
    assert way.is_bound


@pytest.mark.parametrize("basic", ["", "+p", "a+b+c+d+e", "application_credential=", "token"])
def test_a_user_in_no_form_is_unauthorized(basic: str) -> None:
    with pytest.raises(Unauthorized):
        way_of(Login(basic, "x"), "default")
    with pytest.raises(Unauthorized):
        way_of(Login("me", ""), "default")


def test_a_login_shows_no_secret() -> None:
    login = Login("me", "hunter2")
    assert "hunter2" not in repr(login) + repr(way_of(login, "default"))


@pytest.mark.parametrize(
    ("provider", "where"),
    [
        (None, Where()),
        ("http://h:5000/v3", Where("http://h:5000/v3")),
        ("http://h:5000/v3/;R1", Where("http://h:5000/v3", "R1")),
        ("http://h:5000/v3; region=R1", Where("http://h:5000/v3", "R1")),
        ("eu-west.1", Where(None, "eu-west.1")),
    ],
)
def test_a_provider_names_a_keystone_and_a_region(provider: str | None, where: Where) -> None:
    assert where_of(provider) == where


@pytest.mark.parametrize(
    "provider",
    [
        "http://",
        "ftp://h/v3",
        "http://u:p@h/v3",
        "http://h/v3?x=1",
        "http://h:99999",
        "http://h;a;b",
        "http://a;http://b",
        "a b",
        "http://h/\r\nX: 1",
        "http://h:0/v3",
    ],
)
def test_a_provider_that_is_none_is_invalid(provider: str) -> None:
    with pytest.raises(Invalid):
        where_of(provider)


def test_strangers_may_not_name_any_keystone() -> None:
    check_allowed("http://10.0.0.1/v3", None)
    for url in ("http://169.254.169.254/v3", "http://[fe80::1]/", "http://[::ffff:169.254.1.1]/"):
        with pytest.raises(Forbidden):
            check_allowed(url, None)
    check_allowed("https://Good.example/v3", ("https://good.example",))
    with pytest.raises(Forbidden):
        check_allowed("https://bad.example/v3", ("https://good.example",))


async def test_only_allowed_keystones_are_called(tmp_path: Path) -> None:
    async with standing_in() as openstack:
        with pytest.raises(Forbidden):
            async with logged_in(openstack, tmp_path, allowed_endpoints=()):
                pass
        own = {"allowed_endpoints": (), "auth_url": openstack.auth_url}
        async with logged_in(openstack, tmp_path, **own):
            pass
    assert len(openstack.logins) == 1


async def test_the_usual_cloud_and_region_are_those_of_settings_and_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with standing_in(regions=("east", "west")) as openstack, standing_in() as other:
        monkeypatch.setenv("OS_AUTH_URL", openstack.auth_url)
        monkeypatch.setenv("OS_REGION_NAME", "west")
        async with start(Settings(), Place(tmp_path)) as backend:

            async def region_at(provider: str | None) -> str | None:
                account = Account(Login("me+mine", "s"), provider)
                async with open_session(backend, account) as session:
                    return session.region

            assert await region_at(None) == "west"
            assert await region_at("east") == "east"
            assert await region_at(openstack.url + "/identity/v3/") == "west"
            # Another cloud has regions of its own.
            assert await region_at(other.auth_url) == "here"


async def test_the_only_project_of_a_user_is_taken(tmp_path: Path) -> None:
    async with standing_in() as openstack:
        _without_project(openstack, [{"id": PROJECT, "name": "mine"}])
        async with logged_in(openstack, tmp_path, Login("me", "s")) as session:
            assert session.project_id == PROJECT
    last = openstack.requests("/identity/v3/auth/tokens")[-1].json["auth"]
    assert last["scope"] == {"project": {"id": PROJECT}}
    assert last["identity"]["methods"] == ["token"]


async def test_one_of_several_projects_must_be_named(tmp_path: Path) -> None:
    async with standing_in() as openstack:
        _without_project(openstack, [{"id": "1", "name": "b"}, {"id": "2", "name": "a"}])
        with pytest.raises(Invalid, match="a, b"):
            async with logged_in(openstack, tmp_path, Login("me", "s")):
                pass
        _without_project(openstack, [])
        with pytest.raises(Unauthorized):
            async with logged_in(openstack, tmp_path, Login("me", "s")):
                pass


def _without_project(openstack: StandIn, projects: list[Any]) -> None:
    from aiohttp import web

    def token(**changes: Any) -> web.Response:
        told = {"token": openstack.token(**changes)}
        return web.json_response(told, headers={"X-Subject-Token": "t"})

    openstack.tell("POST /identity/v3/auth/tokens", token(project=None, catalog=[]), token())
    openstack.tell("GET /identity/v3/auth/projects", {"projects": projects})


async def test_a_token_is_taken_as_it_is(tmp_path: Path) -> None:
    async with standing_in() as openstack:
        openstack.tell("GET /identity/v3/auth/tokens", {"token": openstack.token()})
        async with logged_in(openstack, tmp_path, Login("token=", "given")) as session:
            assert (await session.token()).id == "given"
            openstack.tell("GET /compute/v2.1/servers", fault(401, "error"))
            with pytest.raises(OpenStackError):
                await session.get("compute", "/servers")
        openstack.tell("GET /identity/v3/auth/tokens", 404)
        with pytest.raises(Unauthorized):
            async with logged_in(openstack, tmp_path, Login("token=", "other")):
                pass
    assert openstack.logins == []


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ("{}", {"X-Subject-Token": "t"}),
        ('{"token": {"expires_at": "never"}}', {"X-Subject-Token": "t"}),
        ('{"token": {}}', {}),
        ('{"token": {}}', {"X-Subject-Token": "t\u00e4"}),
        ("<html>", {"X-Subject-Token": "t"}),
    ],
)
async def test_what_is_no_token_is_no_login(
    body: str, headers: dict[str, str], tmp_path: Path
) -> None:
    from aiohttp import web

    async with standing_in() as openstack:
        told = web.Response(text=body, headers=headers, content_type="application/json")
        openstack.tell("POST /identity/v3/auth/tokens", told)
        with pytest.raises(CloudUnavailable):
            async with logged_in(openstack, tmp_path):
                pass


async def test_a_real_keystone_takes_users_ids_and_tokens(project: Project, tmp_path: Path) -> None:
    secret, url = project.password, project.auth_url
    async with start(Settings(), Place(tmp_path)) as backend:

        async def logs_in(user: str, password: str, **more: Any) -> str:
            account = Account(Login(user, password, **more), url)
            async with open_session(backend, account) as session:
                await session.get("compute", "/servers", {"limit": 1})
                return (await session.token()).id

        name, user = project.name, project.user
        token = await logs_in(f"{user}+{name}", secret)
        async with open_session(
            backend, Account(Login(f"{user}+{name}+Default", secret), url)
        ) as session:
            user_id, project_id = (await session.token()).user_id, session.project_id
        assert user_id is not None
        await logs_in(user, secret)
        await logs_in(f"{user_id}+{project_id}", secret)
        await logs_in(user, secret, project_id=project_id)
        assert await logs_in("token=", token) == token
        assert await logs_in(f"token={name}", token) != token
        for wrong in ((f"{user}+{name}", "wrong"), (f"{user}+nothing", secret), ("token=", "x")):
            with pytest.raises((OpenStackError, Unauthorized)) as raised:
                await logs_in(*wrong)
            error = raised.value
            assert isinstance(error, Unauthorized) or isinstance(to_error(error), Unauthorized)


async def test_a_real_application_credential_logs_in(project: Project, tmp_path: Path) -> None:
    login = Login(f"{project.user}+{project.name}", project.password)
    async with (
        start(Settings(), Place(tmp_path)) as backend,
        open_session(backend, Account(login, project.auth_url)) as session,
    ):
        path = f"/users/{(await session.token()).user_id}/application_credentials"
        wish = {"application_credential": {"name": f"{project.name}-login"}}
        made = (await session.post("identity", path, wish))["application_credential"]
        try:
            for basic in (made["id"], f"{made['name']}+{project.user}"):
                credential = Login(f"application_credential={basic}", made["secret"])
                account = Account(credential, project.auth_url)
                async with open_session(backend, account) as other:
                    assert other.project_id == session.project_id
                    await other.get("compute", "/servers", {"limit": 1})
        finally:
            await session.delete("identity", f"{path}/{made['id']}")
