"""Copies into a bucket: small things at once, large ones in parts that need not come twice."""

import json
import mimetypes
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

from nimbi.cli.copying.memory import Memory
from nimbi.cli.copying.places import Blob
from nimbi.cli.copying.progress import Progress
from nimbi.cli.copying.sources import CHUNK_BYTES, Body, FilePart, Source, read
from nimbi.cli.remote import Remote, of_account, segment
from nimbi.model.errors import CloudError, NotFound

# From this size on a copy is made in parts, so that one that breaks off can go on.
IN_PARTS_BYTES = 128 << 20
PART_BYTES = 64 << 20
MOST_PARTS = 10_000
AT_ONCE = 4

BEGIN = "blobs.begin_upload"


def copy(remote: Remote, source: Source, to: Blob) -> None:
    """Store a source as a blob. Raises CloudErrors; a copy in parts is remembered then."""
    if source.size_bytes >= IN_PARTS_BYTES and BEGIN in _operations(remote, to.account):
        _Upload(remote, source, to).run()
        return
    progress = Progress(to.name, source.size_bytes)
    with source.open(0, source.size_bytes) as body:
        content = _content(body, progress)
        _put(remote, f"{to.path}/content", content, source.size_bytes, _headers(source, to))
    progress.end()


def copy_stream(remote: Remote, to: Blob) -> None:
    """Store standard input as a blob."""
    progress = Progress(to.name, None)

    def chunks() -> Iterator[bytes]:
        while chunk := sys.stdin.buffer.read(CHUNK_BYTES):
            yield chunk

    kind = mimetypes.guess_type(to.name)[0]
    headers = {"Content-Type": kind} if kind else {}
    _put(remote, f"{to.path}/content", progress.counted(chunks()), None, headers)
    progress.end()


class _Upload:
    """An upload in parts, which remembers those that are stored."""

    def __init__(self, remote: Remote, source: Source, to: Blob) -> None:
        self._remote = remote
        self._source = source
        self._to = to
        self._memory = Memory("up", source.name, source.mark, str(to))
        self._note: dict[str, Any] = {}
        self._lock = threading.Lock()

    def run(self) -> None:
        size = self._source.size_bytes
        self._note = self._memory.read() or self._begun()
        stored: dict[str, Any] = self._note["segments"]
        part = int(self._note["part_bytes"])
        done = sum(min(part, size - (int(order) - 1) * part) for order in stored)
        progress = Progress(self._to.name, size, done)
        try:
            self._store_all(part, progress)
        except NotFound:
            # The cloud has forgotten the parts: all anew, once.
            if not done:
                raise
            self._memory.forget()
            self._note = self._begun()
            progress = Progress(self._to.name, size)
            self._store_all(part, progress)
        self._finish()
        progress.end()

    def _begun(self) -> dict[str, Any]:
        part = max(PART_BYTES, -(-self._source.size_bytes // MOST_PARTS))
        wish = {}
        if kind := _headers(self._source, self._to).get("Content-Type"):
            wish["content_type"] = kind
        reply = self._remote.ask("POST", f"{self._to.path}/uploads", body=wish)
        note = {"id": reply.value["id"], "part_bytes": part, "segments": {}}
        self._memory.write(note)
        return note

    def _store_all(self, part: int, progress: Progress) -> None:
        """Store what lacks, some parts at once: while a cloud secures one, others are on the way.

        Parts that are stored when another one fails are remembered.
        """
        orders = range(1, -(-self._source.size_bytes // part) + 1)
        left = [order for order in orders if str(order) not in self._note["segments"]]
        with ThreadPoolExecutor(AT_ONCE) as threads:
            jobs = [threads.submit(self._store, order, part, progress) for order in left]
            try:
                for job in jobs:
                    job.result()
            finally:
                threads.shutdown(wait=True, cancel_futures=True)

    def _store(self, order: int, part: int, progress: Progress) -> None:
        first = (order - 1) * part
        count = min(part, self._source.size_bytes - first)
        place = f"{self._place()}/segments/{order}"
        with self._source.open(first, count) as body:
            content = _content(body, progress)
            id = str(_put(self._remote, place, content, count, {})["id"])
        with self._lock:
            self._note["segments"][str(order)] = id
            self._memory.write(self._note)

    def _finish(self) -> None:
        stored = self._note["segments"]
        parts = [{"order": int(order), "id": stored[order]} for order in stored]
        parts.sort(key=lambda one: one["order"])
        self._remote.ask(
            "POST", f"{self._place()}/finish", body={"segments": parts}, timeout_s=None
        )
        self._memory.forget()

    def _place(self) -> str:
        return f"{self._to.path}/uploads/{segment(self._note['id'])}"


def _content(body: Body, progress: Progress) -> Any:
    """Return what is sent: a file as it is, which the kernel moves, when nobody looks on."""
    if isinstance(body, FilePart) and not progress.is_shown:
        return body
    return progress.counted(read(body))


def _put(remote: Remote, path: str, content: Any, size: int | None, headers: dict[str, str]) -> Any:
    answer = remote.stream("PUT", path, body=content, headers=headers, size_bytes=size)
    with closing(answer):
        return json.loads(answer.read())


def _headers(source: Source, to: Blob) -> dict[str, str]:
    kind = source.content_type or mimetypes.guess_type(to.name)[0]
    return {"Content-Type": kind} if kind else {}


def _operations(remote: Remote, account: str) -> frozenset[str]:
    try:
        told = remote.ask("GET", of_account(account, "capabilities")).value
    except CloudError:
        # Whether it may be asked says nothing of whether it may be written to.
        return frozenset()
    return frozenset(told["operations"])
