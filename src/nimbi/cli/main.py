"""The command `nimbi`."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module

import click

EPILOG = """\b
Examples:
  nimbi drivers                     which clouds there are
  nimbi serve -i mock               serve a cloud in memory on http://localhost:3001/api
  nimbi serve -i local              serve real virtual machines on this computer
  nimbi credentials local           the login of that cloud, and where it is kept
  nimbi local doctor                what this computer can do as a cloud
  curl -u mockuser:mockpassword 'http://localhost:3001/api/instances?format=json'

Each command explains itself: nimbi serve --help"""

HELP_FLAGS = {"help_option_names": ["-h", "--help"]}


@dataclass(frozen=True)
class Part:
    """A command that is imported when it is used: its module, named as it, and a line on it."""

    module: str
    text: str


PARTS: Mapping[str, Part] = {
    "credentials": Part("nimbi.cli.credentials", "Show the login of a cloud on this machine."),
    "drivers": Part("nimbi.cli.drivers", "List the clouds that can be served."),
    "local": Part("nimbi.cli.local", "Look after the cloud of this machine."),
    "serve": Part("nimbi.cli.serve", "Serve clouds over HTTP."),
}


class _Parts(click.Group):
    """Commands from PARTS. Help and suggestions for typos need the names and lines alone."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        part = PARTS.get(cmd_name)
        if part is None:
            return None
        command: click.Command = getattr(import_module(part.module), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, part.text) for name, part in PARTS.items()])


@click.group(
    cls=_Parts,
    commands={name: click.Command(name) for name in PARTS},
    epilog=EPILOG,
    context_settings=HELP_FLAGS,
)
@click.version_option(package_name="nimbi", prog_name="nimbi", message="%(prog)s %(version)s")
def main() -> None:
    """Many clouds, one API: a server in front of every cloud."""
