"""`nimbi backup` and `nimbi restore`."""

import asyncio
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import click

from nimbi.cli.command import ending

# Of databases that are files; of others nobody knows here what is in them.
FILES = "sqlite:///"

DATABASE = click.option(
    "--database",
    metavar="URL",
    help="The database. [variable NIMBI_DATABASE; default: nimbi.db in the state directory]",
)
CONFIG = click.option(
    "-c",
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The server's settings file.",
)


@click.command(
    short_help="Write all that Nimbi remembers to one file.",
    epilog="""\b
Examples:
  nimbi backup nimbi.backup
  nimbi backup --database postgresql://nimbi@db/nimbi nimbi.backup""",
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@DATABASE
@CONFIG
def backup(file: Path, database: str | None, config: Path | None) -> None:
    """Write all that Nimbi remembers to a FILE of mode 0600, also while servers run.

    Stored logins are in it as they are kept: encrypted. The operator's key is not in it: keep that
    elsewhere, or the logins cannot be read again.
    """
    from nimbi.store.backup import back_up

    _finish(lambda url: back_up(url, file), database, config)
    click.echo(f"written: {file}", err=True)


@click.command(
    short_help="Bring back what a backup holds.",
    epilog="""\b
Examples:
  nimbi restore nimbi.backup
  nimbi restore --database postgresql://nimbi@db/nimbi nimbi.backup     move to PostgreSQL""",
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@DATABASE
@CONFIG
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def restore(file: Path, database: str | None, config: Path | None, yes: bool) -> None:
    """Put what is in a backup in the place of all that Nimbi remembers now.

    A backup of one kind of database can be restored into the other. It does not bring the
    operator's key along: that must be the one of the backup.
    """
    from nimbi.store.backup import restore as put_back

    if not yes and not _is_new(database, config):
        if not sys.stdin.isatty():
            raise click.UsageError("all that is remembered now would be forgotten: say --yes")
        click.confirm(f"forget all that is remembered now, for {file}?", abort=True, err=True)
    _finish(lambda url: put_back(url, file), database, config)
    click.echo(f"restored: {file}; nimbi doctor tells whether the operator's key fits", err=True)


def _is_new(database: str | None, config: Path | None) -> bool:
    """Return whether there is no database yet: a file that is not there."""
    with ending():
        from nimbi.cli.here import settings_here
        from nimbi.server import broker_options

        url = broker_options(settings_here({"database": database}, config)).database
        return url.startswith(FILES) and not Path(url.removeprefix(FILES)).exists()


def _finish(work: Any, database: str | None, config: Path | None) -> None:
    with ending():
        from nimbi.cli.here import settings_here, usable
        from nimbi.server import broker_options

        settings = settings_here({"database": database}, config)
        task: Coroutine[Any, Any, None] = work(broker_options(settings).database)
        with usable():
            asyncio.run(task)
