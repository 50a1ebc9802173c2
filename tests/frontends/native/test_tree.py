"""From paths to routes: names before ids, ids of any text, and methods that are told."""

import pytest

from nimbi.frontends.native.answer import Answer, nothing
from nimbi.frontends.native.exchange import Exchange
from nimbi.frontends.native.problems import Problem
from nimbi.frontends.native.route import Route
from nimbi.frontends.native.routes import ROUTES
from nimbi.frontends.native.tree import MOST_KNOWN, Tree


async def _handler(_exchange: Exchange) -> Answer:
    return nothing()


def route(method: str, template: str) -> Route:
    return Route(method, template, _handler, None)


TREE = Tree(
    [
        route("POST", "/v1/things/new"),
        route("GET", "/v1/things/{id}"),
        route("GET", "/v1/things/{id}/parts/{part}"),
        route("POST", "/v1/{kind}/{id}/go"),
    ]
)


PART = {"id": "a/b", "part": "é"}


@pytest.mark.parametrize(
    ("method", "path", "template", "arguments"),
    [
        ("POST", b"/v1/things/new", "/v1/things/new", {}),
        # The name of an operation is an id like others where the operation does not answer.
        ("GET", b"/v1/things/new", "/v1/things/{id}", {"id": "new"}),
        ("HEAD", b"/v1/things/a", "/v1/things/{id}", {"id": "a"}),
        ("GET", b"/v1/things/a%2Fb/parts/%C3%A9", "/v1/things/{id}/parts/{part}", PART),
        ("POST", b"/v1/things/a/go", "/v1/{kind}/{id}/go", {"kind": "things", "id": "a"}),
        ("GET", b"/v1/things/..", "/v1/things/{id}", {"id": ".."}),
        ("GET", b"/v1/things/%7Bid%7D", "/v1/things/{id}", {"id": "{id}"}),
    ],
)
def test_a_path_leads_to_its_route(
    method: str, path: bytes, template: str, arguments: dict[str, str]
) -> None:
    for _ in range(2):
        found = TREE.find(method, path)
        assert found.route.template == template
        assert found.arguments == arguments


@pytest.mark.parametrize("path", [b"/", b"/v1", b"/v1/things/", b"/v1//a", b"/v1/things/a/b/c/d"])
def test_a_path_that_nobody_has_is_no_place(path: bytes) -> None:
    with pytest.raises(Problem) as raised:
        TREE.find("GET", path)
    assert raised.value.kind == "no_such_place"


def test_another_method_is_told_which_there_are() -> None:
    with pytest.raises(Problem) as raised:
        TREE.find("PUT", b"/v1/things/new")
    assert raised.value.headers == ((b"allow", b"GET, HEAD, OPTIONS, POST"),)


def test_what_is_remembered_of_paths_has_a_bound() -> None:
    tree = Tree([route("GET", "/v1/{id}")])
    for number in range(2 * MOST_KNOWN):
        tree.find("GET", b"/v1/%d" % number)
    assert len(tree._known) <= MOST_KNOWN


def test_two_routes_of_one_place_are_an_error() -> None:
    with pytest.raises(ValueError, match="two routes"):
        Tree([route("GET", "/v1/{a}"), route("GET", "/v1/{b}")])


def test_all_routes_have_a_line_for_people_and_a_right_that_they_need() -> None:
    for one in ROUTES:
        assert one.text.endswith("."), one.template
        assert one.is_open or one.operation or not one.opens_cloud, one.template
