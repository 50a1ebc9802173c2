"""What can go wrong, by code.

QemuError
├── Missing      missing     a program or package is not on this machine
├── NotFound     not_found   no such guest, image or key
├── Conflict     conflict    the name is taken, or the state forbids it
├── Capacity     capacity    it does not fit on this machine
├── Invalid      invalid     the request cannot be meant
├── Unsupported  unsupported this machine, or the chosen kind of network, can't do it
├── Unusable     unusable    the state directory is somebody else's, or of a newer version
├── TimedOut     timeout     not done within the given time
└── Failed       failed      a program did not do its work
"""

from pathlib import Path
from typing import ClassVar


class QemuError(Exception):
    """The root. `code` is stable: act upon it, never upon the text."""

    code: ClassVar[str] = "failed"


class Missing(QemuError):
    """A program is not installed. `packages` are the Debian packages that bring it."""

    code = "missing"

    def __init__(self, what: str, *packages: str) -> None:
        super().__init__(f"{what} is missing: install it with `apt install {' '.join(packages)}`")
        self.packages = packages


class NotFound(QemuError):
    """No guest, image or key has this id."""

    code = "not_found"


class Conflict(QemuError):
    """The name or token is taken by something else, or the state does not allow the request."""

    code = "conflict"


class Capacity(QemuError):
    """Memory, processors, disk or ports of this machine do not suffice."""

    code = "capacity"


class Invalid(QemuError):
    """A value is outside of what is allowed."""

    code = "invalid"


class Unsupported(QemuError):
    """The machine, or the kind of network that it was found to allow, cannot do that."""

    code = "unsupported"


class Unusable(QemuError):
    """The state directory is somebody else's, damaged, or was written by a newer program.

    The text does not tell where it is, since strangers may read it; `place` does.
    """

    code = "unusable"

    def __init__(self, place: Path, why: str) -> None:
        super().__init__(f"the state directory {why}")
        self.place = place


class TimedOut(QemuError):
    """The work was not done within its deadline."""

    code = "timeout"


class Failed(QemuError):
    """A program that had to work did not."""

    code = "failed"
