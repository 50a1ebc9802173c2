"""Bringing a file or what a URL names into a workspace: streamed, measured, digested."""

import asyncio
import hashlib
import http.client
import os
import stat
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, Protocol
from urllib.parse import urlsplit

from nimbi.qemu.errors import Failed, Invalid, NotFound, QemuError

SCHEMES = ("http", "https")
REDIRECTS = 5
SILENT_S = 60.0
"""A server that sends nothing for so long has failed."""

CHUNK_BYTES = 2**20
ZEROS = bytes(CHUNK_BYTES)
LOOK_EVERY_BYTES = 16 * CHUNK_BYTES
MAX_BYTES = 80 * 2**30
"""The largest image file: a full disk of the largest size, with its format's own tables."""

Room = Callable[[int | None], None]
"""Asked for so many bytes before the first comes, or with None whether there still is room."""

Told = Callable[[int, int | None], None]
"""Told of the bytes that have come, and of the whole when that is known."""


class _Source(Protocol):
    def read(self, size: int, /) -> bytes: ...


@dataclass
class Fetch:
    """One fetch into `target`, within `room`, told to `told`."""

    target: Path
    room: Room
    told: Told
    limit_bytes: int = MAX_BYTES

    async def run(self, source: str) -> str:
        """Fetch a URL (http or https) or a regular file, and return its SHA-256 in hexadecimal.

        It ends when the caller is cancelled. Raises Invalid for what can't be fetched, NotFound,
        Capacity through `room`, and Failed when it is cut off.
        """
        given_up = threading.Event()
        work = asyncio.create_task(asyncio.to_thread(self._work, source, given_up))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            given_up.set()
            await asyncio.gather(work, return_exceptions=True)
            raise

    def _work(self, source: str, given_up: threading.Event) -> str:
        opening = _url(source) if "://" in source else _file(source)
        with opening as (opened, whole), self.target.open("xb") as out:
            if whole is not None:
                self._check(whole)
                self.room(whole)
            return self._copy(opened, out, whole, given_up)

    def _check(self, size: int) -> None:
        if size > self.limit_bytes:
            raise Invalid(f"the file has more than {self.limit_bytes} bytes")

    def _copy(
        self, source: _Source, out: BinaryIO, whole: int | None, given_up: threading.Event
    ) -> str:
        digest, come = hashlib.sha256(), 0
        self.told(0, whole)
        while chunk := _next(source):
            if given_up.is_set():
                raise Failed("the fetch was given up")
            come += len(chunk)
            self._check(come)
            if whole is None and come % LOOK_EVERY_BYTES < len(chunk):
                self.room(None)
            # Large disks are mostly empty, and take no room so.
            out.seek(len(chunk), os.SEEK_CUR) if chunk == ZEROS else out.write(chunk)
            digest.update(chunk)
            self.told(come, whole)
        out.truncate(come)
        if whole is not None and come != whole:
            raise Failed(f"the file was cut off: {come} of {whole} bytes came")
        return digest.hexdigest()


def _next(source: _Source) -> bytes:
    try:
        return source.read(CHUNK_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise Failed(f"the file was cut off: {error}") from error


@contextmanager
def _file(source: str) -> Generator[tuple[IO[bytes], int]]:
    try:
        # Not blocking: a pipe without a writer would never be opened.
        descriptor = os.open(source, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NotFound(f"there is no file {source!r}") from None
    except (OSError, ValueError) as error:
        raise Invalid(f"the file {source!r} can't be read: {error}") from None
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        raise Invalid(f"{source!r} is not a regular file")
    with os.fdopen(descriptor, "rb") as file:
        yield file, found.st_size


@contextmanager
def _url(source: str) -> Generator[tuple[_Source, int | None]]:
    _check_url(source)
    request = urllib.request.Request(source, headers={"Accept-Encoding": "identity"})  # noqa: S310
    try:
        answer = _opener().open(request, timeout=SILENT_S)
    except urllib.error.HTTPError as error:
        error.close()
        raise _refusal(error.code) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Failed(f"the image can't be fetched: {error}") from None
    with answer:
        length = answer.headers.get("Content-Length", "")
        yield answer, int(length) if length.isdecimal() else None


def _refusal(status: int) -> QemuError:
    if 300 <= status < 400:
        return Invalid("the server of the image redirects too often, or to no http or https")
    kind = NotFound if status in {404, 410} else Failed
    return kind(f"the server of the image answered {status}")


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        known = parts.scheme in SCHEMES and parts.hostname
        # A login in the URL would be shown wherever the URL is.
        secret = parts.username or parts.password
        parts.port  # noqa: B018  raises for a bad one
    except ValueError:
        raise Invalid("the URL of the image is malformed") from None
    if not known:
        raise Invalid("the URL of an image starts with http:// or https:// and names a host")
    if secret:
        raise Invalid("the URL of an image must not hold a user or a password")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise Invalid("the URL of the image has characters that must be percent-encoded")


def _check_redirect(old: str, new: str) -> None:
    _check_url(new)
    if urlsplit(old).scheme == "https" and urlsplit(new).scheme != "https":
        raise Invalid("the server of the image redirects from https to http")


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a few redirects, to the same kinds of places only, and never to a weaker one."""

    max_redirections = REDIRECTS
    max_repeats = 2

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Return the next request. Raises Invalid for a place that would not be fetched from."""
        try:
            _check_redirect(req.full_url, newurl)
        except Invalid:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    """Return what opens http and https only: the usual one also knows file, ftp and data."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _Redirects(),
    ):
        opener.add_handler(handler)
    return opener
