"""How far a copy is, on one line of the terminal."""

import shutil
import sys
import threading
import time
from collections.abc import Iterable, Iterator

from nimbi.cli.columns import seconds
from nimbi.cli.local.words import size
from nimbi.cli.table import visible, width

EVERY_S = 0.1
BAR = 24


class Progress:
    """Tells how far a copy is, when a person looks; `total` None is not known."""

    def __init__(self, name: str, total: int | None, done: int = 0) -> None:
        self.is_shown = sys.stderr.isatty()
        self._name = visible(name)
        self._total = total
        self._done = self._before = done
        self._began = self._told_at = time.monotonic()
        self._longest = 0
        self._lock = threading.Lock()

    def add(self, count: int) -> None:
        """Take note of some more bytes; threads may."""
        now = time.monotonic()
        with self._lock:
            self._done += count
            if self.is_shown and now - self._told_at >= EVERY_S:
                self._told_at = now
                self._write(self._line(now))

    def end(self) -> None:
        """Tell the whole, and leave the line."""
        if self.is_shown:
            self._write(self._line(time.monotonic()))
            sys.stderr.write("\n")
            sys.stderr.flush()

    def counted(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield chunks and take note of them."""
        for chunk in chunks:
            yield chunk
            self.add(len(chunk))

    def _line(self, now: float) -> str:
        took = max(now - self._began, 1e-6)
        speed = (self._done - self._before) / took
        parts = [size(self._done) or "0 B", f"{size(int(speed)) or '0 B'}/s"]
        if self._total:
            share = min(self._done / self._total, 1)
            full = round(share * BAR)
            parts.insert(0, f"[{'#' * full}{'.' * (BAR - full)}] {share:4.0%}")
            left = (self._total - self._done) / speed if speed else 0
            parts.append(f"{seconds(left)} left" if share < 1 else f"in {seconds(took)}")
        return f"{self._name}  {'  '.join(parts)}"

    def _write(self, line: str) -> None:
        room = shutil.get_terminal_size().columns - 1
        shown = line if width(line) <= room else line[:room]
        padding = " " * max(self._longest - len(shown), 0)
        self._longest = len(shown)
        sys.stderr.write(f"\r{shown}{padding}")
        sys.stderr.flush()
