"""A server in a process of its own: its start, its end, its processes, and what it keeps silent."""

import json
import os
import select
import signal
import socket
import ssl
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Serve = Callable[..., Any]

LOGIN = "Basic " + b64encode(b"mockuser:mockpassword").decode()
JSON = {"Accept": "application/json", "Authorization": LOGIN}


def get(url: str, headers: dict[str, str] = JSON, **options: Any) -> tuple[int, str]:
    """Return the status and the body of an answer, whatever the status is."""
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=20, **options) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def connect(url: str) -> socket.socket:
    host, port = url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=20)


def ended(pid: int) -> bool:
    """Wait for a process that is no child of ours; False when it goes on for 20 s."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], 20)[0])
    finally:
        os.close(handle)


def is_told(url: str, line: str) -> bool:
    """Wait for a line of numbers: a worker tells the others soon, not at once. False after 20 s."""
    until = time.monotonic() + 20
    while line not in get(url, {})[1]:
        if time.monotonic() > until:
            return False
    return True


def test_it_says_where_it_is_and_answers_there(serve: Serve) -> None:
    server = serve("--host", "127.0.0.1")
    assert server.line == f"Starting Nimbi :: mock :: {server.url}/api"
    assert get(f"{server.url}/healthz", {}) == (200, "ok")
    status, body = get(f"{server.url}/api/instances")
    assert (status, len(json.loads(body)["instances"])) == (200, 4)


def test_the_start_line_names_a_provider(serve: Serve) -> None:
    assert " :: mock :: eu :: http://" in serve("--provider", "eu").line


def test_loopback_needs_no_warning(serve: Serve) -> None:
    server = serve()
    assert server.stop() == 0
    assert server.errors.read_text() == ""


def test_the_network_without_tls_is_warned_of(serve: Serve) -> None:
    assert "not encrypted" in serve("--host", "0.0.0.0").errors.read_text()


def test_https_works_by_itself(
    serve: Serve, tmp_path: Path, make_certificate: Callable[[Path], tuple[Path, Path]]
) -> None:
    cert, key = make_certificate(tmp_path)
    server = serve("--tls-cert", str(cert), "--tls-key", str(key))
    assert server.url.startswith("https://localhost:")
    context = ssl.create_default_context(cafile=str(cert))
    assert get(f"{server.url}/healthz", {}, context=context) == (200, "ok")
    _, body = get(f"{server.url}/api", context=context)
    assert f'"{server.url}/api/instances"' in body


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_status_0(serve: Serve, number: signal.Signals) -> None:
    server = serve()
    get(f"{server.url}/healthz", {})
    server.process.send_signal(number)
    assert server.process.wait(timeout=20) == 0


def test_what_is_in_flight_is_finished_at_shutdown(serve: Serve) -> None:
    server = serve("--host", "127.0.0.1")
    with connect(server.url) as client:
        head = f"PUT /api/buckets/bucket1/late HTTP/1.1\r\nHost: a\r\nAuthorization: {LOGIN}\r\n"
        client.sendall(f"{head}Content-Length: 8\r\nExpect: 100-continue\r\n\r\n".encode())
        # The server asks for the body when the request is under way.
        assert client.recv(100).startswith(b"HTTP/1.1 100")
        client.sendall(b"half")
        server.process.terminate()
        with pytest.raises(ConnectionError):
            while True:
                connect(server.url).close()
        client.sendall(b"half")
        assert client.recv(1000).startswith(b"HTTP/1.1 200")
    assert server.process.wait(timeout=20) == 0


def test_a_login_of_the_server_s_own_serves_every_request(serve: Serve) -> None:
    login = {"API_USER": "mockuser", "API_PASSWORD": "mockpassword"}
    server = serve(environment=login)
    assert get(f"{server.url}/api/instances", {})[0] == 200
    wrong = {"Authorization": "Basic " + b64encode(b"a:b").decode()}
    assert get(f"{server.url}/api/instances", wrong)[0] == 200


def test_metrics_tell_of_requests_calls_and_sessions(serve: Serve) -> None:
    server = serve()
    get(f"{server.url}/api/instances")
    get(f"{server.url}/api/instances/nope")
    text = get(f"{server.url}/metrics", {})[1]
    calls = 'nimbi_cloud_calls_total{driver="mock",error="not_found",operation="instances.get"} 1.0'
    assert calls in text
    assert 'nimbi_http_requests_total{frontend="deltacloud",method="GET",status="200"} 1.0' in text
    assert "nimbi_sessions_open 1.0" in text
    assert "process_cpu_seconds_total" in text


def test_metrics_can_be_off(serve: Serve) -> None:
    assert get(f"{serve('--no-metrics').url}/metrics", {})[0] == 404


def test_changes_are_logged_with_what_was_asked_of_whom(serve: Serve) -> None:
    server = serve("--no-access-log")
    request = urllib.request.Request(f"{server.url}/api/keys?name=k", b"", JSON, method="POST")
    with urllib.request.urlopen(request, timeout=20) as answer:
        id = answer.headers["X-Request-Id"]
    (event,) = [json.loads(line) for line in server.log.read_text().splitlines()]
    assert (event["event"], event["operation"], event["driver"]) == ("call", "keys.create", "mock")
    assert (event["request_id"], event["error"]) == (id, None)


SECRET = "hunter2hunter2"

SECRETS = {
    "a login": ("/api/instances", {"Authorization": b64encode(f"u:{SECRET}".encode()).decode()}),
    "a query": (f"/api/instances?password={SECRET}&user_data={SECRET}", {}),
    "a matrix parameter": (f"/api;password={SECRET}/instances", {}),
    "a header": ("/api", {"X-Request-Id": f"<{SECRET}>", "Cookie": SECRET}),
    "a driver's name": (f"/api;driver={SECRET}%0A/instances", {}),
}


def test_secrets_are_never_logged(serve: Serve) -> None:
    server = serve("--verbose", "--host", "127.0.0.1")
    for path, headers in SECRETS.values():
        if path != SECRETS["a driver's name"][0]:
            get(server.url + path, JSON | headers)
    form = f"name=n&image_id=img1&user_data={SECRET}&password={SECRET}&keyname={SECRET}"
    pem = f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n-----END RSA PRIVATE KEY-----"
    for path, body in {
        "/api/instances": form,
        f"/api/instances?user_data={SECRET}": form,
        "/api/instances/inst1/run": f"cmd=ls&private_key={pem}&password={SECRET}",
        "/api/instances/inst1/stop": f"password={SECRET}",
        "/api/keys": f"name=k&public_key={SECRET}",
    }.items():
        request = urllib.request.Request(server.url + path, body.encode(), JSON, method="POST")
        try:
            urllib.request.urlopen(request, timeout=20).close()
        except urllib.error.HTTPError as error:
            error.close()
    with connect(server.url) as client:
        client.sendall(f"GET /{SECRET} broken\r\n\r\n".encode())
        client.recv(1000)
    assert server.stop() == 0
    logged = server.log.read_text() + server.errors.read_text()
    assert len(logged.splitlines()) >= 8
    assert "keys.create" in logged
    encoded = b64encode(f"u:{SECRET}".encode()).decode()
    assert [secret for secret in (SECRET, encoded, "mockpassword", LOGIN) if secret in logged] == []


@pytest.fixture
def pair(serve: Serve, tmp_path: Path) -> Any:
    """Return a server of two workers on one cloud on disk."""
    file = tmp_path / "nimbi.toml"
    file.write_text(f'[drivers.mock]\nstorage = "{tmp_path / "cloud"}"\n')
    return serve("--workers", "2", "--config", str(file))


def workers(parent: int) -> list[int]:
    """Return the processes that serve: the children that are not multiprocessing's own tracker."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [
        int(pid)
        for pid in children
        if b"resource_tracker" not in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]


def test_workers_share_cloud_and_numbers(pair: Any) -> None:
    for number in range(10):
        request = urllib.request.Request(
            f"{pair.url}/api/keys?name=k{number}", b"", JSON, method="POST"
        )
        urllib.request.urlopen(request, timeout=20).close()
    names = {key["id"] for key in json.loads(get(f"{pair.url}/api/keys")[1])["keys"]}
    assert names >= {f"k{number}" for number in range(10)}
    created = 'nimbi_cloud_calls_total{driver="mock",error="",operation="keys.create"} 10.0'
    assert is_told(f"{pair.url}/metrics", created)
    assert pair.stop() == 0


def test_workers_end_with_a_parent_that_was_killed(pair: Any) -> None:
    get(f"{pair.url}/healthz", {})
    found = workers(pair.process.pid)
    assert len(found) == 2
    pair.process.kill()
    assert [pid for pid in found if not ended(pid)] == []
