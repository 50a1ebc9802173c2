"""How a command ends that cannot do what it was asked."""

from typing import NoReturn

import click


def fail(text: str) -> NoReturn:
    """Print one line on standard error and exit with status 1."""
    click.echo(text, err=True)
    raise SystemExit(1)
