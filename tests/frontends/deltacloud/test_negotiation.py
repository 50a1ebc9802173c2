import pytest
from tests.frontends.deltacloud.conftest import Client

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("application/xml", "application/xml"),
        ("application/json", "application/json"),
        ("text/html", "text/html"),
        ("", "application/xml"),
        ("*/*", "text/html"),
        ("*/*; q=0.5, application/xml", "application/xml"),
        (BROWSER, "text/html"),
        ("application/xml;q=0.2, application/json;q=0.9", "application/json"),
    ],
)
async def test_the_accept_header_chooses_the_format(
    api: Client, accept: str, content_type: str
) -> None:
    answer = await api("GET", "/api/realms", accept)
    assert answer.headers["content-type"] == content_type


async def test_no_accept_header_means_xml(api: Client) -> None:
    request = api.http.build_request("GET", "/api/realms")
    request.headers.pop("accept", None)
    answer = await api.http.send(request)
    assert answer.headers["content-type"] == "application/xml"


@pytest.mark.parametrize(
    ("format", "content_type"),
    [
        ("xml", "application/xml"),
        ("json", "application/json"),
        ("html", "text/html"),
    ],
)
async def test_the_parameter_format_beats_the_header(
    api: Client, format: str, content_type: str
) -> None:
    for accept in ("application/xml", "application/json", "text/html", "application/unknown"):
        answer = await api("GET", f"/api/realms?format={format}", accept)
        assert answer.headers["content-type"] == content_type


@pytest.mark.parametrize("path", ["/api", "/api/realms", "/api/instances/inst1"])
@pytest.mark.parametrize(
    ("query", "accept"),
    [
        ("?format=png", "application/xml"),
        ("?format=", "application/xml"),
        ("?format=yaml", "application/xml"),
        ("", "application/unknown"),
    ],
)
async def test_another_format_is_not_acceptable_before_any_login(
    stranger: Client, path: str, query: str, accept: str
) -> None:
    answer = await stranger("GET", path + query, accept)
    assert (answer.status_code, answer.content) == (406, b"")
    assert "server" not in answer.headers
    assert not [name for name in answer.headers if name.startswith("x-deltacloud")]


async def test_the_content_type_has_no_charset(api: Client) -> None:
    for accept in ("application/xml", "application/json", "text/html"):
        assert (await api("GET", "/api", accept)).headers["content-type"] == accept


async def test_a_page_that_is_html_only_is_not_acceptable_as_xml(api: Client) -> None:
    assert (await api("GET", "/api/keys/new", "application/xml")).status_code == 406
    assert (await api("GET", "/api/keys/new", BROWSER)).status_code == 200


async def test_a_path_that_does_not_exist_is_not_found_whatever_is_accepted(api: Client) -> None:
    for accept in ("application/xml", "application/json", "text/html"):
        answer = await api("GET", "/api/nope", accept)
        assert (answer.status_code, answer.text) == (404, "<h1>Not Found</h1>")
        assert answer.headers["content-type"] == "text/html"
        assert answer.headers["x-cascade"] == "pass"


# These documents have no declaration.
BARE = ["/api", "/api/drivers", "/api/drivers/mock", "/api/instance_states"]


@pytest.mark.parametrize("path", [*BARE, "/api/realms", "/api/instances/inst1", "/api/keys"])
async def test_xml_is_declared_where_the_original_declares_it(api: Client, path: str) -> None:
    text = (await api("GET", path, "application/xml")).text
    declared = text.startswith("<?xml version='1.0' encoding='utf-8' ?>\n<")
    assert declared == (path not in BARE)
