"""Blobs through a real server: of any size, in little memory, whatever the other side does."""

import http.client
import os
import socket
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest

LOGIN = {"Authorization": "Basic " + b64encode(b"mockuser:mockpassword").decode()}
PATH = "/api/buckets/bucket1/large"

PIECE = os.urandom(1 << 20)
PIECES = 96
SIZE = PIECES * len(PIECE)

# A stream takes its buffers and the mock's pieces; a blob that was held would take all of SIZE.
MOST_GROWTH = 40 << 20


@dataclass(frozen=True)
class Server:
    """A server in a process of its own."""

    pid: int
    port: int

    def connect(self) -> "closing[http.client.HTTPConnection]":
        return closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60))

    def peak_bytes(self) -> int:
        return self._status("VmHWM")

    def forget_peak(self) -> int:
        """Begin the peak anew; return the memory in use."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")
        return self._status("VmRSS")

    def _status(self, name: str) -> int:
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        [line] = [line for line in lines if line.startswith(f"{name}:")]
        return int(line.split()[1]) * 1024


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    place = tmp_path_factory.mktemp("server")
    nimbi = str(Path(sys.executable).with_name("nimbi"))
    process = subprocess.Popen(
        [nimbi, "serve", "-i", "mock", "-p", "0", "--log", str(place / "log")],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"NIMBI_STATE_DIR": str(place / "state"), "TMPDIR": str(place)},
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline().strip()
        yield Server(process.pid, int(line.removesuffix("/api").rpartition(":")[2]))
    finally:
        process.terminate()
        process.wait(timeout=30)
        process.stdout.close()


def put(server: Server, path: str, pieces: Iterator[bytes], length: int | None) -> int:
    headers = LOGIN | ({"Content-Length": str(length)} if length is not None else {})
    with server.connect() as connection:
        connection.request("PUT", path, pieces, headers, encode_chunked=length is None)
        with connection.getresponse() as answer:
            answer.read()
            return answer.status


def pieces() -> Iterator[bytes]:
    for _ in range(PIECES):
        yield PIECE


def digest() -> str:
    whole = sha256()
    for piece in pieces():
        whole.update(piece)
    return whole.hexdigest()


@pytest.fixture(scope="module")
def large(server: Server) -> str:
    """Store a large blob and return its digest."""
    assert put(server, PATH, pieces(), SIZE) == 200
    return digest()


@pytest.mark.parametrize("length", [SIZE, None])
def test_a_large_blob_goes_up_in_little_memory(
    server: Server, large: str, length: int | None
) -> None:
    before = server.forget_peak()
    assert put(server, f"{PATH}-{length}", pieces(), length) == 200
    with server.connect() as connection:
        connection.request("GET", f"{PATH}-{length}?format=json", headers=LOGIN)
        with connection.getresponse() as answer:
            assert f'"content_length":"{SIZE}"'.encode() in answer.read()
    assert server.peak_bytes() - before < MOST_GROWTH


def test_a_large_blob_comes_down_in_little_memory(server: Server, large: str) -> None:
    before = server.forget_peak()
    got = sha256()
    with server.connect() as connection:
        connection.request("GET", f"{PATH}/content", headers=LOGIN)
        with connection.getresponse() as answer:
            assert answer.headers["content-length"] == str(SIZE)
            while piece := answer.read(1 << 20):
                got.update(piece)
    assert got.hexdigest() == large
    assert server.peak_bytes() - before < MOST_GROWTH


def test_readers_that_do_not_read_cost_little(server: Server, large: str) -> None:
    before = server.forget_peak()
    request = (
        f"GET {PATH}/content HTTP/1.1\r\nHost: h\r\nAuthorization: {LOGIN['Authorization']}\r\n\r\n"
    )
    idle = [socket.create_connection(("127.0.0.1", server.port), timeout=60) for _ in range(8)]
    try:
        for connection in idle:
            connection.sendall(request.encode())
            assert connection.recv(12) == b"HTTP/1.1 200"
        # Another reader gets all of it meanwhile.
        with server.connect() as busy:
            busy.request("GET", f"{PATH}/content", headers=LOGIN)
            with busy.getresponse() as answer:
                while answer.read(1 << 20):
                    pass
    finally:
        for connection in idle:
            connection.close()
    assert server.peak_bytes() - before < MOST_GROWTH


def test_a_part_of_a_large_blob_is_cut_out(server: Server, large: str) -> None:
    first = 5 * len(PIECE) + 17
    with server.connect() as connection:
        headers = LOGIN | {"Range": f"bytes={first}-{first + 99}"}
        connection.request("GET", f"{PATH}/content", headers=headers)
        with connection.getresponse() as answer:
            assert answer.status == 206
            assert answer.read() == PIECE[17:117]


def test_an_upload_that_is_broken_off_leaves_what_was_there(server: Server) -> None:
    path = "/api/buckets/bucket2/torn"
    assert put(server, path, iter([b"old"]), 3) == 200
    head = (
        f"PUT {path} HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n"
        f"Authorization: {LOGIN['Authorization']}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(head.encode() + b"new")
        connection.shutdown(socket.SHUT_WR)
        # The server ends the connection when it has seen that no more comes.
        assert b" 200 " not in connection.recv(4096)
    with server.connect() as other:
        other.request("GET", f"{path}/content", headers=LOGIN)
        with other.getresponse() as answer:
            assert answer.read() == b"old"


def test_a_form_with_a_large_file_is_kept_on_disk(server: Server) -> None:
    before = server.forget_peak()
    start = (
        b'--b\r\nContent-Disposition: form-data; name="blob_id"\r\n\r\nform\r\n'
        b'--b\r\nContent-Disposition: form-data; name="blob_data"; filename="f"\r\n\r\n'
    )
    end = b"\r\n--b--\r\n"
    headers = LOGIN | {
        "Content-Type": "multipart/form-data; boundary=b",
        "Content-Length": str(len(start) + SIZE + len(end)),
        "Accept": "application/json",
    }

    def body() -> Iterator[bytes]:
        yield start
        yield from pieces()
        yield end

    with server.connect() as connection:
        connection.request("POST", "/api/buckets/bucket2", body(), headers)
        with connection.getresponse() as answer:
            assert answer.status == 201
            assert str(SIZE).encode() in answer.read()
    assert server.peak_bytes() - before < MOST_GROWTH
