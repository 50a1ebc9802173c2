"""Checks, objectives, alerts and silences, over HTTP."""

import pytest
from tests.frontends.native.conftest import Api
from tests.frontends.native.test_operations import kind_of

from nimbi.model.tokens import Scope

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHECKS, OBJECTIVES, SILENCES = "/v1/checks", "/v1/objectives", "/v1/silences"
CHECK = {
    "name": "web",
    "account": "mock",
    "instance_id": "inst0",
    "probe": {"kind": "http", "port": 8080, "path": "/healthz"},
}


async def test_a_check_is_made_shown_switched_and_removed(api: Api) -> None:
    made = await api.ask("POST", CHECKS, CHECK)
    where = made.headers["location"]
    assert (made.status_code, where) == (201, f"{CHECKS}/{made.json()['id']}")
    assert made.json()["state"] == "unknown"
    assert (await api.ask("GET", where)).json() == made.json()
    listed = (await api.ask("GET", f"{CHECKS}?account=mock")).json()["items"]
    assert [one["id"] for one in listed] == [made.json()["id"]]
    assert (await api.ask("GET", f"{CHECKS}?account=other")).json() == {"items": []}
    assert (await api.ask("POST", f"{where}/disable")).json()["is_enabled"] is False
    assert (await api.ask("POST", f"{where}/enable")).json()["is_enabled"] is True
    assert (await api.ask("GET", f"{where}/actions")).json() == {"items": []}
    assert (await api.ask("DELETE", where)).status_code == 204
    for method, path in (("GET", where), ("DELETE", where), ("POST", f"{where}/enable")):
        assert kind_of(await api.ask(method, path)) == "not_found"


async def test_the_same_request_again_makes_one_check(api: Api) -> None:
    first = await api.keyed("one-check", CHECKS, CHECK)
    again = await api.keyed("one-check", CHECKS, CHECK)
    assert first.json()["id"] == again.json()["id"]
    await api.ask("DELETE", first.headers["location"])


@pytest.mark.parametrize(
    "more",
    [
        {"probe": {"kind": "tcp"}},
        {"probe": {"kind": "http", "host": "a\r\nb"}},
        {"probe": {"kind": "http", "path": "no/slash"}},
        {"probe": {"kind": "http", "path": "/a b"}},
        {"probe": {"kind": "http", "url": "http://169.254.169.254/"}},
        {"probe": {"kind": "icmp"}},
        {"every_s": 1},
        {"every_s": 10**30},
        {"name": ""},
        {"emails": ["ann@example.com"]},
        {"action": {"kind": "evacuate"}},
        {"instance_id": None},
        {"surprise": 1},
    ],
)
async def test_what_makes_no_sense_is_422(api: Api, more: dict[str, object]) -> None:
    answer = await api.ask("POST", CHECKS, CHECK | more)
    assert (answer.status_code, kind_of(answer)) == (422, "invalid")


async def test_an_objective_tells_how_it_stands(api: Api) -> None:
    check = (await api.ask("POST", CHECKS, CHECK)).json()["id"]
    made = await api.ask("POST", OBJECTIVES, {"name": "shop", "checks": [check]})
    where = made.headers["location"]
    assert made.json()["target_percent"] == 99.9
    shown = (await api.ask("GET", where)).json()
    assert shown["standing"]["good"] == 0
    assert (await api.ask("GET", OBJECTIVES)).json()["items"] == [shown]
    for wrong in ({"checks": []}, {"target_percent": 100}, {"window_days": 0}):
        told = {"name": "x", "checks": [check]} | wrong
        assert (await api.ask("POST", OBJECTIVES, told)).status_code == 422
    assert (await api.ask("DELETE", where)).status_code == 204
    assert kind_of(await api.ask("GET", where)) == "not_found"
    await api.ask("DELETE", f"{CHECKS}/{check}")


async def test_alerts_and_silences_are_listed(api: Api) -> None:
    listed = await api.ask("GET", "/v1/alerts?state=firing,pending&limit=5&source=ck")
    assert listed.json() == {"items": []}
    assert (await api.ask("GET", "/v1/alerts?state=odd")).status_code == 400
    assert kind_of(await api.ask("GET", "/v1/alerts/al_none")) == "not_found"
    told = {"ends_at": "2999-01-01T00:00:00Z", "account": "mock", "comment": "we move"}
    made = await api.ask("POST", SILENCES, told)
    assert (made.status_code, made.json()["by"]) == (201, "test")
    assert (await api.ask("GET", SILENCES)).json()["items"] == [made.json()]
    for wrong in ("2001-01-01T00:00:00Z", "2999-01-01T00:00:00", "soon"):
        assert (await api.ask("POST", SILENCES, {"ends_at": wrong})).status_code == 422
    assert (await api.ask("DELETE", made.headers["location"])).status_code == 204


async def test_a_reader_sees_and_changes_nothing(api: Api) -> None:
    made = await api.ask("POST", CHECKS, CHECK)
    where = made.headers["location"]
    async with await api.reader(Scope("read", "*")) as reader:
        assert (await reader.get(where)).json() == made.json()
        for method, path in (
            ("POST", CHECKS),
            ("POST", f"{where}/disable"),
            ("DELETE", where),
            ("POST", SILENCES),
            ("POST", OBJECTIVES),
        ):
            body = CHECK if path == CHECKS else {"ends_at": "2999-01-01T00:00:00Z"}
            body = {"name": "x", "checks": ["y"]} if path == OBJECTIVES else body
            answer = await reader.request(method, path, json=body if method == "POST" else None)
            assert answer.status_code == 403, (method, path, answer.text)
    async with await api.reader(Scope("*", "other")) as stranger:
        assert (await stranger.get(CHECKS)).json() == {"items": []}
        assert (await stranger.get(where)).status_code == 404
    await api.ask("DELETE", where)
