"""Requests by HTTP: who may have a console, screenshots, logs, and what is refused."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.frontends.consoles.conftest import LOGIN, Serve, Site

from nimbi.driver.interface import UserAndPassword
from nimbi.frontends.consoles.answers import STATUS
from nimbi.model import errors


async def test_a_console_is_given_with_its_address_and_its_end(site: Site) -> None:
    told = await site.ticket(kind="vnc", expires=600)
    assert told["url"] == f"ws://{site.http.base_url.netloc.decode()}/consoles/{told['token']}"
    assert (told["instance_id"], told["kind"], len(told["token"])) == ("inst1", "vnc", 43)
    left = datetime.fromisoformat(told["expires_at"]) - datetime.now(UTC)
    assert timedelta(seconds=590) < left <= timedelta(seconds=600)


async def test_a_form_does_as_well_as_json(site: Site) -> None:
    form = {"instance_id": "inst2", "kind": "serial", "expires": "5", "driver": "mock"}
    answer = await site.http.post("/consoles", data=form)
    assert (answer.status_code, answer.json()["instance_id"]) == (201, "inst2")
    assert answer.headers["cache-control"] == "no-store"


async def test_behind_a_proxy_with_tls_the_address_is_of_that_kind(serve: Serve) -> None:
    async with serve() as site:
        headers = {"x-forwarded-proto": "https", "host": "cloud.example:444"}
        answer = await site.http.post("/consoles", json={"instance_id": "inst1"}, headers=headers)
    assert answer.json()["url"].startswith("wss://cloud.example:444/consoles/")


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({}, 422),
        ({"instance_id": 5}, 422),
        ({"instance_id": ""}, 422),
        ({"instance_id": "x" * 257}, 422),
        ({"instance_id": "a\nb"}, 422),
        ({"instance_id": "inst1", "kind": "telepathy"}, 422),
        ({"instance_id": "inst1", "expires": 0}, 422),
        ({"instance_id": "inst1", "expires": 601}, 422),
        ({"instance_id": "inst1", "expires": 1.5}, 422),
        ({"instance_id": "inst1", "shell": "please"}, 422),
        ({"instance_id": "inst1", "driver": "no-such-cloud"}, 422),
        ({"instance_id": "inst999"}, 404),
        ([1], 422),
    ],
)
async def test_what_cannot_be_is_refused(site: Site, asked: Any, status: int) -> None:
    answer = await site.http.post("/consoles", json=asked)
    assert answer.status_code == status
    assert set(answer.json()["error"]) == {"code", "message"}


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"\xff\xfe", "application/json", 422),
        (b"instance_id=%ff", "application/x-www-form-urlencoded", 422),
        (b"instance_id=inst1&instance_id=inst2", "application/x-www-form-urlencoded", 422),
        (b"&".join(b"a%d=1" % n for n in range(100)), "application/x-www-form-urlencoded", 422),
        (b"instance_id=inst1", "text/plain", 422),
        (b" " * 70_000, "application/json", 422),
    ],
)
async def test_a_body_that_is_none_is_refused(
    site: Site, content: bytes, kind: str, status: int
) -> None:
    answer = await site.http.post("/consoles", content=content, headers={"content-type": kind})
    assert answer.status_code == status, answer.text


@pytest.mark.parametrize("auth", [None, ("mockuser", "wrong"), ("", "")])
async def test_without_the_right_login_nothing_is_given(serve: Serve, auth: Any) -> None:
    async with serve(auth=auth) as site:
        post = await site.http.post("/consoles", json={"instance_id": "inst1"})
        screen = await site.http.get("/consoles/screenshot?instance_id=inst1")
        log = await site.http.get("/consoles/log?instance_id=inst1")
    for answer in (post, screen, log):
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Basic realm=")


async def test_a_login_that_cannot_be_decoded_is_wrong(serve: Serve) -> None:
    async with serve(auth=None) as site:
        headers = {"authorization": "Basic !!!"}
        answer = await site.http.post("/consoles", json={"instance_id": "inst1"}, headers=headers)
    assert answer.status_code == 401


async def test_a_server_with_a_login_of_its_own_asks_for_none(serve: Serve) -> None:
    async with serve(auth=None, credentials=("mockuser", "mockpassword")) as site:
        assert (await site.ticket())["instance_id"] == "inst1"


async def test_a_page_of_another_site_gets_no_console(site: Site) -> None:
    headers = {"origin": "https://elsewhere.example"}
    answer = await site.http.post("/consoles", json={"instance_id": "inst1"}, headers=headers)
    assert answer.status_code == 403


async def test_what_is_stopped_has_no_console(site: Site) -> None:
    async with site.clouds.use("mock", None, UserAndPassword(*LOGIN)) as cloud:
        await cloud.instances.stop("inst1")
    answer = await site.http.post("/consoles", json={"instance_id": "inst1"})
    assert answer.status_code == 409
    assert (await site.http.get("/consoles/screenshot?instance_id=inst1")).status_code == 409


async def test_a_screenshot_is_a_png_that_nobody_keeps(site: Site) -> None:
    answer = await site.http.get("/consoles/screenshot", params={"instance_id": "inst1"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert answer.content.startswith(b"\x89PNG")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


async def test_a_log_is_text(site: Site) -> None:
    answer = await site.http.get("/consoles/log", params={"instance_id": "inst1", "driver": "mock"})
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert "inst1 login:" in answer.text
    assert (await site.http.head("/consoles/log?instance_id=inst1")).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/consoles", 405),
        ("POST", "/consoles/screenshot", 405),
        ("GET", "/consoles/screenshot", 422),
        ("GET", "/consoles/screenshot?instance_id=no-such", 404),
        ("GET", "/consoles/" + "A" * 43, 426),
        ("GET", "/consoles/", 426),
        ("GET", "/elsewhere", 404),
    ],
)
async def test_other_requests_are_refused(site: Site, method: str, path: str, status: int) -> None:
    answer = await site.http.request(method, path)
    assert answer.status_code == status
    assert "A" * 43 not in answer.text


async def test_a_plain_request_burns_no_ticket(site: Site) -> None:
    told = await site.ticket()
    plain = told["url"].replace("ws:", "http:")
    assert (await site.http.get(plain)).status_code == 426
    async with await site.open(told["url"]) as console:
        assert await console.recv() == b"inst1 login: "


@pytest.mark.parametrize("host", ["", "a b", "x" * 300, "h:port", "evil/path"])
async def test_a_host_that_is_none_is_refused(site: Site, host: str) -> None:
    headers = {"host": host}
    answer = await site.http.post("/consoles", json={"instance_id": "inst1"}, headers=headers)
    assert answer.status_code == 400


def test_every_error_has_a_status() -> None:
    assert STATUS.keys() == {errors.CloudError, *errors.ERRORS}
