"""What the API tells of itself: the OpenAPI document, and pages that need no internet."""

import re
from collections import Counter
from typing import Any

import pytest
from tests.frontends.native.conftest import Api, client

from nimbi.api.routes import ROUTES as OPERATIONS
from nimbi.frontends.native.openapi.common import COMMON
from nimbi.frontends.native.openapi.document import document
from nimbi.frontends.native.openapi.naming import operation_id
from nimbi.frontends.native.problems import KINDS
from nimbi.frontends.native.routes import ROUTES

pytestmark = pytest.mark.asyncio(loop_scope="module")

DOCUMENT = document(ROUTES)
PAGES = ["/v1/docs", "/v1/docs/instances", "/v1/docs/accounts", "/v1/docs/types", "/v1/problems"]
LINK = re.compile(r'(?:href|src)="([^"#]*)(?:#([^"]*))?"')


def refs(value: Any) -> set[str]:
    """Return what a document refers to, at any depth."""
    if isinstance(value, dict):
        own = {value["$ref"]} if "$ref" in value else set()
        return own.union(*(refs(member) for member in value.values()))
    return set[str]().union(*(refs(one) for one in value)) if isinstance(value, list) else set()


async def test_every_operation_is_in_the_document_once() -> None:
    ids = Counter(operation_id(route) for route in ROUTES)
    assert [id for id, count in ids.items() if count > 1] == []
    assert set(OPERATIONS) <= set(ids)


async def test_all_that_the_document_refers_to_is_there() -> None:
    for ref in refs(DOCUMENT):
        place: Any = DOCUMENT
        for part in ref.removeprefix("#/").split("/"):
            place = place[part]


async def test_every_type_has_a_name_of_its_own() -> None:
    # Two structs of one name would be told apart by their modules, with dots.
    assert [n for n in DOCUMENT["components"]["schemas"] if not n.isalnum()] == []


async def test_every_parameter_is_explained() -> None:
    untold = {
        parameter["name"]
        for methods in DOCUMENT["paths"].values()
        for operation in methods.values()
        for parameter in operation["parameters"]
        if parameter["in"] != "path" and not parameter.get("description")
    }
    own = {value.name for route in OPERATIONS.values() for value in route.query}
    assert untold - own == set()
    assert {"wait", "dry_run", "deadline", "fresh", "marker"} <= set(COMMON)


async def test_every_operation_says_what_it_does() -> None:
    assert [route.template for route in ROUTES if not route.text.endswith(".")] == []


async def test_wishes_have_no_token_and_things_have_an_account() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    assert "token" not in schemas["NewInstance"]["properties"]
    assert schemas["NewInstance"]["additionalProperties"] is False
    assert "account" in schemas["Instance"]["required"]
    assert "extra" not in schemas["Instance"]["properties"]
    assert schemas["Instance"]["properties"]["created_at"]["anyOf"][0]["format"] == "date-time"


async def test_the_document_and_the_pages_need_no_token(api: Api) -> None:
    async with client(api.app, {}) as stranger:
        told = (await stranger.get("/v1/openapi.json")).json()
        assert told["servers"] == [{"url": "http://nimbi"}]
        assert told["openapi"] == "3.1.0"
        assert {(await stranger.get(page)).status_code for page in PAGES} == {200}


@pytest.mark.parametrize("page", PAGES)
async def test_a_page_leads_only_to_what_is_there(api: Api, page: str) -> None:
    answer = await api.ask("GET", page)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "<script" not in answer.text
    links = set(LINK.findall(answer.text))
    for there in {link for link, _ in links}:
        assert there.startswith("/v1/"), there
        found = await api.ask("GET", there)
        assert found.status_code == 200, there
        anchors = {anchor for link, anchor in links if link == there and anchor}
        assert [a for a in anchors if f'id="{a}"' not in found.text] == []


async def test_every_kind_of_problem_has_a_page(api: Api) -> None:
    for kind in KINDS:
        assert kind in (await api.ask("GET", f"/v1/problems/{kind}")).text
    assert (await api.ask("GET", "/v1/problems/none")).status_code == 404
    assert (await api.ask("GET", "/v1/docs/none")).status_code == 404


async def test_pages_are_served_below_a_mount_too(api: Api) -> None:
    async def mounted(scope: Any, receive: Any, send: Any) -> None:
        below = {"root_path": "/nimbi", "raw_path": b"/nimbi" + scope["raw_path"]}
        await api.app(scope | below, receive, send)

    async with client(mounted, {}) as stranger:
        page = (await stranger.get("/v1/docs/keys")).text
        told = (await stranger.get("/v1/openapi.json")).json()
    assert all(link.startswith("/nimbi/v1/") for link, _ in LINK.findall(page))
    assert told["servers"] == [{"url": "http://nimbi/nimbi"}]
