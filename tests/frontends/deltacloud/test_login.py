import base64

import httpx
import pytest
from lxml import etree
from tests.frontends.deltacloud.conftest import Client, Serve
from tests.frontends.deltacloud.drivers import PLAIN

OPEN = [
    "/api",
    "/api/drivers",
    "/api/drivers/mock",
    "/api/hardware_profiles",
    "/api/instance_states",
]


@pytest.mark.parametrize("path", OPEN)
async def test_what_does_not_depend_on_the_cloud_needs_no_login(
    stranger: Client, path: str
) -> None:
    assert (await stranger("GET", path, "application/xml")).status_code == 200


async def test_a_missing_login_is_asked_for(stranger: Client) -> None:
    answer = await stranger("GET", "/api/instances", "application/xml")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Basic realm="mock-deltacloud@localhost"'
    assert etree.fromstring(answer.content).findtext("message") == "Unauthorized"


async def test_a_wrong_login_is_not_asked_for_again_but_in_a_browser(stranger: Client) -> None:
    wrong = httpx.BasicAuth("mockuser", "nope")
    answer = await stranger("GET", "/api/instances", "application/xml", auth=wrong)
    assert answer.status_code == 401
    assert "www-authenticate" not in answer.headers
    page = await stranger("GET", "/api/instances", "text/html", auth=wrong)
    assert page.status_code == 401
    assert "www-authenticate" in page.headers


async def test_a_list_is_refused_in_general_words_and_a_member_in_the_clouds(
    stranger: Client,
) -> None:
    wrong = httpx.BasicAuth("mockuser", "nope")
    listed = await stranger("GET", "/api/instances", "application/xml", auth=wrong)
    shown = await stranger("GET", "/api/instances/inst1", "application/xml", auth=wrong)
    assert etree.fromstring(listed.content).findtext("message") == "Unauthorized"
    assert etree.fromstring(shown.content).findtext("message") != "Unauthorized"


@pytest.mark.parametrize(
    "value",
    [
        b"Basic",
        b"Basic ",
        b"Basic !!!!",
        b"Basic bW9ja3VzZXI",
        b"Basic " + base64.b64encode(b"nocolon"),
        b"Basic " + base64.b64encode(b"\xff\xfe:x"),
        b"Basic " + base64.b64encode(b"mock\x00user:x"),
        b"Bearer mockuser:mockpassword",
        b"",
    ],
)
async def test_a_login_that_cannot_be_read_is_a_missing_one(stranger: Client, value: bytes) -> None:
    answer = await stranger(
        "GET", "/api/instances", "application/xml", headers={"authorization": value}
    )
    assert answer.status_code == 401
    assert "www-authenticate" in answer.headers


async def test_the_scheme_is_read_in_any_case(stranger: Client) -> None:
    value = b"bAsIc " + base64.b64encode(b"mockuser:mockpassword")
    answer = await stranger(
        "GET", "/api/instances", "application/xml", headers={"authorization": value}
    )
    assert answer.status_code == 200


async def test_the_login_of_the_server_counts_more_than_the_clients(serve: Serve) -> None:
    async with serve(credentials=("mockuser", "mockpassword")) as api:
        wrong = httpx.BasicAuth("mockuser", "nope")
        assert (await api("GET", "/api/instances", auth=wrong)).status_code == 200


async def test_a_missing_capability_is_told_without_a_login(serve: Serve) -> None:
    async with serve({"plain": PLAIN}, default="plain") as api:
        answer = await api("POST", "/api/firewalls", "application/xml", auth=None)
        assert answer.status_code == 412
        assert answer.headers["expect"] == "create_firewall"
        assert answer.text == "The required capability to execute this operation is missing"
        assert answer.headers["x-deltacloud-driver"] == "plain"


async def test_a_login_never_shows_in_an_error(stranger: Client) -> None:
    wrong = httpx.BasicAuth("mockuser", "sesame-open")
    for accept in ("application/xml", "application/json", "text/html"):
        answer = await stranger("GET", "/api/keys/none", accept, auth=wrong)
        assert answer.status_code == 401
        assert "sesame-open" not in answer.text


async def test_a_page_of_another_site_changes_nothing(api: Client) -> None:
    for foreign in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        answer = await api("POST", "/api/instances/inst1/stop", "text/html", headers=foreign)
        assert answer.status_code == 403
    shown = await api.json("GET", "/api/instances/inst1")
    assert shown["instance"]["state"] == "RUNNING"
    own = {"Origin": "http://h:3001"}
    answer = await api("POST", "/api/instances/inst1/stop", "text/html", headers=own)
    assert answer.status_code == 303
