"""Where log lines go: one file, appended to."""

import os
import sys
from pathlib import Path


class Sink:
    """A file of lines; each write goes out at once. May be used in any thread.

    A line that cannot be written (a full disk, a reader that left) is dropped: logs never fail a
    request.
    """

    def __init__(self, file: str | None) -> None:
        """Append to a file, made with mode 0600 when it is new; None is standard error."""
        self._fd = _opened(file) if file else _standard_error()
        self.is_terminal = os.isatty(self._fd)

    def write(self, line: str) -> None:
        """Write a line that ends in no line feed."""
        self.write_bytes(line.encode("utf-8", "backslashreplace") + b"\n")

    def write_bytes(self, lines: bytes) -> None:
        """Write lines that end in line feeds."""
        left = memoryview(lines)
        try:
            while left:
                left = left[os.write(self._fd, left) :]
        except OSError:
            return


def _standard_error() -> int:
    # Where it is closed, its number may be that of a client's connection by now.
    return 2 if sys.stderr is not None else os.open(os.devnull, os.O_WRONLY)


def _opened(file: str) -> int:
    return os.open(Path(file).expanduser(), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
