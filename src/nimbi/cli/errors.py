"""How a command ends that cannot do what it was asked, and what its exit status says."""

from collections.abc import Mapping
from typing import NoReturn

import click

FAILED = 1
WRONG_USE = 2
INCOMPLETE = 3
INTERRUPTED = 130

# Exit status of a command that a cloud, or the server, refused; by the code of the error.
STATUSES: Mapping[str, int] = {
    "cloud_error": FAILED,
    "unauthorized": 10,
    "forbidden": 11,
    "not_found": 12,
    "conflict": 13,
    "invalid": 14,
    "quota_exceeded": 15,
    "out_of_capacity": 16,
    "throttled": 17,
    "unsupported": 18,
    "cloud_unavailable": 19,
    "timeout": 20,
    "unknown_outcome": 21,
}


def fail(text: str, status: int = FAILED) -> NoReturn:
    """Print one line on standard error and exit with a status."""
    click.echo(text, err=True)
    raise SystemExit(status)


def status_of(code: str) -> int:
    """Return the exit status for an error's code; one that is unknown here is a failure."""
    return STATUSES.get(code, FAILED)
