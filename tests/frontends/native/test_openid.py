"""Signing in through a real OpenID Connect provider, from the first step to a token."""

import hashlib
import secrets
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import pytest_asyncio
from joserfc.jwk import RSAKey
from tests.frontends.native.conftest import client
from tests.targets import oidc
from tests.targets.oidc import Browser, Provider

from nimbi.broker.access import ADMIN
from nimbi.broker.openid.provider import OpenIdOptions
from nimbi.broker.site import Broker, Options, open_broker
from nimbi.frontends.native.app import NativeApp
from nimbi.gateway.clouds import Clouds
from nimbi.gateway.registry import Registry
from nimbi.model.audit import AuditFilter
from nimbi.model.people import NewGrant, NewGroup, User, UserChange

pytestmark = pytest.mark.asyncio(loop_scope="module")

CALLBACK = "http://nimbi/v1/openid/callback"
RETURN = "http://127.0.0.1:4242/done"
PEOPLE: dict[str, dict[str, Any]] = {
    "ann": {
        "email": "both@example.com",
        "email_verified": True,
        "preferred_username": "ann",
        "groups": ["devs", "unknown here"],
    },
    "bob": {
        "email": "both@example.com",
        "email_verified": True,
        "preferred_username": "ann",
        "groups": [],
    },
    "root": {"preferred_username": "admin", "groups": ["devs"]},
    "eve": {"preferred_username": "eve", "email": "ann@example.com", "email_verified": False},
}


@dataclass
class Way:
    """A server, the provider that it trusts, and one way in."""

    provider: Provider
    broker: Broker
    client: httpx.AsyncClient

    async def begins(self, verifier: str, **told: str) -> httpx.Response:
        body = {"return_to": RETURN, "challenge": challenge(verifier), "state": "mine"} | told
        return await self.client.post("/v1/openid", json=body)

    async def goes(self, user: str, verifier: str) -> str:
        """Return where the provider sends a browser in which a user has signed in."""
        began = await self.begins(verifier)
        assert began.status_code == 200, began.text
        browser = Browser(user)
        try:
            return browser.goes_to(began.json()["url"])
        finally:
            browser.close()

    async def comes_back(self, url: str) -> dict[str, str]:
        """Return what the program on the browser's machine is told."""
        answer = await self.client.get(url)
        assert answer.status_code == 303, answer.text
        onward = answer.headers["location"]
        assert onward.startswith(RETURN + "?")
        assert answer.headers["referrer-policy"] == "no-referrer"
        return {name: value[0] for name, value in parse_qs(urlsplit(onward).query).items()}

    async def fetches(self, code: str, verifier: str, **told: Any) -> httpx.Response:
        body = {"code": code, "verifier": verifier} | told
        return await self.client.post("/v1/openid/token", json=body)

    async def signs_in(self, user: str) -> httpx.Response:
        verifier = secrets.token_urlsafe(40)
        told = await self.comes_back(await self.goes(user, verifier))
        assert told["state"] == "mine"
        return await self.fetches(told["code"], verifier)

    async def user(self, subject: str) -> User:
        found = await self.broker.rights.users.page(ADMIN)
        return next(user for user in found if user.subject == subject)

    async def audited(self) -> list[tuple[str, str, str]]:
        found = await self.broker.audit.page(AuditFilter(), after=None, before=None, limit=5)
        return [(entry.operation, entry.user, entry.result) for entry in found]


def challenge(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return oidc.installed(tmp_path_factory.mktemp("oidc"))


@pytest.fixture(scope="module")
def key() -> RSAKey:
    return oidc.new_key("first")


@pytest.fixture(scope="module")
def provider(place: Path, key: RSAKey) -> Iterator[Provider]:
    made = Provider(place, [CALLBACK], PEOPLE)
    with made.running(key):
        yield made


@asynccontextmanager
async def opened(provider: Provider, folder: Path, **more: Any) -> AsyncIterator[Way]:
    clouds = Clouds(Registry({}), {}, folder / "state")
    told: dict[str, Any] = {"creates": True, "groups_claim": "groups"} | more
    options = Options(
        database=f"sqlite:///{folder}/nimbi.db",
        key_file=folder / "key",
        environment={},
        polls=False,
        openid=OpenIdOptions(
            issuer=provider.issuer,
            client_id=oidc.CLIENT,
            client_secret=oidc.SECRET,
            **told,
        ),
    )
    async with open_broker(options, clouds, Registry({})) as broker:
        devs = await broker.rights.groups.create(ADMIN, NewGroup(name="devs"))
        grant = NewGrant(role="user", tenant="root", group=devs.id)
        await broker.rights.grants.create(ADMIN, grant)
        async with client(NativeApp(broker), {}) as told_to:
            yield Way(provider, broker, told_to)
    await clouds.aclose()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def way(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Way]:
    async with opened(provider, tmp_path_factory.mktemp("openid")) as made:
        yield made


async def test_who_signs_in_at_the_provider_gets_a_token_that_works_and_ends(way: Way) -> None:
    made = await way.signs_in("ann")
    assert made.status_code == 201, made.text
    secret = made.json()["secret"]
    me = await way.client.get("/v1/login", headers={"authorization": f"Bearer {secret}"})
    assert me.status_code == 200
    assert made.json()["token"]["expires_at"] is not None
    user = await way.user("ann")
    assert (user.name, user.email, user.issuer) == ("ann", "both@example.com", way.provider.issuer)
    assert (await way.audited())[0] == ("openid.token", user.id, "ok")


async def test_somebody_is_the_same_user_at_each_sign_in(way: Way) -> None:
    assert (await way.signs_in("ann")).status_code == 201
    first = await way.user("ann")
    assert (await way.signs_in("ann")).status_code == 201
    assert await way.user("ann") == first


async def test_two_users_with_one_address_and_one_name_stay_two(way: Way) -> None:
    assert (await way.signs_in("ann")).status_code == 201
    # In no group, and so without a role; yet a user of its own now.
    assert (await way.signs_in("bob")).status_code == 403
    ann, bob = await way.user("ann"), await way.user("bob")
    assert ann.id != bob.id
    assert (ann.email, bob.email) == ("both@example.com", "both@example.com")
    assert (ann.name, bob.name) == ("ann", "ann-2")


async def test_nobody_becomes_the_operator_by_its_name(way: Way) -> None:
    made = await way.signs_in("root")
    assert made.status_code == 201
    user = await way.user("root")
    assert user.id != "admin"
    assert user.name != "admin"
    assert made.json()["token"]["user"] == user.id


async def test_an_address_that_nobody_has_verified_is_not_kept(way: Way) -> None:
    await way.signs_in("eve")
    assert (await way.user("eve")).email is None


async def test_the_provider_says_who_is_in_which_group_and_no_longer(
    place: Path, key: RSAKey, tmp_path: Path
) -> None:
    people = {"ann": {**PEOPLE["ann"]}}
    provider = Provider(place, [CALLBACK], people)
    async with opened(provider, tmp_path) as way:
        with provider.running(key):
            assert (await way.signs_in("ann")).status_code == 201
        user = await way.user("ann")
        (devs,) = await way.broker.rights.groups.page(ADMIN)
        assert devs.members == (user.id,)
        people["ann"]["groups"] = []
        with provider.running(key):
            assert (await way.signs_in("ann")).status_code == 403
        (devs,) = await way.broker.rights.groups.page(ADMIN)
        assert devs.members == ()


async def test_a_provider_that_signs_by_a_new_key_is_believed(place: Path, tmp_path: Path) -> None:
    provider = Provider(place, [CALLBACK], PEOPLE)
    async with opened(provider, tmp_path) as way:
        with provider.running(oidc.new_key("old")):
            assert (await way.signs_in("ann")).status_code == 201
        with provider.running(oidc.new_key("new")):
            assert (await way.signs_in("ann")).status_code == 201


async def test_who_is_unknown_is_let_in_only_when_the_operator_says_so(
    provider: Provider, tmp_path: Path
) -> None:
    async with opened(provider, tmp_path, creates=False) as way:
        told = await way.comes_back(await way.goes("ann", "v" * 43))
        assert told == {"error": "access_denied", "state": "mine"}
        found = await way.broker.rights.users.page(ADMIN)
        assert [user.subject for user in found] == [None]
        assert (await way.audited())[0] == ("openid.callback", "", "forbidden")


async def test_a_disabled_user_does_not_come_in(way: Way) -> None:
    assert (await way.signs_in("ann")).status_code == 201
    user = await way.user("ann")
    users = way.broker.rights.users
    await users.change(ADMIN, user.id, UserChange(is_enabled=False))
    try:
        told = await way.comes_back(await way.goes("ann", "v" * 43))
        assert told["error"] == "access_denied"
    finally:
        await users.change(ADMIN, user.id, UserChange(is_enabled=True))


async def test_a_code_is_good_once(way: Way) -> None:
    verifier = secrets.token_urlsafe(40)
    told = await way.comes_back(await way.goes("ann", verifier))
    assert (await way.fetches(told["code"], verifier)).status_code == 201
    again = await way.fetches(told["code"], verifier)
    assert again.status_code == 401
    assert (await way.audited())[0] == ("openid.token", "", "unauthorized")


async def test_a_code_is_of_no_use_to_who_did_not_begin_and_is_used_up_by_trying(
    way: Way,
) -> None:
    verifier = secrets.token_urlsafe(40)
    told = await way.comes_back(await way.goes("ann", verifier))
    assert (await way.fetches(told["code"], "x" * 43)).status_code == 401
    assert (await way.fetches(told["code"], verifier)).status_code == 401


async def test_the_way_back_is_gone_once(way: Way) -> None:
    url = await way.goes("ann", "v" * 43)
    await way.comes_back(url)
    assert (await way.client.get(url)).status_code == 401


async def test_a_state_that_was_not_given_here_leads_nowhere(way: Way) -> None:
    url = await way.goes("ann", "v" * 43)
    state = parse_qs(urlsplit(url).query)["state"][0]
    other = await way.client.get(url.replace(state, "A" * len(state)))
    assert other.status_code == 401
    assert "location" not in other.headers
    assert (await way.client.get("/v1/openid/callback?code=x")).status_code == 400


async def test_a_code_of_another_sign_in_is_not_taken(way: Way) -> None:
    mine, theirs = await way.goes("ann", "v" * 43), await way.goes("bob", "v" * 43)
    code = parse_qs(urlsplit(mine).query)["code"][0]
    other = parse_qs(urlsplit(theirs).query)["code"][0]
    told = await way.comes_back(mine.replace(code, other))
    assert told == {"error": "invalid_grant", "state": "mine"}


async def test_another_provider_cannot_answer_in_the_place_of_ours(way: Way) -> None:
    url = await way.goes("ann", "v" * 43)
    issuer = parse_qs(urlsplit(url).query)["iss"][0]
    assert issuer == way.provider.issuer
    told = await way.comes_back(url.replace("iss=http", "iss=https"))
    assert told["error"] == "invalid_grant"


async def test_who_does_not_agree_at_the_provider_is_told_so(way: Way) -> None:
    began = await way.begins("v" * 43)
    state = parse_qs(urlsplit(began.json()["url"]).query)["state"][0]
    url = f"{CALLBACK}?state={state}&error=access_denied&error_description=%3Cb%3E"
    assert await way.comes_back(url) == {"error": "access_denied", "state": "mine"}


@pytest.mark.parametrize(
    "onward",
    [
        "https://evil.example/",
        "http://evil.example:80/",
        "http://127.0.0.1/",
        "http://127.0.0.1.evil.example:80/",
        "http://127.0.0.1:80@evil.example/",
        "http://user@127.0.0.1:80/",
        "http://127.0.0.1:80/?next=https://evil.example",
        "http://127.0.0.1:80/#x",
        "http://127.0.0.1:80\\@evil.example/",
        "http://localhost:80/",
        "//evil.example/",
        "javascript:alert(1)",
        "http://127.0.0.1:80/\r\nset-cookie:x",
        "http://0x7f.1:80/",
        "",
    ],
)
async def test_a_browser_is_sent_to_its_own_machine_only(way: Way, onward: str) -> None:
    assert (await way.begins("v" * 43, return_to=onward)).status_code == 422


@pytest.mark.parametrize("told", [{"challenge": "short"}, {"state": "a b"}, {"state": "x" * 129}])
async def test_what_no_program_sends_is_refused(way: Way, told: dict[str, str]) -> None:
    assert (await way.begins("v" * 43, **told)).status_code == 422


async def test_a_page_of_another_site_begins_and_fetches_nothing(way: Way) -> None:
    foreign = {"origin": "https://evil.example", "host": "nimbi"}
    for path in ("/v1/openid", "/v1/openid/token", "/v1/openid/device"):
        answer = await way.client.post(path, json={}, headers=foreign)
        assert answer.status_code == 403


async def test_what_is_kept_meanwhile_tells_no_secret(way: Way) -> None:
    verifier = secrets.token_urlsafe(40)
    url = await way.goes("ann", verifier)
    state = parse_qs(urlsplit(url).query)["state"][0]
    told = await way.comes_back(url)
    async with way.broker.database.reading() as connection:
        rows = repr((await connection.exec_driver_sql("select * from sign_ins")).all())
    for secret in (verifier, state, told["code"]):
        assert secret not in rows


async def test_one_signs_in_on_another_device(way: Way) -> None:
    began = (await way.client.post("/v1/openid/device")).json()
    poll = {"device_code": began["device_code"]}
    assert (await way.client.post("/v1/openid/poll", json=poll)).status_code == 204
    browser = Browser("ann")
    browser.goes_to(began["whole_url"])
    browser.close()
    made = await way.client.post("/v1/openid/poll", json=poll)
    assert made.status_code == 201, made.text
    assert made.json()["token"]["user"] == (await way.user("ann")).id
    assert (await way.client.post("/v1/openid/poll", json=poll)).status_code == 401


async def test_a_server_without_a_provider_says_so(tmp_path: Path) -> None:
    clouds = Clouds(Registry({}), {}, tmp_path / "state")
    options = Options(
        database=f"sqlite:///{tmp_path}/nimbi.db",
        key_file=tmp_path / "key",
        environment={},
        polls=False,
    )
    async with (
        open_broker(options, clouds, Registry({})) as broker,
        client(NativeApp(broker), {}) as asked,
    ):
        assert (await asked.get("/v1/openid")).status_code == 404
        assert (await asked.post("/v1/openid/device")).status_code == 404
    await clouds.aclose()


async def test_the_server_tells_how_one_signs_in(way: Way) -> None:
    told = (await way.client.get("/v1/openid")).json()
    assert told == {"issuer": way.provider.issuer, "has_devices": True}
