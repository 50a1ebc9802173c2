"""The command `nimbi`, as click has it."""

from importlib import import_module

import click

from nimbi.cli.parts import PARTS, THINGS, help_text

HELP_FLAGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class _Parts(click.Group):
    """Commands from PARTS. Help and suggestions for typos need the names and lines alone."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        name = cmd_name.replace("_", "-")
        part = PARTS.get(name)
        if part is None:
            return None
        module = import_module(part.module)
        word = name.replace("-", "_")
        made = module.group_of(word, part.text) if part.section == THINGS else getattr(module, word)
        command: click.Command = made
        return command

    def get_help(self, ctx: click.Context) -> str:
        return help_text()


@click.group(
    cls=_Parts,
    commands={name: click.Command(name, short_help=part.text) for name, part in PARTS.items()},
    context_settings=HELP_FLAGS,
)
@click.version_option(package_name="nimbi", prog_name="nimbi", message="%(prog)s %(version)s")
def main() -> None:
    """Many clouds, one API, one list."""
