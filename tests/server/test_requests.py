"""Around each request: an id, a log line, numbers, and an answer when the app fails."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from nimbi.gateway.audit import REQUEST_ID
from nimbi.observability.ledger import AccessLog, Ledger, shown_path
from nimbi.observability.metrics import Metrics
from nimbi.observability.requests import SANE_ID, Observed, Receive, Scope, Send
from nimbi.observability.sink import Sink


async def echo(scope: Scope, _receive: Receive, send: Send) -> None:
    """Answer with the request id that the app sees; fail on /fail, before or after the start."""
    if scope["path"] == "/fail":
        raise ValueError("password=hunter2")
    headers = [(b"x-deltacloud-driver", b"mock")]
    await send({"type": "http.response.start", "status": 201, "headers": headers})
    if scope["path"] == "/break":
        raise ValueError("password=hunter2")
    await send({"type": "http.response.body", "body": (REQUEST_ID.get() or "").encode()})


class Site:
    """An observed app and what it logged."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.metrics = Metrics()
        access = AccessLog(Sink(str(file)), "json")
        self.ledger = Ledger(self.metrics, access, lambda _path: "front")
        app = Observed(echo, self.ledger)
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app), base_url="http://localhost"
        )

    def lines(self) -> list[dict[str, Any]]:
        self.ledger.flush()
        return [json.loads(line) for line in self.file.read_text().splitlines()]

    def numbers(self) -> str:
        self.ledger.flush()
        return self.metrics.render().decode()


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    made = Site(tmp_path / "log")
    yield made
    await made.client.aclose()
    made.ledger.flush()


async def test_a_request_gets_an_id_that_app_answer_and_log_agree_on(site: Site) -> None:
    answer = await site.client.get("/")
    id = answer.headers["x-request-id"]
    assert answer.text == id == site.lines()[0]["request_id"]


async def test_each_request_gets_another_id(site: Site) -> None:
    answers = [await site.client.get("/") for _ in range(3)]
    assert len({answer.headers["x-request-id"] for answer in answers}) == 3


async def test_a_sane_id_of_the_caller_is_kept(site: Site) -> None:
    answer = await site.client.get("/", headers={"X-Request-Id": "trace-1.2:3"})
    assert answer.headers["x-request-id"] == "trace-1.2:3"


@pytest.mark.parametrize("id", ["", "a b", "a" * 65, 'a"b', "<b>"])
def test_what_could_hurt_is_not_sane(id: str) -> None:
    assert not SANE_ID.fullmatch(id.encode())


async def test_an_odd_id_of_the_caller_is_replaced(site: Site) -> None:
    answer = await site.client.get("/", headers={"X-Request-Id": "a b<script>"})
    assert "script" not in answer.headers["x-request-id"]


async def test_the_log_line_tells_what_was_done_and_by_which_driver(site: Site) -> None:
    await site.client.post("/a%20b?format=xml")
    (line,) = site.lines()
    assert {line.pop(key) is not None for key in ("at", "seconds", "request_id", "client")} == {
        True
    }
    assert line == {
        "level": "info",
        "event": "request",
        "method": "POST",
        "path": "/a%20b?format=xml",
        "status": 201,
        "frontend": "front",
        "driver": "mock",
    }


async def test_a_failing_app_is_a_500_that_tells_nothing(site: Site) -> None:
    answer = await site.client.get("/fail")
    assert answer.status_code == 500
    assert answer.headers["x-request-id"] in answer.text
    assert "hunter2" not in answer.text
    assert site.lines()[0]["status"] == 500


async def test_an_answer_that_broke_off_is_logged_as_it_began(site: Site) -> None:
    with pytest.raises(AssertionError):
        await site.client.get("/break")
    assert site.lines()[0]["status"] == 201


async def test_requests_are_counted_by_front_end_method_and_status(site: Site) -> None:
    await site.client.get("/")
    await site.client.get("/fail")
    text = site.numbers()
    assert 'nimbi_http_requests_total{frontend="front",method="GET",status="201"} 1.0' in text
    assert 'nimbi_http_requests_total{frontend="front",method="GET",status="500"} 1.0' in text
    assert 'nimbi_http_request_seconds_count{frontend="front"} 2.0' in text
    assert "process_resident_memory_bytes" in text


async def test_methods_that_strangers_make_up_are_one_number(site: Site) -> None:
    for number in range(5):
        await site.client.request(f"MADE{number}", "/")
    text = site.numbers()
    assert 'method="other",status="201"} 5.0' in text
    assert "MADE" not in text


def path_shown(raw: bytes, query: bytes = b"") -> str:
    return shown_path({"path": "/", "raw_path": raw, "query_string": query})


@pytest.mark.parametrize(
    ("raw", "query", "shown"),
    [
        (b"/api/instances", b"", "/api/instances"),
        (b"/api", b"password=hunter2&format=json&flag", "/api?password=\u2026&format=json&flag"),
        (b"/api;driver=ec2;password=hunter2/x", b"", "/api;driver=ec2;password=\u2026/x"),
        (b"/a%0Ab", b"", "/a%0Ab"),
        (b"/consoles/tOken-_1", b"", "/consoles/\u2026"),
        (b"/consoles/a/b;c", b"x=1", "/consoles/\u2026?x=\u2026"),
        (b"//Consoles//token", b"", "//Consoles//\u2026"),
        (b"/consoles/screenshot", b"instance_id=i", "/consoles/screenshot?instance_id=\u2026"),
        (b"/consoles/logbook", b"", "/consoles/\u2026"),
        (b"/a\nb\x1bc", b"", r"/a\nb\x1bc"),
    ],
)
def test_a_path_is_shown_on_one_line_without_values(raw: bytes, query: bytes, shown: str) -> None:
    assert path_shown(raw, query) == shown


def test_a_long_path_is_cut() -> None:
    assert len(path_shown(b"/" + b"a" * 100_000, b"b" * 100_000)) < 600
