"""`nimbi up`."""

import asyncio
import json
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nimbi.cli import config as configuration
from nimbi.cli.command import ending, words_of
from nimbi.cli.remote import RUNNING, Place, Remote, find, of_account, open_remote
from nimbi.model.errors import CloudError, NotFound

if TYPE_CHECKING:
    from nimbi.settings import Settings

READY_S = 60.0
LOCAL = "local"
MOCK = "mock"

# The login that the mock has from the beginning; whoever reads this knows it.
MOCK_LOGIN = {"user": "mockuser", "password": "mockpassword"}

NEXT = """
Next, in another terminal:
  nimbi accounts discover             logins to clouds that are on this machine already
  nimbi accounts add --help           or one that you tell
  nimbi launch web --wait             a machine
  nimbi instances list                the machines of all clouds
In a browser: {url}/v1/docs (the API), {url}/api (Deltacloud)
"""


@click.command(
    short_help="Start Nimbi for yourself on this machine, all of it.",
    epilog="""\b
Examples:
  nimbi up
  nimbi up --mock                a cloud in memory beside, to play with
  nimbi up --port 8080 &""",
)
@click.option("-p", "--port", type=click.IntRange(0, 65535), help="The port. [default: 3001]")
@click.option("--mock", is_flag=True, help="An account of a cloud that is played, to try all on.")
@click.option("--local/--no-local", default=True, help="An account of this machine's own cloud.")
@click.option(
    "-c",
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Settings, as `nimbi serve` takes them.",
)
def up(port: int | None, mock: bool, local: bool, config: Path | None) -> None:
    """Start Nimbi for yourself on this machine, all of it, until Ctrl-C.

    It makes what is not there yet, in the state directory: the database, the key that encrypts
    logins, a password for the admin, a token for you, each in a file that only you can read; and
    an account of this machine's own cloud, when QEMU is here. Then it serves the native API, the
    Deltacloud API and consoles on 127.0.0.1. All other commands find it by themselves.

    Machines go on when it ends, and it finds them again.
    """
    with ending():
        place = find()
        if place.url and _answers(place):
            click.echo(f"Nimbi is up already: {place.url}")
            return
        _serve(port, config, _Wishes(mock=mock, local=local))


@dataclass(frozen=True)
class _Wishes:
    """Which accounts are to be there."""

    mock: bool
    local: bool


def _answers(place: Place) -> bool:
    remote = open_remote(place)
    try:
        remote.hurried("/v1/login", (), 2.0)
    except CloudError:
        return False
    finally:
        remote.close()
    return True


def _serve(port: int | None, config: Path | None, wishes: _Wishes) -> None:
    from nimbi.cli.here import PASSWORD, TOKEN, first_token, settings_here, usable
    from nimbi.listener import check_tls, listen, make_state_dir, server, url
    from nimbi.settings import FRONTENDS

    settings = settings_here({"port": port, "frontends": FRONTENDS}, config)
    with usable():
        check_tls(settings)
        state = make_state_dir(settings, os.geteuid())
        sock = listen(settings)
        token = asyncio.run(first_token(settings))
    serve = server(settings, sock)
    where = url(settings, sock)
    _tell_place(where, settings, state / TOKEN, state / PASSWORD)
    note = {"url": where, "pid": os.getpid(), "token_file": str(state / TOKEN)}
    configuration.write_private(state / RUNNING, json.dumps(note))
    helper = threading.Thread(
        target=_settle, args=(Place(where, token), wishes, settings), daemon=True
    )
    helper.start()
    try:
        serve()
    finally:
        (state / RUNNING).unlink(missing_ok=True)


def _tell_place(where: str, settings: "Settings", token: Path, password: Path) -> None:
    click.echo(f"Nimbi comes up at {where} (Ctrl-C ends it)")
    for name, file, words in (
        ("state", settings.state_path(), ""),
        ("token", token, "yours, for everything"),
        ("admin", password, "the password of the user admin"),
        ("log", settings.log, ""),
    ):
        click.echo(f"  {name:6} {file}{f'  ({words})' if words else ''}")


def _settle(place: Place, wishes: _Wishes, settings: "Settings") -> None:
    """Wait until the server answers, make the accounts that are wished, and tell what to do."""
    remote = open_remote(place)
    try:
        if not _is_ready(remote):
            return
        try:
            _make_accounts(remote, wishes, settings)
        except CloudError as error:
            click.echo(f"  account: {words_of(error.code)}: {error}", err=True)
        for account in remote.ask("GET", "/v1/accounts").value["items"]:
            click.echo(f"  account {account['id']} ({account['driver']}): {_health(account)}")
        click.echo(NEXT.format(url=place.url))
    except CloudError as error:
        click.echo(f"  {words_of(error.code)}: {error}", err=True)
    finally:
        remote.close()


def _is_ready(remote: Remote) -> bool:
    until = time.monotonic() + READY_S
    while time.monotonic() < until:
        try:
            remote.hurried("/v1/login", (), 2.0)
        except CloudError:
            time.sleep(0.1)
        else:
            return True
    return False


def _health(account: Any) -> str:
    health = account["health"]
    problem = health.get("problem")
    return f"{health['state']}: {problem['message']}" if problem else str(health["state"])


def _make_accounts(remote: Remote, wishes: _Wishes, settings: "Settings") -> None:
    if wishes.mock:
        _ensure(remote, {"id": MOCK, "driver": MOCK, "credentials": MOCK_LOGIN})
    if not wishes.local or _has(remote, LOCAL):
        return
    from nimbi.cli.local.doctor import missing

    lacking = missing(settings.state_path())
    if lacking:
        click.echo(f"  no local cloud: {'; '.join(lacking)}")
        click.echo("                  all of it: nimbi local doctor. To play: nimbi up --mock")
        return
    _ensure(remote, {"id": LOCAL, "driver": LOCAL, "own_login": True})


def _has(remote: Remote, name: str) -> bool:
    try:
        remote.ask("GET", of_account(name))
    except NotFound:
        return False
    return True


def _ensure(remote: Remote, new: dict[str, Any]) -> None:
    if not _has(remote, new["id"]):
        remote.ask("POST", "/v1/accounts", body=new, timeout_s=150.0)
