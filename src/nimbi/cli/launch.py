"""`nimbi launch`."""

import sys
from pathlib import Path
from typing import Any

import click

from nimbi.cli.columns import columns_of
from nimbi.cli.command import Command, Desk, Option, words_of
from nimbi.cli.errors import STATUSES, status_of
from nimbi.cli.forms import Teller
from nimbi.cli.launch_jobs import ANSWERS, POLICIES, is_job, job_of
from nimbi.cli.refs import account_of, id_of
from nimbi.cli.remote import of_account
from nimbi.cli.ssh_keys import NO_LOGIN, known_key, own_key, takes_keys
from nimbi.model.errors import (
    CloudError,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    Unsupported,
)

WAIT_S = 300
LONGEST_WAIT_S = 600
GRACE_S = 30.0

# Options that name something of the account, which the wish tells by its id.
REFERENCES = {"profile": "hardware_profiles", "realm": "realms", "key": "keys"}
MOST_SHOWN = 12

EPILOG = """\b
Examples:
  nimbi launch web --wait
  nimbi launch web -a local --image debian --ssh-key ~/.ssh/id_ed25519.pub --wait
  nimbi launch web -a local -a aws --image 'debian*' --wait
  nimbi launch worker --count 3 --profile small --user-data cloud-init.yaml
  nimbi launch web --count 8 --answers http --on-failure retry-missing --lease 8h
  nimbi launch web --image demo --dry-run

All that can be told of an instance: nimbi instances create --help"""


@click.command(cls=Command, short_help="Start an instance, with the choices made.", epilog=EPILOG)
@click.argument("name", required=False)
@click.option(
    "--image", cls=Option, metavar="IMAGE", help="Id or name; NAME* too. [default: the only one]"
)
@click.option("--profile", cls=Option, metavar="SIZE", help="Hardware profile, by id or name.")
@click.option("--realm", cls=Option, metavar="REALM", help="Where in the cloud.")
@click.option("--key", cls=Option, metavar="KEY", help="A key of the account that may log in.")
@click.option(
    "--ssh-key",
    cls=Option,
    metavar="FILE",
    help="A public key that may log in; the account comes to know it. [default: yours in ~/.ssh]",
)
@click.option("--no-key", cls=Option, is_flag=True, help="No key, not even yours.")
@click.option("--firewall", cls=Option, multiple=True, metavar="FIREWALL", help="In front of it.")
@click.option("--user-data", cls=Option, metavar="FILE", help="For its first boot: cloud-init.")
@click.option("--tag", cls=Option, multiple=True, metavar="NAME=VALUE", help="Kept with it.")
@click.option("--count", cls=Option, type=click.IntRange(1, 100), help="How many.")
@click.option(
    "--on-failure",
    cls=Option,
    type=click.Choice(POLICIES),
    help="Of several, when some cannot be had. [default: keep the others]",
)
@click.option(
    "--answers",
    cls=Option,
    metavar="|".join(ANSWERS),
    help="Until it answers; http:8080/health is another port and path.",
)
@click.option("--lease", cls=Option, metavar="TIME", help="Destroy it after 30m, 8h, 7d.")
@click.option("--detach", cls=Option, is_flag=True, help="Leave it to the server: a job goes on.")
@click.option("--wait", cls=Option, is_flag=True, help="Until it runs.")
@click.option(
    "--patience",
    cls=Option,
    type=click.IntRange(1, 86400),
    default=WAIT_S,
    show_default=True,
    metavar="SECONDS",
    help="How long is waited at most; without a job 600.",
)
@click.option("--dry-run", cls=Option, is_flag=True, help="Check everything short of doing it.")
@click.pass_obj
def launch(desk: Desk, /, **told: Any) -> None:
    """Start an instance under a NAME, with the choices made that are not told.

    The account is the only one, or those of -a, one instance in each. The image is the only one
    of the account unless it is told, the key that may log in is yours; what else is not told is
    the cloud's choice.
    """
    names = desk.accounts or (account_of(desk),)
    started: list[Any] = []
    status = 0
    for account in names:
        try:
            done, state = _launched(desk, account, told)
            started += done
            status = status or state
        except CloudError as error:
            if len(names) == 1:
                raise
            click.echo(f"{account}: {words_of(error.code)}: {error}", err=True)
            status = status or status_of(error.code)
    if told["dry_run"]:
        click.echo("it would be tried; nothing was done", err=True)
    else:
        _tell(desk, started)
    if status:
        raise SystemExit(status)


def _tell(desk: Desk, started: list[Any]) -> None:
    teller = Teller(desk.form, lambda items: columns_of("instances", items))
    teller.tell(started)
    teller.end()
    running = [item for item in started if item["state"] == "running"]
    if running and desk.form == "table" and sys.stderr.isatty():
        one = running[0]
        if one.get("login"):
            click.echo(f"log in: nimbi ssh {one['account']}:{one['id']}", err=True)
        else:
            click.echo(f"{one['account']}:{one['id']}: {NO_LOGIN}", err=True)


def _launched(desk: Desk, account: str, told: dict[str, Any]) -> tuple[list[Any], int]:
    """Return what was started in one account, and the status: not 0 when it is still under way."""
    wish = _wish(desk, account, told)
    query = [("dry_run", "true")] if told["dry_run"] else []
    place = of_account(account, "instances")
    if is_job(desk, told):
        return job_of(desk, account, wish, told)
    if told["count"] is not None:
        body = {"new": wish, "count": told["count"]}
        found = desk.remote.ask("POST", f"{place}/create_many", query, body).value
        return [{"account": account, **item} for item in found.get("items", ())], 0
    timeout_s = 60.0
    if told["wait"] and not told["dry_run"]:
        patience_s = min(told["patience"], LONGEST_WAIT_S)
        query.append(("wait", str(patience_s)))
        timeout_s = patience_s + GRACE_S
    reply = desk.remote.ask("POST", place, query, wish, timeout_s=timeout_s)
    if told["dry_run"]:
        return [], 0
    is_late = reply.status == 202
    if is_late:
        click.echo(f"{account}: it is still under way", err=True)
    return [{"account": account, **reply.value}], STATUSES["timeout"] if is_late else 0


def _wish(desk: Desk, account: str, told: dict[str, Any]) -> dict[str, Any]:
    wish: dict[str, Any] = {"image_id": _image(desk, account, told["image"])}
    if told["name"]:
        wish["name"] = told["name"]
    for option, collection in REFERENCES.items():
        if told[option]:
            field = collection.removesuffix("s") + "_id"
            wish[field] = id_of(desk, collection, account, told[option])
    if key := _login_key(desk, account, told):
        wish["key_id"] = key
    if told["firewall"]:
        wish["firewall_ids"] = [id_of(desk, "firewalls", account, one) for one in told["firewall"]]
    if told["user_data"]:
        wish["user_data"] = _encoded(told["user_data"])
    if told["tag"]:
        pairs = [tag.partition("=") for tag in told["tag"]]
        wish["tags"] = {name: value for name, _, value in pairs}
    return wish


def _image(desk: Desk, account: str, told: str | None) -> str:
    """Return the id of the image that is told, or of the only one. Raises UsageError, Conflict."""
    if told is not None and not told.endswith("*"):
        return id_of(desk, "images", account, told)
    query = [("account", account), ("limit", "100")]
    if told is not None:
        query.append(("name_prefix", told[:-1]))
    if desk.remote.is_here:
        query.append(("fresh", "true"))
    items = desk.remote.ask("GET", "/v1/images", query).value["items"]
    usable = [item for item in items if item["state"] == "available"]
    if len(usable) == 1:
        return str(usable[0]["id"])
    if not usable:
        raise NotFound(
            f"{account} has no such image"
            if told
            else f"{account} has no image (for this machine: nimbi local images build demo)"
        )
    shown = [f"  {item['id']}  {item['name'] or ''}".rstrip() for item in usable[:MOST_SHOWN]]
    more = ["  …"] if len(usable) > MOST_SHOWN else []
    lines = "\n".join([*shown, *more])
    if told is not None:
        raise Conflict(f"{told!r} is several images of {account}:\n{lines}")
    raise click.UsageError(f"which image of {account}? Say --image, one of:\n{lines}")


def _login_key(desk: Desk, account: str, told: dict[str, Any]) -> str | None:
    """Return the id of the key that may log in: of the file that is told, or of this user's own."""
    if told["key"] or told["no_key"]:
        return None
    if told["ssh_key"] is not None:
        file = Path(told["ssh_key"]).expanduser()
        return known_key(desk, account, file, dry_run=told["dry_run"])
    own = own_key(Path.home())
    if own is None or not takes_keys(desk, account):
        return None
    try:
        return known_key(desk, account, own, dry_run=told["dry_run"])
    except (Forbidden, Invalid, Unsupported) as error:
        # Nobody asked for it, and the machine is of use without.
        click.echo(f"{account}: not with your key: {error}", err=True)
        return None


def _encoded(file: str) -> str:
    """Return a file's bytes as JSON has bytes."""
    from base64 import b64encode

    from nimbi.cli.collections.readers import content

    try:
        return b64encode(content(file)).decode()
    except OSError as error:
        raise click.UsageError(f"{file}: {error.strerror}") from error
