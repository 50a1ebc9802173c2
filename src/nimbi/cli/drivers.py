"""`nimbi drivers`."""

import sys
from typing import TYPE_CHECKING

import click

from nimbi.cli.errors import fail

if TYPE_CHECKING:
    from nimbi.gateway.registry import Registry


@click.command(
    short_help="List the clouds that can be served.",
    epilog="\b\nExamples:\n  nimbi drivers\n  nimbi drivers mock",
)
@click.argument("name", required=False)
def drivers(name: str | None) -> None:
    """List the drivers that are installed, one a line: its name and its cloud.

    With a NAME: what that driver supports, one operation a line.
    """
    from nimbi.gateway.registry import Registry, UnknownDriver

    registry = Registry()
    if name is not None:
        try:
            click.echo("\n".join(sorted(registry.supported(name))))
        except UnknownDriver as error:
            fail(str(error))
        return
    rows = [(each, *_told(registry, each)) for each in registry.names()]
    if sys.stdout.isatty():
        _show(rows)
    else:
        for row in rows:
            click.echo("\t".join(row))


def _told(registry: "Registry", name: str) -> tuple[str, str]:
    from nimbi.gateway.registry import UnknownDriver

    try:
        return registry.driver(name).title, f"{len(registry.supported(name))} operations"
    except UnknownDriver as error:
        return "", str(error)


def _show(rows: list[tuple[str, str, str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("driver", "cloud", "supports")
    for row in rows:
        table.add_row(*row)
    Console().print(table)
