"""`nimbi login`."""

import sys
from contextlib import suppress
from dataclasses import replace
from enum import Enum, auto
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from nimbi.cli import config
from nimbi.cli.command import ending
from nimbi.cli.errors import fail
from nimbi.cli.table import visible
from nimbi.cli.users import asked_password
from nimbi.model.errors import CloudError
from nimbi.model.people import ROOT

if TYPE_CHECKING:
    from nimbi.cli.remote import Remote


class Entered(NamedTuple):
    """A token that the server took: its file, and who one is with it."""

    file: Path
    text: str


class Way(Enum):
    """How `nimbi login` comes by a token: NARROWED makes one of that which there is."""

    TOKEN = auto()
    NARROWED = auto()
    PASSWORD = auto()
    BROWSER = auto()
    DEVICE = auto()


@click.command(
    short_help="Use a server elsewhere.",
    epilog="""\b
Examples:
  nimbi login https://nimbi.example                  (asks for the token)
  nimbi login https://nimbi.example < token.txt
  nimbi login https://nimbi.example --user ann       (asks for the password)
  nimbi login https://nimbi.example --sso --project acme/web    (in a browser)
  nimbi login --project acme/web                     act there from now on
  nimbi login --account aws                          the account when none is named
  nimbi login --forget                               back to this machine""",
)
@click.argument("url", required=False)
@click.option("--user", metavar="NAME", help="Sign in by a user's name and password.")
@click.option("--sso", is_flag=True, help="Sign in in a browser, at the server's provider.")
@click.option("--device", is_flag=True, help="Sign in there in a browser on another device.")
@click.option("--project", metavar="PLACE", help="Act in this project or domain.")
@click.option("--account", metavar="NAME", help="The account that is meant when none is named.")
@click.option("-o", "--output", metavar="FORM", help="The form of answers when none is told.")
@click.option("--forget", is_flag=True, help="Forget the server and its token.")
def login(
    url: str | None,
    user: str | None,
    sso: bool,
    device: bool,
    project: str | None,
    account: str | None,
    output: str | None,
    forget: bool,
) -> None:
    """Remember the server at URL and a token for it, once the server has taken that.

    The token is read from the terminal or standard input, and kept in a file that only you can
    read, beside config.toml in the XDG configuration folder. Without a URL or a flag it tells what
    is settled.
    """
    with ending():
        settled = config.read()
        way = _way(user, sso, device, project, url)
        if way is not Way.TOKEN and not url:
            url = settled.server or fail("sign in where? nimbi login URL")
        if not (url or forget) and account is None and output is None:
            _tell(settled)
            return
        entered: Entered | None = None
        if forget:
            settled = replace(settled, server=None, token_file=None)
        if url:
            entered = _entered(url, way, user, project)
            settled = replace(settled, server=url, token_file=str(entered.file))
        if account is not None:
            settled = replace(settled, account=account or None)
        if output is not None:
            settled = replace(settled, output=output or None)
        click.echo(f"written: {config.write(settled)}", err=True)
        if entered is not None:
            click.echo(entered.text, err=True)


def _tell(settled: config.Config) -> None:
    """Print what is settled, and where."""
    click.echo(f"{config.config_file()}:")
    for key in config.KEYS:
        click.echo(f"  {key:10} {getattr(settled, key) or '-'}")


def _way(user: str | None, sso: bool, device: bool, project: str | None, url: str | None) -> Way:
    """Return how the token is come by. Raises UsageError when that is told in two ways."""
    told = [
        way
        for way, is_told in ((Way.PASSWORD, user), (Way.BROWSER, sso), (Way.DEVICE, device))
        if is_told
    ]
    if len(told) > 1:
        raise click.UsageError("one of --user, --sso and --device")
    if told:
        return told[0]
    if project is None:
        return Way.TOKEN
    if url is not None:
        raise click.UsageError("a token has its project already: nimbi tokens create --tenant")
    return Way.NARROWED


def _entered(url: str, way: Way, user: str | None, project: str | None) -> Entered:
    """Get a token and keep it once the server has taken it."""
    from nimbi.cli.remote import Place, open_remote

    token = _asked() if way is Way.TOKEN else _signed_in(url, way, user, project)
    remote = open_remote(Place(url.rstrip("/"), token))
    try:
        login = remote.ask("GET", "/v1/login").value
        place = _place(remote, str(login.get("tenant") or ROOT))
    finally:
        remote.close()
    file = config.config_file().with_name("token")
    config.write_private(file, token + "\n")
    return Entered(file, f"you are {visible(login['name'])}, acting in {visible(place)}")


def _place(remote: "Remote", tenant: str) -> str:
    """Return what people call a tenant; its id, when that may not be looked up."""
    from nimbi.cli.remote import segment

    for kind in ("domains", "projects"):
        with suppress(CloudError):
            return str(remote.ask("GET", f"/v1/{kind}/{segment(tenant)}").value["place"])
    return tenant


def _signed_in(url: str, way: Way, user: str | None, project: str | None) -> str:
    from nimbi.cli.remote import Place, find, open_remote

    remote = open_remote(find(None, None) if way is Way.NARROWED else Place(url.rstrip("/")))
    wanted = {"tenant": project} if project is not None else {}
    try:
        if way is Way.NARROWED:
            # Of the token that is there, another one is made.
            made = remote.ask("POST", "/v1/tokens", body={"name": "login", **wanted})
            return str(made.value["secret"])
        if way is Way.PASSWORD:
            login = {"user": user, "password": asked_password("password", twice=False)}
            return str(remote.ask("POST", "/v1/login", body={**login, **wanted}).value["secret"])
        from nimbi.cli.sso import by_browser, by_device

        return (by_device if way is Way.DEVICE else by_browser)(remote, wanted)
    finally:
        remote.close()


def _asked() -> str:
    token = (
        click.prompt("token", hide_input=True, err=True) if sys.stdin.isatty() else sys.stdin.read()
    ).strip()
    if not token or not token.isascii() or not token.isprintable():
        fail("this is no token: nimbi tokens create makes one")
    return token
