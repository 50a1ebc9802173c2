"""Copies out of a bucket: to a file, which is there when it is whole, or to standard output."""

import os
import sys
from pathlib import Path
from typing import Any, BinaryIO

from nimbi.cli.copying.memory import Memory
from nimbi.cli.copying.places import Blob
from nimbi.cli.copying.progress import Progress
from nimbi.cli.remote import Remote
from nimbi.model.errors import Conflict, Invalid, UnknownOutcome

# What a file is called until it is whole.
UNDER_WAY = ".part"


def copy(remote: Remote, source: Blob, to: Path) -> None:
    """Fetch a blob into a file. Raises CloudErrors and OSError; what has come is kept then."""
    draft = to.with_name(f".{to.name}{UNDER_WAY}")
    memory = Memory("down", str(source), str(to.absolute()))
    here = draft.stat().st_size if draft.exists() else 0
    etag = memory.read().get("etag")
    if here and etag:
        try:
            _fetch(remote, source, draft, memory, here, etag)
        except (Conflict, Invalid):
            # It is another blob by now, or was whole already.
            _fetch(remote, source, draft, memory)
    else:
        _fetch(remote, source, draft, memory)
    draft.replace(to)
    memory.forget()


def copy_out(remote: Remote, source: Blob) -> None:
    """Print a blob."""
    answer = remote.stream("GET", f"{source.path}/content", headers={"Accept": "*/*"})
    progress = Progress(source.name, _length(answer))
    try:
        _write(sys.stdout.buffer, answer, progress)
        sys.stdout.buffer.flush()
    finally:
        answer.close()
    progress.end()


def _fetch(
    remote: Remote,
    source: Blob,
    draft: Path,
    memory: Memory,
    here: int = 0,
    etag: str | None = None,
) -> None:
    headers = {"Accept": "*/*"}
    if here:
        headers |= {"Range": f"bytes={here}-", "If-Match": str(etag)}
    answer = remote.stream("GET", f"{source.path}/content", headers=headers)
    try:
        told = answer.headers.get("etag")
        if told:
            memory.write({"etag": told})
        left = _length(answer)
        # A server that does not heed the range sends the whole.
        start = here if answer.status == 206 else 0
        progress = Progress(source.name, None if left is None else start + left, start)
        mode = os.O_WRONLY | os.O_CREAT | (0 if start else os.O_TRUNC)
        with os.fdopen(os.open(draft, mode, 0o666), "wb") as file:
            file.seek(start)
            count = _write(file, answer, progress)
        if left is not None and count != left:
            raise UnknownOutcome("the answer broke off: the same command goes on from there")
        progress.end()
    finally:
        answer.close()


def _write(file: BinaryIO, answer: Any, progress: Progress) -> int:
    count = 0
    for chunk in progress.counted(answer.chunks()):
        file.write(chunk)
        count += len(chunk)
    return count


def _length(answer: Any) -> int | None:
    told = answer.headers.get("content-length")
    return int(told) if told and told.isdigit() else None
