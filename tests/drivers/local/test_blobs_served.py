"""Blobs of the local cloud through a real server, which lets the kernel send them."""

import http.client
import json
import os
import socket
import ssl
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
from tests.server.conftest import _make_certificate

from nimbi.driver.interface import Place
from nimbi.drivers.local.login import own_login

PIECE = os.urandom(1 << 20)
PIECES = 48
CONTENT = PIECE * PIECES
BLOB = "/api/buckets/bench/large"


@dataclass(frozen=True)
class Server:
    """A server of the local cloud in a process of its own, with one large blob."""

    process: "subprocess.Popen[str]"
    port: int
    login: str

    def connect(self) -> "closing[http.client.HTTPConnection]":
        return closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60))

    def ask(
        self, connection: http.client.HTTPConnection, method: str, path: str, **headers: str
    ) -> tuple[int, bytes]:
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, headers={"Authorization": self.login} | told)
        answer = connection.getresponse()
        return answer.status, answer.read()

    def open_files(self) -> int:
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))


def started(place: Path, *flags: str) -> tuple["subprocess.Popen[str]", int, str]:
    process = subprocess.Popen(
        [
            str(Path(sys.executable).with_name("nimbi")),
            *("serve", "-i", "local", "-p", "0", "--log", str(place / "log")),
            *flags,
        ],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"NIMBI_STATE_DIR": str(place / "state")},
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    port = int(line.rpartition(":")[2].partition("/")[0])
    login = own_login(None, Place(place / "state" / "local"))
    return process, port, "Basic " + b64encode(f"{login.user}:{login.password}".encode()).decode()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    process, port, login = started(tmp_path_factory.mktemp("served"))
    with process:
        server = Server(process, port, login)
        with server.connect() as connection:
            assert server.ask(connection, "POST", "/api/buckets?name=bench")[0] == 201
            connection.request("PUT", BLOB, CONTENT, {"Authorization": login})
            answer = connection.getresponse()
            assert (answer.status, answer.read() != b"") == (200, True)
        yield server
        process.terminate()


def test_a_blob_comes_whole_and_the_connection_serves_on(server: Server) -> None:
    with server.connect() as connection:
        for _ in range(2):
            assert server.ask(connection, "GET", f"{BLOB}/content") == (200, CONTENT)
            assert server.ask(connection, "HEAD", f"{BLOB}/content") == (200, b"")
        assert server.ask(connection, "GET", "/api")[0] == 200


@pytest.mark.parametrize(
    ("told", "first", "last"),
    [("0-0", 0, 0), ("5-1000000", 5, 1_000_000), ("-7", len(CONTENT) - 7, len(CONTENT) - 1)],
)
def test_a_part_comes_from_its_place(server: Server, told: str, first: int, last: int) -> None:
    with server.connect() as connection:
        answer = server.ask(connection, "GET", f"{BLOB}/content", range=f"bytes={told}")
    assert answer == (206, CONTENT[first : last + 1])


def test_an_empty_blob_is_sent(server: Server) -> None:
    path = "/api/buckets/bench/empty"
    with server.connect() as connection:
        assert server.ask(connection, "PUT", path, content_length="0")[0] == 200
        assert server.ask(connection, "GET", f"{path}/content") == (200, b"")
        assert server.ask(connection, "GET", f"{path}/content") == (200, b"")


@pytest.mark.parametrize(
    "name",
    [
        "a/b",
        "../../x",
        "line\nfeed",
        "nul\0x",
        "\x0btab",
        "é☃",
        "\U0001d54f" * 1000,
        "x;y=z",
        "%2F",
    ],
)
def test_a_blob_of_any_name_is_served(server: Server, name: str) -> None:
    path = f"/api/buckets/bench/{quote(name, safe='')}"
    with server.connect() as connection:
        connection.request("PUT", path, b"content", {"Authorization": server.login})
        answer = connection.getresponse()
        assert (answer.status, answer.read() != b"") == (200, True)
        assert server.ask(connection, "GET", f"{path}/content") == (200, b"content")
        listed = server.ask(connection, "GET", "/api/buckets/bench?format=json")[1]
        assert name in {blob["id"] for blob in json.loads(listed)["bucket"]["blob_list"]}
        assert server.ask(connection, "GET", "/api/buckets/bench?format=xml")[0] == 200
        assert server.ask(connection, "GET", "/api/buckets/bench?format=html")[0] == 200
        assert server.ask(connection, "DELETE", path)[0] == 204


def test_requests_that_come_together_are_answered_one_after_the_other(server: Server) -> None:
    ask = (
        f"GET {BLOB}/content HTTP/1.1\r\nHost: x\r\nAuthorization: {server.login}\r\n"
        "Range: bytes=0-2999999\r\n{}\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as sock:
        sock.sendall((ask.format("") + ask.format("Connection: close\r\n")).encode())
        received = b""
        while data := sock.recv(1 << 20):
            received += data
    assert received.count(b"HTTP/1.1 206") == 2
    assert received.count(CONTENT[:3_000_000]) == 2


def test_a_client_that_leaves_or_reads_slowly_holds_nothing(server: Server) -> None:
    with server.connect() as connection:
        server.ask(connection, "GET", "/api")
        before = server.open_files()
        request = f"GET {BLOB}/content HTTP/1.1\r\nHost: x\r\nAuthorization: {server.login}\r\n\r\n"
        for _ in range(5):
            with socket.create_connection(("127.0.0.1", server.port), timeout=60) as sock:
                sock.sendall(request.encode())
                assert sock.recv(4096).startswith(b"HTTP/1.1 200")
        # What is half sent is given up once the server has seen that nobody is there.
        until = time.monotonic() + 20
        while server.open_files() > before and time.monotonic() < until:
            server.ask(connection, "GET", "/api")
        assert server.open_files() <= before


def test_the_server_answers_others_while_a_client_reads_nothing(server: Server) -> None:
    request = f"GET {BLOB}/content HTTP/1.1\r\nHost: x\r\nAuthorization: {server.login}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as stalled:
        stalled.sendall(request.encode())
        with server.connect() as connection:
            for _ in range(3):
                assert server.ask(connection, "GET", f"{BLOB}/content") == (200, CONTENT)
        received = b""
        while len(received) < len(CONTENT):
            received += stalled.recv(1 << 20)
    assert received.partition(b"\r\n\r\n")[2][:1000] == CONTENT[:1000]


def test_over_tls_it_comes_through_the_server(tmp_path: Path) -> None:
    cert, key = _make_certificate(tmp_path)
    process, port, login = started(tmp_path, "--tls-cert", str(cert), "--tls-key", str(key))
    with process:
        context = ssl.create_default_context(cafile=str(cert))
        connection = http.client.HTTPSConnection("localhost", port, context=context, timeout=60)
        with closing(connection):
            headers = {"Authorization": login}
            for method, path, body in (
                ("POST", "/api/buckets?name=bench", None),
                ("PUT", BLOB, PIECE * 3),
                ("GET", f"{BLOB}/content", None),
            ):
                connection.request(method, path, body, headers)
                answer = connection.getresponse()
                content = answer.read()
                assert answer.status in {200, 201}
        assert content == PIECE * 3
        process.terminate()
