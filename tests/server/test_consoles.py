"""Consoles of a whole server: several workers, its log, its numbers, its end."""

import json
import re
import urllib.request
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

Serve = Callable[..., Any]

LOGIN = "Basic " + b64encode(b"mockuser:mockpassword").decode()


def ticket(url: str, **asked: Any) -> dict[str, Any]:
    """Return the answer to a request for a console of inst1."""
    body = json.dumps({"instance_id": "inst1"} | asked).encode()
    headers = {"authorization": LOGIN, "content-type": "application/json"}
    request = urllib.request.Request(f"{url}/consoles", body, headers)
    with urllib.request.urlopen(request, timeout=20) as answer:
        told: dict[str, Any] = json.loads(answer.read())
    return told


def numbers(url: str, name: str) -> float:
    with urllib.request.urlopen(f"{url}/metrics", timeout=20) as answer:
        text = answer.read().decode()
    found = re.search(rf"^{name} (\S+)$", text, re.MULTILINE)
    assert found, text
    return float(found[1])


def test_each_of_several_workers_takes_what_another_one_gave(serve: Serve, tmp_path: Path) -> None:
    settings = tmp_path / "nimbi.toml"
    settings.write_text(f'[drivers.mock]\nstorage = "{tmp_path / "cloud"}"\n')
    server = serve("--workers", "3", "--config", str(settings))
    for _ in range(12):
        told = ticket(server.url)
        with connect(told["url"], proxy=None) as console:
            assert console.recv(timeout=20) == b"inst1 login: "
        with pytest.raises(InvalidStatus) as raised:
            connect(told["url"], proxy=None)
        assert raised.value.response.status_code == 403


def test_the_log_tells_of_a_console_and_not_its_token(serve: Serve) -> None:
    server = serve("--verbose")
    told = ticket(server.url)
    with connect(told["url"], proxy=None) as console:
        console.recv(timeout=20)
    with pytest.raises(InvalidStatus):
        connect(told["url"], proxy=None)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(told["url"].replace("ws:", "http:"), timeout=20)
    refused.value.close()
    assert server.stop() == 0
    text = server.log.read_text()
    assert told["token"] not in text
    lines = [json.loads(line) for line in text.splitlines()]
    requests = [line for line in lines if line["event"] == "request"]
    paths = [(line["path"], line["status"], line["frontend"]) for line in requests]
    assert sorted(paths, key=lambda path: path[1]) == [
        ("/consoles/…", 101, "consoles"),
        ("/consoles", 201, "consoles"),
        ("/consoles/…", 403, "consoles"),
        ("/consoles/…", 426, "consoles"),
    ]
    (opened,) = (line for line in requests if line["status"] == 101)
    calls = [line for line in lines if line.get("operation") == "instances.open_console"]
    assert [call["request_id"] for call in calls] == [opened["request_id"]]


def test_open_consoles_are_counted_and_closed_with_the_server(serve: Serve) -> None:
    server = serve("--shutdown-timeout", "5")
    with connect(ticket(server.url)["url"], proxy=None) as console:
        console.recv(timeout=20)
        assert numbers(server.url, "nimbi_consoles_open") == 1
        assert server.stop() == 0
        with pytest.raises(ConnectionClosed) as raised:
            console.recv(timeout=20)
    assert raised.value.rcvd is not None
    assert raised.value.rcvd.code == 1012


def test_a_server_without_consoles_has_none(serve: Serve) -> None:
    server = serve("--frontend", "deltacloud")
    with pytest.raises(urllib.error.HTTPError) as raised:
        ticket(server.url)
    raised.value.close()
    assert raised.value.code == 404


def test_a_websocket_elsewhere_is_answered_as_plain_http(serve: Serve) -> None:
    server = serve()
    with pytest.raises(InvalidStatus) as raised:
        connect(server.url.replace("http:", "ws:") + "/healthz", proxy=None)
    assert raised.value.response.status_code == 200
