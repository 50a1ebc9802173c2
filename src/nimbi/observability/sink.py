"""Where log lines go: one file, appended to, with the frequent lines collected first."""

import asyncio
import os
import sys
from pathlib import Path

# Access lines wait this long, so that a busy server writes once for many requests.
COLLECT_S = 0.25
COLLECT_BYTES = 64 * 1024


class Sink:
    """A file of lines. Lines of `write` are out at once; those of `collect` within COLLECT_S.

    A line that cannot be written (a full disk, a reader that left) is dropped: logs never fail a
    request.
    """

    def __init__(self, file: str | None) -> None:
        """Append to a file, made with mode 0600 when it is new; None is standard error."""
        self.fd = _opened(file) if file else sys.stderr.fileno()
        self.is_terminal = os.isatty(self.fd)
        self._buffer = bytearray()
        self._timer: asyncio.TimerHandle | None = None

    def write(self, line: str) -> None:
        """Write a line that ends in no line feed. May be called in any thread."""
        _write(self.fd, line.encode("utf-8", "backslashreplace") + b"\n")

    def collect(self, line: bytes) -> None:
        """Take a line that ends in a line feed, to be written soon. Needs a running loop."""
        self._buffer += line
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(COLLECT_S, self.flush)
        elif len(self._buffer) > COLLECT_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what is collected."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        lines, self._buffer = self._buffer, bytearray()
        if lines:
            _write(self.fd, lines)


def _opened(file: str) -> int:
    return os.open(Path(file).expanduser(), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def _write(fd: int, data: bytes | bytearray) -> None:
    left = memoryview(data)
    try:
        while left:
            left = left[os.write(fd, left) :]
    except OSError:
        return
