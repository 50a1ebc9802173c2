"""What is remembered of a copy that breaks off, so that the next one goes on there."""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from nimbi.cli.config import state_dir, write_private


class Memory:
    """A note on one copy, kept under what it was from and to."""

    def __init__(self, *what: str) -> None:
        digest = hashlib.sha256("\0".join(what).encode("utf-8", "surrogateescape")).hexdigest()
        self._file = state_dir() / "cp" / f"{digest[:32]}.json"

    def read(self) -> dict[str, Any]:
        """Return the note; an empty one when there is none that can be used."""
        try:
            told = json.loads(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return told if isinstance(told, dict) else {}

    def write(self, note: Mapping[str, Any]) -> None:
        write_private(self._file, json.dumps(dict(note)))

    def forget(self) -> None:
        with suppress(OSError):
            self._file.unlink()
