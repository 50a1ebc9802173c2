"""`nimbi local`: what concerns the machine of the local cloud and not its guests alone."""

from pathlib import Path

import click

from nimbi.cli.local.doctor import doctor
from nimbi.cli.local.gc import gc
from nimbi.cli.local.images import images
from nimbi.cli.local.place import Place
from nimbi.cli.local.status import status

HELP = """Look after the local cloud of this machine: its programs, its images, its leftovers.

It is found as `nimbi serve` finds it: by flags, then NIMBI_STATE_DIR, then the settings file.
All of this is safe beside a running server, and works without one."""

EPILOG = """\b
Examples:
  nimbi local doctor                what this machine can do, and how to mend what it can't
  nimbi local status                guests, networks and processes of the cloud
  nimbi local images build debian   make the image of a whole Debian
  nimbi local gc --dry-run          what nothing owns any more"""


@click.group("local", help=HELP, epilog=EPILOG, short_help="Look after the cloud of this machine.")
@click.option("--state-dir", metavar="DIR", help="The server's state directory.")
@click.option(
    "-c",
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The server's settings file.",
)
@click.pass_context
def local(context: click.Context, state_dir: str | None, config: Path | None) -> None:
    """Remember where the cloud is, for the command that follows."""
    context.obj = Place(state_dir, config)


for command in (doctor, gc, images, status):
    local.add_command(command)
