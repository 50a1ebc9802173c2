"""Accounts, tokens and the login, over HTTP."""

import pytest
from tests.frontends.native.conftest import Api
from tests.frontends.native.serving import LOGIN
from tests.frontends.native.test_operations import kind_of

from nimbi.model.tokens import Scope

pytestmark = pytest.mark.asyncio(loop_scope="module")

ACCOUNTS = "/v1/accounts"


def new(id: str) -> dict[str, object]:
    return {"id": id, "driver": "mock", "credentials": LOGIN}


async def test_an_account_is_kept_shown_changed_and_forgotten(api: Api) -> None:
    made = await api.ask("POST", ACCOUNTS, new("first"))
    assert (made.status_code, made.headers["location"]) == (201, f"{ACCOUNTS}/first")
    assert made.json()["health"]["state"] == "ok"
    assert "mockpassword" not in made.text
    tag = made.headers["etag"]
    where = f"{ACCOUNTS}/first"
    assert (await api.ask("GET", where)).headers["etag"] == tag
    changed = await api.ask("PATCH", where, {"tags": {"team": "x"}}, if_match=tag)
    assert changed.json()["tags"] == {"team": "x"}
    late = await api.ask("PATCH", where, {"tags": {}}, if_match=tag)
    assert (late.status_code, kind_of(late)) == (412, "precondition_failed")
    assert (await api.ask("POST", f"{where}/disable")).json()["is_enabled"] is False
    assert kind_of(await api.ask("GET", f"{where}/instances")) == "conflict"
    assert (await api.ask("POST", f"{where}/enable")).json()["is_enabled"] is True
    assert (await api.ask("POST", f"{where}/test")).json()["health"]["state"] == "ok"
    assert (await api.ask("DELETE", where)).status_code == 204
    assert kind_of(await api.ask("GET", where)) == "not_found"


async def test_a_login_that_is_refused_is_not_kept(api: Api) -> None:
    wrong = new("wrong") | {"credentials": LOGIN | {"password": "x"}}
    answer = await api.ask("POST", ACCOUNTS, wrong)
    assert (answer.status_code, kind_of(answer)) == (422, "invalid")
    assert kind_of(await api.ask("GET", f"{ACCOUNTS}/wrong")) == "not_found"
    rehearsed = await api.ask("POST", f"{ACCOUNTS}?dry_run=true", new("dry"))
    assert (rehearsed.status_code, rehearsed.json()["id"]) == (200, "dry")
    assert kind_of(await api.ask("GET", f"{ACCOUNTS}/dry")) == "not_found"


async def test_what_depends_on_an_account_holds_it(api: Api) -> None:
    await api.ask("POST", ACCOUNTS, new("held"))
    made = await api.ask("POST", f"{ACCOUNTS}/held/instances", {"image_id": "img1"})
    assert made.status_code == 201
    held = await api.ask("DELETE", f"{ACCOUNTS}/held")
    assert (held.status_code, kind_of(held)) == (409, "conflict")
    assert (await api.ask("DELETE", f"{ACCOUNTS}/held?force=true")).status_code == 204


async def test_capabilities_tell_operations_and_features(api: Api) -> None:
    told = (await api.ask("GET", f"{ACCOUNTS}/mock/capabilities")).json()
    assert "instances.start" in told["operations"]
    assert "user_data" in told["features"]["instances"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        (new("all"), 422),
        (new("Ünder"), 422),
        (new("mock"), 409),
        (new("x") | {"driver": "none"}, 422),
        (new("x") | {"driver": "nimbi"}, 422),
        (new("x") | {"secret": "s"}, 422),
        (new("x") | {"own_login": True}, 422),
    ],
)
async def test_an_account_that_can_be_none_is_refused(
    api: Api, body: dict[str, object], status: int
) -> None:
    answer = await api.ask("POST", ACCOUNTS, body)
    assert answer.status_code == status
    assert "mockpassword" not in answer.text


async def test_accounts_are_shown_to_whom_they_concern(api: Api) -> None:
    async with await api.reader(Scope(account="mock")) as one:
        seen = [a["id"] for a in (await one.get(ACCOUNTS)).json()["items"]]
        assert seen == ["mock"]
        assert (await one.post(ACCOUNTS, json=new("other"))).status_code == 403
        assert (await one.get(f"{ACCOUNTS}/other")).status_code == 404


async def test_a_token_is_made_used_and_revoked(api: Api) -> None:
    made = await api.ask("POST", "/v1/tokens", {"name": "ci", "scopes": [{"operations": "read"}]})
    assert made.status_code == 201
    where = made.headers["location"]
    async with api.client_of(made.json()["secret"]) as own:
        assert (await own.get("/v1/login")).json()["name"] == "ci"
        wider = await own.post("/v1/tokens", json={"name": "more"})
        assert (wider.status_code, kind_of(wider)) == (403, "forbidden")
        assert (await api.ask("GET", where)).json()["name"] == "ci"
        assert (await api.ask("DELETE", where)).status_code == 204
        assert (await own.get("/v1/login")).status_code == 401


async def test_a_password_gives_a_token(api: Api) -> None:
    await api.broker.people.set_admin_password("correct horse battery")
    async with api.client_of("none") as plain:
        plain.headers.pop("authorization")
        login = {"user": "admin", "password": "correct horse battery"}
        made = await plain.post("/v1/login", json=login)
        assert made.status_code == 201
        wrong = await plain.post("/v1/login", json=login | {"password": "wrong"})
        assert (wrong.status_code, kind_of(wrong)) == (401, "unauthorized")
        foreign = await plain.post("/v1/login", json=login, headers={"origin": "http://evil"})
        assert foreign.status_code == 403
    async with api.client_of(made.json()["secret"]) as own:
        assert (await own.get(ACCOUNTS)).status_code == 200
