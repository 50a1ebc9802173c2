"""`nimbi checks`: whether instances and clouds answer."""

from typing import Any

import click

from nimbi.cli.columns import NONE, Column, age, field, since
from nimbi.cli.command import Command, Desk, Option
from nimbi.cli.forms import tell_all, tell_one
from nimbi.cli.refs import id_of
from nimbi.cli.remote import segment

EPILOG = """\b
Examples:
  nimbi checks create web -a aws --instance i-1 --http /healthz --port 8080
  nimbi checks create web -a aws --instance i-1 --ssh --on-failure restart --email ann@example.com
  nimbi checks create aws -a aws --cloud
  nimbi checks list"""

PLACE = "/v1/checks"


def _thing(item: Any) -> str:
    return f"{item['account']}:{item['instance_id']}" if item["instance_id"] else item["account"]


def _by(item: Any) -> str:
    probe = item["probe"]
    port = f" {probe['port']}" if probe.get("port") else ""
    path = f" {probe['path']}" if probe["kind"] == "http" else ""
    return f"{probe['kind']}{port}{path}"


def _state(item: Any) -> str:
    if not item["is_enabled"]:
        return "disabled"
    return f"{item['state']} for {since(item['since'])}" if item.get("since") else item["state"]


def _said(item: Any) -> str:
    return item["problem"]["message"] if item.get("problem") else NONE


COLUMNS = (
    Column("ID", field("id"), firm=True),
    Column("NAME", field("name")),
    Column("OF", _thing),
    Column("BY", _by),
    Column("STATE", _state, is_state=True),
    Column("CHECKED", age("checked_at")),
    Column("SAID", _said),
)
ACTIONS = (
    Column("JOB", field("id"), firm=True),
    Column("DID", field("kind")),
    Column("AGE", age("at")),
    Column("PROBLEM", _said),
)


@click.group(short_help="Whether instances and clouds answer.", epilog=EPILOG)
def checks() -> None:
    """Look after instances and clouds: what does not answer fires an alert, and is restarted."""


@checks.command("list", cls=Command, short_help="List checks.")
@click.pass_obj
def list_checks(desk: Desk) -> None:
    """List checks and what they said last."""
    query = [("account", desk.account)] if desk.account else []
    tell_all(desk.remote.ask("GET", PLACE, query).value["items"], COLUMNS, desk.form)


@checks.command(cls=Command, short_help="Look after something.", epilog=EPILOG)
@click.argument("name")
@click.option("--instance", cls=Option, metavar="INSTANCE", help="Id or name.")
@click.option("--http", cls=Option, metavar="PATH", help="It answers GET of this path.")
@click.option("--tls", cls=Option, is_flag=True, help="By https.")
@click.option(
    "--status", cls=Option, multiple=True, type=int, help="Which are good. [default: 200]"
)
@click.option("--host", cls=Option, metavar="NAME", help="The Host to ask for.")
@click.option("--ssh", cls=Option, is_flag=True, help="A server of ssh greets.")
@click.option("--tcp", cls=Option, is_flag=True, help="The port takes connections.")
@click.option("--state", cls=Option, is_flag=True, help="Its cloud says that it runs.")
@click.option("--cloud", cls=Option, is_flag=True, help="The account's cloud answers.")
@click.option("--port", cls=Option, type=int, help="The port. [default: the usual one]")
@click.option("--every", cls=Option, type=int, default=60, metavar="SECONDS", show_default=True,
              help="How often it is asked.")  # fmt: skip
@click.option(
    "--failures", cls=Option, type=int, default=3, show_default=True, help="In a row until down."
)
@click.option("--email", cls=Option, multiple=True, metavar="ADDRESS", help="Who is written to.")
@click.option(
    "--on-failure",
    cls=Option,
    type=click.Choice(["restart", "replace"]),
    help="What is done, at most three times in an hour.",
)
@click.pass_obj
def create(desk: Desk, /, name: str, **told: Any) -> None:
    """Look after an instance, or after an account's cloud, from now on."""
    if desk.account is None:
        raise click.UsageError("which account? (-a)")
    new: dict[str, Any] = {
        "name": name,
        "account": desk.account,
        "probe": probe_of(told),
        "every_s": told["every"],
        "failures": told["failures"],
        "emails": list(told["email"]),
    }
    if told["instance"]:
        new["instance_id"] = id_of(desk, "instances", desk.account, told["instance"])
    if told["on_failure"]:
        new["action"] = {"kind": told["on_failure"]}
    tell_one(desk.remote.ask("POST", PLACE, body=new).value, desk.form)


@checks.command(cls=Command, without=("accounts",), short_help="Show a check.")
@click.argument("id")
@click.pass_obj
def show(desk: Desk, id: str) -> None:
    """Show a check and what it said last."""
    tell_one(desk.remote.ask("GET", _path(id)).value, desk.form)


@checks.command(cls=Command, without=("accounts",), short_help="List what was done.")
@click.argument("id")
@click.pass_obj
def actions(desk: Desk, id: str) -> None:
    """List what was done when a check failed: each is a job."""
    tell_all(desk.remote.ask("GET", f"{_path(id)}/actions").value["items"], ACTIONS, desk.form)


@checks.command(cls=Command, without=("accounts",), short_help="Make checks again.")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.pass_obj
def enable(desk: Desk, ids: tuple[str, ...]) -> None:
    """Make checks again, as if they were new."""
    for id in ids:
        tell_one(desk.remote.ask("POST", f"{_path(id)}/enable").value, desk.form)


@checks.command(cls=Command, without=("accounts",), short_help="Make checks no more.")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.pass_obj
def disable(desk: Desk, ids: tuple[str, ...]) -> None:
    """Make checks no more; their alerts are over."""
    for id in ids:
        tell_one(desk.remote.ask("POST", f"{_path(id)}/disable").value, desk.form)


@checks.command(cls=Command, without=("accounts",), short_help="Remove checks.")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.pass_obj
def rm(desk: Desk, ids: tuple[str, ...]) -> None:
    """Remove checks and their results."""
    for id in ids:
        desk.remote.ask("DELETE", _path(id))


def probe_of(told: dict[str, Any]) -> dict[str, Any]:
    """Return how to ask, by the options of `create`. Raises UsageError unless one way is told."""
    ways = [kind for kind in ("http", "ssh", "tcp", "state", "cloud") if told[kind]]
    if len(ways) != 1:
        raise click.UsageError("one way to ask: --http, --ssh, --tcp, --state or --cloud")
    (kind,) = ways
    probe: dict[str, Any] = {"kind": kind}
    if kind == "http":
        probe |= {"path": told["http"], "tls": told["tls"]}
        probe |= {"statuses": list(told["status"])} if told["status"] else {}
        probe |= {"host": told["host"]} if told["host"] else {}
    if told["port"]:
        probe["port"] = told["port"]
    return probe


def _path(id: str) -> str:
    # `-o name` tells it with its account in front.
    return f"{PLACE}/{segment(id.rpartition(':')[2])}"
