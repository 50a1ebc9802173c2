"""What is copied up: a file here, a blob of another cloud, or standard input."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from nimbi.cli.copying.places import Blob
from nimbi.cli.remote import Remote

CHUNK_BYTES = 1 << 20


class FilePart:
    """So many bytes of an open file, from where it stands, which the kernel can send by itself."""

    def __init__(self, file: BinaryIO, count: int) -> None:
        self._file = file
        self._left = count

    def read(self, most: int) -> bytes:
        """Return some of what is left; nothing at its end."""
        chunk = self._file.read(min(most, self._left))
        self._left -= len(chunk)
        return chunk

    def tell(self) -> int:
        return self._file.tell()

    def fileno(self) -> int:
        return self._file.fileno()


Body = FilePart | Iterator[bytes]
# Opens a part: from a byte, so many.
Open = Callable[[int, int], AbstractContextManager[Body]]


@dataclass(frozen=True)
class Source:
    """Bytes that can be read again, from anywhere. `mark` changes when they do."""

    name: str
    size_bytes: int
    mark: str
    open: Open
    content_type: str | None = None


def of_file(path: Path) -> Source:
    """Return a file as a source. Raises OSError."""
    status = path.stat()

    @contextmanager
    def opened(first: int, count: int) -> Iterator[Body]:
        with path.open("rb") as file:
            file.seek(first)
            yield FilePart(file, count)

    mark = f"{status.st_size} {status.st_mtime_ns} {status.st_ino}"
    return Source(str(path.absolute()), status.st_size, mark, opened)


def of_blob(remote: Remote, blob: Blob) -> Source:
    """Return a blob as a source. Raises CloudErrors."""
    facts = remote.ask("GET", blob.path).value
    etag = facts.get("etag")

    @contextmanager
    def opened(first: int, count: int) -> Iterator[Body]:
        headers = {"Accept": "*/*"}
        if (first, count) != (0, facts["size_bytes"]):
            headers["Range"] = f"bytes={first}-{first + count - 1}"
        if etag:
            headers["If-Match"] = f'"{etag}"'
        answer = remote.stream("GET", f"{blob.path}/content", headers=headers)
        try:
            yield answer.chunks()
        finally:
            answer.close()

    return Source(str(blob), facts["size_bytes"], str(etag), opened, facts.get("content_type"))


def read(body: Body) -> Iterator[bytes]:
    """Yield the bytes of a body."""
    if isinstance(body, FilePart):
        while chunk := body.read(CHUNK_BYTES):
            yield chunk
        return
    yield from body
