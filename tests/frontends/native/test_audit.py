"""The audit over HTTP: what is written down, who sees it, and how it leaves."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from tests.frontends.native.conftest import Api

from nimbi.broker.access import ADMIN
from nimbi.model.audit import AuditFilter
from nimbi.model.tokens import Scope

pytestmark = pytest.mark.asyncio(loop_scope="module")

PLACE = "/v1/audit"


async def newest(api: Api, count: int = 1, **query: Any) -> list[dict[str, Any]]:
    answer = await api.client.get(PLACE, params={"limit": count, **query})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def last_seq(api: Api) -> int:
    """Return the number of the newest entry, 0 before the first."""
    return next((int(entry["seq"]) for entry in await newest(api)), 0)


async def test_a_change_is_written_down_before_and_after(api: Api) -> None:
    made = await api.ask("POST", "/v1/tokens", {"name": "for ci"})
    id = made.json()["token"]["id"]
    ended, begun = await newest(api, 2, all="true")
    assert (begun["phase"], ended["phase"], ended["began"]) == ("begun", "ended", begun["seq"])
    assert (begun["operation"], begun["result"]) == ("tokens.create", "open")
    assert (ended["result"], ended["thing"]) == ("ok", id)
    assert begun["details"] == {"name": "for ci"}
    assert begun["user"] == "admin"


async def test_what_has_ended_is_listed_once(api: Api) -> None:
    await api.ask("POST", "/v1/tokens", {"name": "a"})
    (found,) = await newest(api, 1)
    assert (found["phase"], found["operation"]) == ("ended", "tokens.create")
    assert [each["phase"] for each in await newest(api, 5, operation="tokens.create")] == [
        "ended"
    ] * len(await newest(api, 5, operation="tokens.create"))


async def test_a_change_that_fails_is_written_down_with_its_error(api: Api) -> None:
    assert (await api.ask("DELETE", "/v1/tokens/none")).status_code == 404
    (found,) = await newest(api)
    assert (found["operation"], found["thing"]) == ("tokens.destroy", "none")
    assert found["result"] == "not_found"


async def test_a_change_that_is_not_allowed_is_written_down(api: Api) -> None:
    async with await api.reader(Scope("read")) as reader:
        assert (await reader.delete("/v1/webhooks/w1")).status_code == 403
        refused = await reader.post("/v1/accounts/mock/instances", json={"image_id": "img1"})
        assert refused.status_code == 403
    launch, hook = await newest(api, 2)
    assert (hook["operation"], hook["thing"]) == ("webhooks.destroy", "w1")
    assert (hook["result"], hook["name"]) == ("forbidden", "test")
    assert (launch["operation"], launch["account"]) == ("instances.create", "mock")


async def test_reading_leaves_no_trace(api: Api) -> None:
    before = await last_seq(api)
    for path in ("/v1/tokens", "/v1/accounts", "/v1/instances", "/v1/accounts/mock/instances"):
        assert (await api.client.get(path)).status_code == 200
    assert await last_seq(api) == before


async def test_what_is_refused_before_it_is_understood_leaves_no_trace(api: Api) -> None:
    before = await last_seq(api)
    async with api.client_of("nimbi_wrong") as stranger:
        assert (await stranger.delete("/v1/tokens/x")).status_code == 401
    assert await last_seq(api) == before


async def test_secrets_of_a_body_never_get_in(api: Api) -> None:
    secret = "hunter2-of-this-test"
    await api.ask(
        "POST",
        "/v1/accounts",
        {
            "id": "sealed",
            "driver": "mock",
            "credentials": {"user": "mockuser", "password": secret},
            "tags": {"note": secret},
        },
    )
    await api.ask("POST", "/v1/webhooks", {"url": f"https://203.0.113.1/{secret}"})
    await api.ask("POST", "/v1/login", {"user": secret, "password": secret})
    exported = (await api.client.get(f"{PLACE}/export")).text
    assert "sealed" in exported
    assert secret not in exported


async def test_signing_in_is_written_down_and_so_is_failing_to(api: Api) -> None:
    await api.broker.people.set_admin_password("correct horse battery")
    good = {"user": "admin", "password": "correct horse battery"}
    assert (await api.ask("POST", "/v1/login", good)).status_code == 201
    (found,) = await newest(api)
    assert (found["operation"], found["result"], found["user"]) == ("login.create", "ok", "admin")
    assert (await api.ask("POST", "/v1/login", {**good, "password": "no"})).status_code == 401
    (found,) = await newest(api)
    assert (found["operation"], found["result"]) == ("login.create", "unauthorized")
    assert found["user"] == ""


async def test_a_request_that_comes_again_is_done_and_written_down_once(api: Api) -> None:
    first = await api.keyed("again-1", "/v1/tokens", {"name": "once"})
    seq = (await newest(api))[0]["seq"]
    again = await api.keyed("again-1", "/v1/tokens", {"name": "once"})
    assert first.json() == again.json()
    assert (await newest(api))[0]["seq"] == seq


async def test_filters_and_pages(api: Api) -> None:
    for name in ("one", "two", "three"):
        await api.ask("POST", "/v1/tokens", {"name": name})
    first = (await api.client.get(PLACE, params={"limit": 2, "operation": "tokens.*"})).json()
    rest = (
        await api.client.get(
            PLACE, params={"limit": 2, "operation": "tokens.*", "before": first["next"]}
        )
    ).json()
    seqs = [each["seq"] for each in [*first["items"], *rest["items"]]]
    assert seqs == sorted(seqs, reverse=True)
    onward = (await api.client.get(PLACE, params={"after": seqs[-1], "limit": 1})).json()
    assert onward["items"][0]["seq"] > seqs[-1]
    assert await newest(api, user="nobody") == []
    future = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    assert await newest(api, since=future) == []
    assert len(await newest(api, until=future)) == 1


async def test_wrong_wishes_are_refused(api: Api) -> None:
    for query in ("since=yesterday", "since=2030-01-01T00:00:00", "after=1&before=2", "limit=0"):
        assert (await api.client.get(f"{PLACE}?{query}")).status_code == 400, query
    assert (await api.client.get(f"{PLACE}?actor=x")).status_code == 400
    assert (await api.client.get(f"{PLACE}/export?form=xml")).status_code == 400
    assert (await api.client.get(f"{PLACE}/verify?expect=1")).status_code == 422
    assert (await api.client.get(f"{PLACE}?after={10**30}")).status_code == 400


async def test_an_export_as_cloud_events_says_what_their_specification_asks_for(api: Api) -> None:
    await api.ask("DELETE", "/v1/tokens/none")
    answer = await api.client.get(f"{PLACE}/export", params={"form": "cloudevents"})
    assert answer.headers["content-type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert lines
    for event in lines:
        assert event["specversion"] == "1.0"
        assert event["source"] == PLACE
        assert event["id"] == str(event["data"]["seq"])
        assert event["type"].startswith("nimbi.audit.")
        assert msgspec.convert(event["time"], datetime).tzinfo is not None
    assert len({event["id"] for event in lines}) == len(lines)


async def test_the_audit_verifies_itself_and_an_expected_head(api: Api) -> None:
    await api.ask("DELETE", "/v1/tokens/none")
    report = (await api.client.get(f"{PLACE}/verify")).json()
    assert (report["is_whole"], report["faults"]) == (True, [])
    await api.ask("DELETE", "/v1/tokens/none")
    again = await api.client.get(f"{PLACE}/verify", params={"expect": report["head"]})
    assert again.json()["is_whole"]
    other = report["head"].split(":")[0] + ":" + "0" * 64
    broken = await api.client.get(f"{PLACE}/verify", params={"expect": other})
    assert not broken.json()["is_whole"]


async def test_what_happened_just_now_is_removed_by_nobody(api: Api) -> None:
    young = (datetime.now(UTC) - timedelta(days=29)).isoformat()
    assert (await api.ask("POST", f"{PLACE}/prune", {"before": young})).status_code == 422
    old = (datetime.now(UTC) - timedelta(days=31)).isoformat()
    assert (await api.ask("POST", f"{PLACE}/prune", {"before": old})).json() == {"removed": 0}


async def test_an_auditor_sees_their_tenant_and_those_below_only(api: Api) -> None:
    def caller(*path: str) -> Any:
        return msgspec.structs.replace(ADMIN, user=path[-1], tenant=path[-1], path=path)

    audit = api.broker.audit
    for path in (("root", "d1"), ("root", "d1", "p1"), ("root", "d10"), ("root", "d2", "p2")):
        await audit.told(caller(*path), "things.touch")
    await audit.told(caller("root"), "things.touch", owners=("root", "d1", "p1"))

    async def seen(*path: str) -> list[str]:
        wish = AuditFilter(operation="things.touch", below=path)
        return [each.user async for each in audit.each(wish)]

    assert await seen("root", "d1") == ["d1", "p1", "root"]
    assert await seen("root", "d1", "p1") == ["p1", "root"]
    assert await seen("root", "d2") == ["p2"]
    assert await seen("root") == ["d1", "p1", "d10", "p2", "root"]


async def test_following_tells_entries_as_they_are_written(api: Api) -> None:
    audit = api.broker.audit
    followed = audit.follow(
        AuditFilter(operation="things.follow"), await audit.newest(), heartbeat_s=30
    )
    await audit.told(ADMIN, "things.other")
    await audit.told(ADMIN, "things.follow", "ok", thing="t1")
    entry = await anext(followed)
    assert entry is not None
    assert entry.thing == "t1"
    await followed.aclose()
