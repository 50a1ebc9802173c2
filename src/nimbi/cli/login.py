"""`nimbi login`."""

import sys
from dataclasses import replace
from pathlib import Path

import click

from nimbi.cli import config
from nimbi.cli.command import ending
from nimbi.cli.errors import fail


@click.command(
    short_help="Use a server elsewhere.",
    epilog="""\b
Examples:
  nimbi login https://nimbi.example                  (asks for the token)
  nimbi login https://nimbi.example < token.txt
  nimbi login --account aws                          the account when none is named
  nimbi login --forget                               back to this machine""",
)
@click.argument("url", required=False)
@click.option("--account", metavar="NAME", help="The account that is meant when none is named.")
@click.option("-o", "--output", metavar="FORM", help="The form of answers when none is told.")
@click.option("--forget", is_flag=True, help="Forget the server and its token.")
def login(url: str | None, account: str | None, output: str | None, forget: bool) -> None:
    """Remember the server at URL and a token for it, once the server has taken that.

    The token is read from the terminal or standard input, and kept in a file that only you can
    read, beside config.toml in the XDG configuration folder. Without a URL or a flag it tells what
    is settled.
    """
    with ending():
        settled = config.read()
        if not (url or forget) and account is None and output is None:
            _tell(settled)
            return
        if forget:
            settled = replace(settled, server=None, token_file=None)
        if url:
            settled = replace(settled, server=url, token_file=str(_checked(url)))
        if account is not None:
            settled = replace(settled, account=account or None)
        if output is not None:
            settled = replace(settled, output=output or None)
        click.echo(f"written: {config.write(settled)}", err=True)


def _tell(settled: config.Config) -> None:
    """Print what is settled, and where."""
    click.echo(f"{config.config_file()}:")
    for key in config.KEYS:
        click.echo(f"  {key:10} {getattr(settled, key) or '-'}")


def _checked(url: str) -> Path:
    """Ask for a token and keep it once the server has taken it; return its file."""
    from nimbi.cli.remote import Place, open_remote

    token = (
        click.prompt("token", hide_input=True, err=True) if sys.stdin.isatty() else sys.stdin.read()
    ).strip()
    if not token or not token.isascii() or not token.isprintable():
        fail("this is no token: nimbi tokens create makes one")
    remote = open_remote(Place(url.rstrip("/"), token))
    try:
        remote.ask("GET", "/v1/accounts")
    finally:
        remote.close()
    file = config.config_file().with_name("token")
    config.write_private(file, token + "\n")
    return file
