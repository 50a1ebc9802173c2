"""What people get: forms where there are any, and back to a page after each change."""

import re

import pytest
from tests.frontends.deltacloud.conftest import HOST, Client, Serve
from tests.frontends.deltacloud.drivers import PLAIN

FORMS = [
    "/api/instances/new?image_id=img1",
    "/api/images/new?instance_id=inst1",
    "/api/keys/new",
    "/api/buckets/new",
    "/api/buckets/bucket1/new_blob_form_d15cfd90",
    "/api/buckets/new/new_blob_form_d15cfd90",
    "/api/storage_volumes/new",
    "/api/storage_volumes/vol1/attach_instance",
    "/api/storage_snapshots/new",
    "/api/firewalls/new",
    "/api/firewalls/default/new_rule",
    "/api/load_balancers/new",
    "/api/networks/new",
    "/api/subnets/new",
    "/api/network_interfaces/new",
    "/api/addresses/192.168.0.1/associate",
    "/api/instances/inst1/run",
]


@pytest.mark.parametrize("path", FORMS)
async def test_a_form_is_a_page_and_nothing_else(api: Client, path: str) -> None:
    page = await api("GET", path, "text/html")
    assert page.status_code == 200
    assert page.text.startswith("<!DOCTYPE html>")
    assert "<form" in page.text
    for accept in ("application/xml", "application/json"):
        assert (await api("GET", path, accept)).status_code == 406


async def test_a_form_offers_what_the_cloud_has_and_takes_what_is_chosen(api: Client) -> None:
    page = (await api("GET", "/api/instances/new?image_id=img2", "text/html")).text
    for value in ("m1-large", "test-key", "us"):
        assert f'value="{value}"' in page
    assert '<option value="img2" selected>' in page


async def test_a_form_of_what_the_driver_cannot_do_is_refused(serve: Serve) -> None:
    async with serve({"plain": PLAIN}, default="plain") as api:
        answer = await api("GET", "/api/keys/new", "text/html")
        assert (answer.status_code, answer.headers["expect"]) == (412, "create_key")


async def test_pages_are_guarded(api: Client) -> None:
    page = await api("GET", "/api/instances", "text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.headers["x-content-type-options"] == "nosniff"
    document = await api("GET", "/api/instances", "application/xml")
    assert "content-security-policy" not in document.headers


@pytest.mark.parametrize(
    ("method", "path", "location"),
    [
        ("DELETE", "/api/keys/test-key", "/api/keys"),
        ("POST", "/api/keys/test-key?_method=delete", "/api/keys"),
        ("DELETE", "/api/buckets/bucket1/blob1", "/api/buckets/bucket1"),
        ("POST", "/api/instances/inst1/stop", "/api/instances/inst1"),
        ("POST", "/api;driver=mock/instances/inst1/stop", "/api;driver=mock/instances/inst1"),
        (
            "POST",
            "/api/addresses/192.168.0.1/associate?instance_id=inst1",
            "/api/addresses/192.168.0.1",
        ),
        (
            "POST",
            "/api/storage_volumes/vol1/attach?instance_id=inst1&device=",
            "/api/storage_volumes/vol1",
        ),
        ("POST", "/api/storage_volumes/vol3/detach", "/api/storage_volumes/vol3"),
    ],
)
async def test_people_are_led_back_after_a_change(
    api: Client, method: str, path: str, location: str
) -> None:
    answer = await api(method, path, "text/html")
    assert (answer.status_code, answer.content) == (303, b"")
    assert answer.headers["location"] == HOST + location
    followed = await api("GET", answer.headers["location"], "text/html")
    assert followed.status_code == 200


async def test_people_see_what_they_made(api: Client) -> None:
    page = await api("POST", "/api/keys", "text/html", data={"name": "mine"})
    assert page.status_code == 201
    assert "BEGIN RSA PRIVATE KEY" in page.text


async def test_what_a_command_printed_is_shown(api: Client) -> None:
    page = await api(
        "POST", "/api/instances/inst1/run", "text/html", data={"cmd": "<ls>", "password": "x"}
    )
    assert page.status_code == 200
    assert "&lt;ls&gt;" in page.text
    assert "<ls>" not in page.text


async def test_every_link_of_a_walk_through_the_pages_leads_somewhere(api: Client) -> None:
    seen, todo = set(), ["/api"]
    while todo and len(seen) < 150:
        path = todo.pop()
        if path in seen:
            continue
        seen.add(path)
        page = await api("GET", path, "text/html")
        assert page.status_code == 200, path
        if page.headers["content-type"] == "text/html":
            links = re.findall(r'(?:href|src)="(/[^"#]*)"', page.text)
            todo += [link.replace("&amp;", "&") for link in links]
    assert len(seen) > 60
