"""A server in a process of its own, and requests to it byte by byte."""

import base64
import http.client
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

# Far more than any answer here takes; it keeps a hanging server from hanging the tests.
TIMEOUT_S = 20.0

# The most that the server takes as a form.
MAX_BODY_BYTES = 100_000

HOST = "Host: h"

# What can be listed and does not change by itself.
COLLECTIONS = (
    *("addresses", "buckets", "drivers", "firewalls", "hardware_profiles", "images", "instances"),
    *("keys", "load_balancers", "network_interfaces", "networks", "realms"),
    *("storage_snapshots", "storage_volumes", "subnets"),
)
BLOB = "/api/buckets/bucket1/blob1"

# What a stack trace, a source line or an object would look like.
INNARDS = re.compile(rb"Traceback|site-packages|\.py\"|line \d+, in |<[a-z_.]+ object at 0x")

# What is sent, and the status that is right.
Case = tuple[bytes, int]


def login(user: str = "mockuser", password: str = "mockpassword") -> str:
    """Return the header of a login."""
    return "Authorization: Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


LOGIN = login()

FORM = "Content-Type: application/x-www-form-urlencoded"


def request(
    line: str | bytes, *headers: str | bytes, body: str | bytes | None = None, host: str = HOST
) -> bytes:
    """Return a request of HTTP/1.1; with a body comes its length, unless a header tells one."""
    lines = [_bytes(line) + b" HTTP/1.1", _bytes(host), *map(_bytes, headers)]
    told = b"\r\n".join(lines).lower()
    if body is not None and b"content-length" not in told and b"transfer-encoding" not in told:
        lines.append(b"Content-Length: %d" % len(_bytes(body)))
    return b"\r\n".join(lines) + b"\r\n\r\n" + _bytes(body or b"")


def post(path: str, body: str | bytes, *headers: str | bytes) -> bytes:
    """Return a POST of a form with the right login; a header may tell another type."""
    typed = any(_bytes(h).lower().startswith(b"content-type") for h in headers)
    return request(f"POST {path}", LOGIN, *(() if typed else (FORM,)), *headers, body=body)


def _bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text


@dataclass(frozen=True)
class Answer:
    """What came back; a `status` of 0 says that the connection was closed without a word."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


SILENCE = Answer(0, {}, b"")


class Incoming:
    """What comes from a socket. An answer that is read to its end leaves it open for the next."""

    def __init__(self, source: socket.socket) -> None:
        self.file = source.makefile("rb")

    def makefile(self, _mode: str) -> "Incoming":
        return self

    def close(self) -> None:
        """Stay open: this is called at the end of each answer."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


class Connection:
    """One connection to the server."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), TIMEOUT_S)
        self.incoming = Incoming(self.socket)
        self.is_finished = False

    def close(self) -> None:
        self.incoming.file.close()
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send what the server takes; it may answer and close before it has all."""
        try:
            self.socket.sendall(data)
        except ConnectionError:
            return

    def finish(self) -> None:
        """Tell the server that nothing more comes; it may take that for a client that left."""
        self.is_finished = True
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def answer(self, method: str = "GET") -> Answer:
        """Return the next answer."""
        reader = http.client.HTTPResponse(self.incoming, method=method)  # type: ignore[arg-type]
        try:
            reader.begin()
            body = reader.read()
        except (ConnectionError, http.client.BadStatusLine):
            return SILENCE
        except http.client.IncompleteRead:
            if self.is_finished:
                return SILENCE
            raise
        finally:
            reader.close()
        return Answer(reader.status, {k.lower(): v for k, v in reader.getheaders()}, body)


def get(path: str | bytes, *headers: str | bytes) -> bytes:
    return request(b"GET " + _bytes(path), LOGIN, *headers)


def put(path: str, *headers: str | bytes, body: bytes = b"x") -> bytes:
    return request(f"PUT {path}", LOGIN, *headers, body=body)


def check(answer: Answer, status: int) -> None:
    """Assert that this is the status, and that nothing shows that should not."""
    assert answer.status == status, answer
    assert INNARDS.search(answer.body) is None, answer
    assert not any("set-cookie" in name or "x-evil" in name for name in answer.headers), answer


def cases(table: dict[str, Case]) -> pytest.MarkDecorator:
    """Return the marks of a table: what is sent, and the status that is right, by name."""
    return pytest.mark.parametrize(("data", "status"), list(table.values()), ids=list(table))


@dataclass(frozen=True)
class Server:
    """A server that runs, with a mock cloud of its own."""

    port: int
    log: Path

    @contextmanager
    def connected(self) -> Iterator[Connection]:
        connection = Connection(self.port)
        try:
            yield connection
        finally:
            connection.close()

    def asked(self, data: bytes, *, ended: bool = False) -> Answer:
        """Return the answer to bytes on a new connection. `ended` says that no more come."""
        with self.connected() as connection:
            connection.send(data)
            if ended:
                connection.finish()
            method, *_ = data.split(b" ", 1)
            return connection.answer(method.decode("latin-1"))

    def get(self, *paths: str) -> list[Any]:
        """Return the JSON at some paths, over one connection."""
        found = []
        with self.connected() as connection:
            for path in paths:
                connection.send(request(f"GET {path}", "Accept: application/json", LOGIN))
                answer = connection.answer()
                assert answer.status == 200, answer
                found.append(answer.json)
        return found

    def world(self) -> Any:
        """Return all that the cloud holds."""
        return self.get(*(f"/api/{name}" for name in COLLECTIONS), BLOB)

    def errors(self) -> list[dict[str, Any]]:
        """Return the lines of the log that tell of a failure of the server's own."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [line for line in lines if line["level"] in {"error", "critical"}]


@contextmanager
def running(place: Path, *flags: str) -> Iterator[Server]:
    """Run `nimbi serve` over a mock cloud on a free port of the loopback."""
    command = [str(Path(sys.executable).with_name("nimbi")), "serve", "-i", "mock", "-p", "0"]
    log = place / "log"
    process = subprocess.Popen(
        [*command, "--log", str(log), "--log-format", "json", *flags],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"NIMBI_STATE_DIR": str(place / "state")},
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        yield Server(int(line.rpartition(":")[2].partition("/")[0]), log)
    finally:
        process.terminate()
        process.wait(timeout=TIMEOUT_S)
        process.stdout.close()
