"""Archives in the format that the Linux kernel unpacks as its first root ("newc" cpio)."""

import stat
from collections.abc import Iterable
from dataclasses import dataclass

MAGIC = b"070701"
TRAILER = "TRAILER!!!"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One file, directory or symbolic link. `path` has no leading slash."""

    path: str
    mode: int
    data: bytes = b""


def directory(path: str, permissions: int = 0o755) -> Entry:
    """Return a directory."""
    return Entry(path=path, mode=stat.S_IFDIR | permissions)


def file(path: str, data: bytes, permissions: int = 0o644) -> Entry:
    """Return a regular file."""
    return Entry(path=path, mode=stat.S_IFREG | permissions, data=data)


def link(path: str, target: str) -> Entry:
    """Return a symbolic link to `target`."""
    return Entry(path=path, mode=stat.S_IFLNK | 0o777, data=target.encode())


def archive(entries: Iterable[Entry]) -> bytes:
    """Return the archive. Parents must come before their children.

    Everything belongs to root and has no time, so equal input is equal output.
    Source: Documentation/driver-api/early-userspace/buffer-format.rst of the kernel.
    """
    parts = [_member(number, entry) for number, entry in enumerate(entries, start=1)]
    return b"".join([*parts, _member(0, Entry(path=TRAILER, mode=0))])


def _member(inode: int, entry: Entry) -> bytes:
    name = entry.path.encode() + b"\0"
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    # ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check
    fields = (inode, entry.mode, 0, 0, links, 0, len(entry.data), 0, 0, 0, 0, len(name), 0)
    header = MAGIC + b"".join(b"%08X" % field for field in fields)
    return _padded(header + name) + _padded(entry.data)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
