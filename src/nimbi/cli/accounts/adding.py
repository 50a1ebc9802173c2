"""`nimbi accounts add` and `change`: logins that a person tells."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from nimbi.cli.accounts.telling import tell
from nimbi.cli.command import Command, Desk, Option
from nimbi.cli.remote import of_account, segment


@click.command(
    cls=Command,
    without=("accounts",),
    short_help="Remember a login to a cloud.",
    epilog="""\b
Examples:
  nimbi accounts add aws --driver ec2 --provider eu-west-1      (asks for the login)
  nimbi accounts add os --driver openstack --credentials login.json
  pass show aws | nimbi accounts add aws --driver ec2 --credentials -
  nimbi accounts add local --driver local --own-login

\b
login.json has the fields that the driver asks for:
  {"user": "AKIA…", "password": "…"}""",
)
@click.argument("name")
@click.option(
    "--driver", required=True, cls=Option, metavar="NAME", help="The kind of cloud: nimbi drivers."
)
@click.option("--provider", cls=Option, metavar="PROVIDER", help="Where it is: a region, a URL.")
@click.option(
    "--credentials",
    cls=Option,
    metavar="FILE",
    help="A JSON file with the login; - is standard input. [default: ask for each field]",
)
@click.option(
    "--own-login",
    cls=Option,
    is_flag=True,
    help="The login that the cloud of the server's own machine made up: local.",
)
@click.option("--tag", cls=Option, multiple=True, metavar="NAME=VALUE", help="Kept with it.")
@click.option(
    "--test/--no-test", cls=Option, default=True, help="Ask the cloud before. [default: test]"
)
@click.option("--dry-run", cls=Option, is_flag=True, help="Check it all, and keep nothing.")
@click.pass_obj
def add(
    desk: Desk,
    name: str,
    driver: str,
    provider: str | None,
    credentials: str | None,
    own_login: bool,
    tag: tuple[str, ...],
    test: bool,
    dry_run: bool,
) -> None:
    """Remember a login to a cloud under a NAME, once the cloud has taken it.

    Logins are never told on the command line, where other users of the machine could see them.
    """
    new: dict[str, Any] = {"id": name, "driver": driver, "tags": _tags(tag)}
    if provider is not None:
        new["provider"] = provider
    if own_login:
        new["own_login"] = True
    else:
        new["credentials"] = _login(desk, driver, credentials)
    create(desk, new, test=test, dry_run=dry_run)


def create(desk: Desk, new: dict[str, Any], *, test: bool, dry_run: bool = False) -> None:
    query = [("test", "false")] if not test else []
    query += [("dry_run", "true")] if dry_run else []
    made = desk.remote.ask("POST", "/v1/accounts", query, new, timeout_s=150.0).value
    if dry_run:
        click.echo(f"{new['id']} would be kept; nothing was", err=True)
    else:
        tell(desk, [made])


def _tags(told: tuple[str, ...]) -> dict[str, str]:
    pairs = [tag.partition("=") for tag in told]
    for name, equals, _ in pairs:
        if not equals or not name:
            raise click.BadParameter(f"{name!r} is not NAME=VALUE", param_hint="--tag")
    return {name: value for name, _, value in pairs}


def _login(desk: Desk, driver: str, file: str | None) -> Any:
    """Return the fields of a login: of a file, or asked one by one."""
    if file is None:
        if not sys.stdin.isatty():
            raise click.UsageError("say --credentials FILE, or --own-login")
        return _asked(desk, driver)
    try:
        told = sys.stdin.read() if file == "-" else Path(file).expanduser().read_text()
        return json.loads(told)
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{file}: {error}") from error
    except ValueError as error:
        # The parser's words could quote the secret.
        raise click.UsageError(f"{file}: not a JSON object") from error


def _asked(desk: Desk, driver: str) -> dict[str, Any]:
    facts = desk.remote.ask("GET", f"/v1/drivers/{segment(driver)}").value
    schema = facts["credentials"]
    while "$ref" in schema:
        schema = facts["credentials"]["$defs"][schema["$ref"].rpartition("/")[2]]
    found: dict[str, Any] = {}
    for name in schema["properties"]:
        needed = name in schema.get("required", ())
        words = name.replace("_", " ")
        value = click.prompt(
            words if needed else f"{words} (may be empty)",
            hide_input=name not in {"user", "username", "access_key", "auth_url", "domain"},
            default=None if needed else "",
            show_default=False,
            err=True,
        )
        if value or needed:
            found[name] = value
    return found


@click.command(cls=Command, without=("accounts",), short_help="Give an account another login.")
@click.argument("name")
@click.option("--credentials", cls=Option, metavar="FILE", help="A JSON file; - is standard input.")
@click.option("--provider", cls=Option, metavar="PROVIDER", help="Another region or URL.")
@click.option(
    "--tag", cls=Option, multiple=True, metavar="NAME=VALUE", help="In place of all tags."
)
@click.pass_obj
def change(
    desk: Desk, name: str, credentials: str | None, provider: str | None, tag: tuple[str, ...]
) -> None:
    """Give an account another login, provider or tags, once its cloud has taken it."""
    told: dict[str, Any] = {}
    if credentials is not None:
        driver = desk.remote.ask("GET", of_account(name)).value["driver"]
        told["credentials"] = _login(desk, driver, credentials)
    if provider is not None:
        told["provider"] = provider
    if tag:
        told["tags"] = _tags(tag)
    if not told:
        raise click.UsageError("nothing is to be changed: --credentials, --provider or --tag")
    tell(desk, [changed(desk, name, told)])


def changed(desk: Desk, name: str, change: dict[str, Any]) -> Any:
    """Return an account after a change."""
    return desk.remote.ask("PATCH", of_account(name), body=change, timeout_s=150.0).value
