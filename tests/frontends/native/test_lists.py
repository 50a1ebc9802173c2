"""Lists over all accounts: what each gave, in pages and in lines."""

import json

import pytest
from tests.frontends.native.conftest import Api
from tests.frontends.native.serving import LOGIN
from tests.frontends.native.test_operations import kind_of

from nimbi.model.tokens import Scope

pytestmark = pytest.mark.asyncio(loop_scope="module")

LINES = "application/x-ndjson"


async def test_a_list_over_all_accounts_tells_what_each_gave(api: Api) -> None:
    wrong = {"id": "wrong", "driver": "mock", "credentials": LOGIN | {"password": "x"}}
    await api.ask("POST", "/v1/accounts?test=false", wrong)
    answer = await api.ask("GET", "/v1/instances?fresh=true")
    told = answer.json()
    assert answer.status_code == 200
    states = {part["account"]: part["state"] for part in told["accounts"]}
    assert states == {"mock": "ok", "wrong": "failed"}
    [failed] = [part for part in told["accounts"] if part["account"] == "wrong"]
    assert failed["problem"]["code"] == "unauthorized"
    assert {item["account"] for item in told["items"]} == {"mock"}


async def test_lines_tell_the_same_as_pages(api: Api) -> None:
    told = (await api.ask("GET", "/v1/volumes?account=mock&sort=id")).json()
    answer = await api.ask("GET", "/v1/volumes?account=mock&sort=id", accept=LINES)
    assert answer.headers["content-type"] == LINES
    *items, part = (json.loads(line) for line in answer.text.splitlines())
    assert items == told["items"]
    assert part["part"]["account"] == "mock"


async def test_pages_of_one_are_the_whole_list_in_order(api: Api) -> None:
    path = "/v1/images?account=mock&sort=-name"
    whole = (await api.ask("GET", path)).json()["items"]
    seen, next_ = [], ""
    while next_ is not None:
        page = (await api.ask("GET", f"{path}&limit=1{next_ and '&marker=' + next_}")).json()
        seen += page["items"]
        next_ = page["next"]
    assert seen == whole
    assert len(whole) > 1


async def test_filters_name_what_the_things_have(api: Api) -> None:
    new = {"image_id": "img1", "name": "sought", "tags": {"a": "b"}}
    made = (await api.ask("POST", "/v1/accounts/mock/instances", new)).json()
    for wish in ("name=sought", "name_prefix=soug", "tags.a=b", "tags[a]=b", f"id={made['id']}"):
        found = (await api.ask("GET", f"/v1/instances?account=mock&{wish}")).json()
        assert [item["id"] for item in found["items"]] == [made["id"]], wish


@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [
        ("/v1/instances?stat=running", 400, "bad_request"),
        ("/v1/keys?state=running", 400, "bad_request"),
        ("/v1/instances?account=", 400, "bad_request"),
        ("/v1/instances?account=none", 404, "not_found"),
        ("/v1/instances?limit=0", 400, "bad_request"),
        ("/v1/instances?sort=colour", 422, "invalid"),
        ("/v1/instances?marker=mine", 422, "invalid"),
        ("/v1/instances?deadline=never", 400, "bad_request"),
        ("/v1/blobs", 404, "no_such_place"),
    ],
)
async def test_a_wish_that_cannot_be_met_is_told(
    api: Api, path: str, status: int, kind: str
) -> None:
    for accept in ("*/*", LINES):
        answer = await api.ask("GET", path, accept=accept)
        if accept == LINES and "marker" in path:
            status, kind = 400, "bad_request"
        assert (answer.status_code, kind_of(answer)) == (status, kind)


async def test_a_form_that_a_list_does_not_have_is_refused(api: Api) -> None:
    answer = await api.ask("GET", "/v1/instances", accept="text/html")
    assert (answer.status_code, kind_of(answer)) == (406, "not_acceptable")


async def test_a_token_for_one_account_lists_that_one(api: Api) -> None:
    async with await api.reader(Scope(operations="read", account="mock")) as reader:
        told = (await reader.get("/v1/instances")).json()
        assert [part["account"] for part in told["accounts"]] == ["mock"]
        assert (await reader.get("/v1/instances?account=other")).status_code == 403
    async with await api.reader(Scope(operations="instances.start")) as starter:
        assert (await starter.get("/v1/instances")).status_code == 403
