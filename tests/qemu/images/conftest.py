"""Disk images of strangers, kind and hostile, and a web server that gives them out."""

import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

MIB = 2**20
CODE = b"\xeb\xfe"
"""A loop: what a boot sector must have to count as one."""


def boot_sector(sectors: int) -> bytes:
    """Return the first sector of a disk with one partition of so many sectors."""
    entry = struct.pack("<B3xB3xII", 0x80, 0x83, 2048, sectors)
    return CODE.ljust(446, b"\0") + entry.ljust(64, b"\0") + b"\x55\xaa"


@pytest.fixture(scope="session")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a raw disk of 8 MiB that BIOS would start."""
    file = tmp_path_factory.mktemp("strangers") / "disk.raw"
    with file.open("wb") as disk:
        disk.write(boot_sector(2048))
        disk.seek(3 * MIB)
        disk.write(b"content" * 10_000)
        disk.truncate(8 * MIB)
    return file


Converted = Callable[..., Path]


@pytest.fixture
def converted(raw: Path, tmp_path: Path) -> Converted:
    """Give what makes the raw disk an image of another format."""

    def make(kind: str, *options: str) -> Path:
        file = tmp_path / f"disk.{kind}"
        command = ["qemu-img", "convert", "-f", "raw", "-O", kind, *options, raw, file]
        subprocess.run(command, check=True)
        return file

    return make


def patched(file: Path, at: int, data: bytes) -> Path:
    """Overwrite a few bytes of a file."""
    with file.open("r+b") as image:
        image.seek(at)
        image.write(data)
    return file


@dataclass
class Site:
    """A web server on the loopback. `answers` is {path: (status, headers, body)}."""

    port: int
    answers: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"


@pytest.fixture
def site() -> Iterator[Site]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            here.asked.append(self.path)
            status, headers, body = here.answers.get(self.path, (404, {}, b""))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    here = Site(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield here
    server.shutdown()
    thread.join()
    server.server_close()
