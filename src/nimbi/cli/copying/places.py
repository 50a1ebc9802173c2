"""Where copies come from and go to: `./file`, `aws:bucket/key`, `-`."""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from nimbi.cli.remote import of_account

# An account's name, a colon, a bucket, and perhaps a key.
REMOTE = re.compile(r"([a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?):([^/]+)(?:/(.*))?", re.DOTALL)

STANDARD = "-"


@dataclass(frozen=True)
class Blob:
    """A place in a bucket of an account; a `key` that is empty or ends in `/` is a folder."""

    account: str
    bucket: str
    key: str

    def __str__(self) -> str:
        return f"{self.account}:{self.bucket}/{self.key}"

    @property
    def is_folder(self) -> bool:
        return not self.key or self.key.endswith("/")

    @property
    def name(self) -> str:
        """Return the last part of the key."""
        return self.key.rstrip("/").rpartition("/")[2]

    @property
    def path(self) -> str:
        """Return where it is in the API."""
        return f"{of_account(self.account, 'buckets', self.bucket)}/blobs/{_one(self.key)}"

    def within(self, name: str) -> "Blob":
        """Return a place below this folder."""
        return Blob(self.account, self.bucket, f"{self.key}{name}")


@dataclass(frozen=True)
class File:
    """A place on this machine."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True)
class Stream:
    """Standard input or output."""

    def __str__(self) -> str:
        return STANDARD


Place = Blob | File | Stream


def parsed(text: str) -> Place:
    """Return the place that a text names. What is there as a file is that file."""
    if text == STANDARD:
        return Stream()
    found = REMOTE.fullmatch(text)
    if found is None or text.startswith((".", "/", "~")) or Path(text).exists():
        return File(Path(text).expanduser())
    return Blob(found[1], found[2], found[3] or "")


def _one(key: str) -> str:
    """Return a key as one part of a path; dots alone would be resolved on the way."""
    return key.replace(".", "%2E") if key in {".", ".."} else quote(key, safe="")
