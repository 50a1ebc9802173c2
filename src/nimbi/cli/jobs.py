"""`nimbi jobs`: long work that the server does."""

import time
from collections.abc import Callable
from typing import Any

import click

from nimbi.cli.columns import NONE, PAST, Column, age, field, until
from nimbi.cli.command import Command, Desk, Option, words_of
from nimbi.cli.errors import FAILED, INCOMPLETE, status_of
from nimbi.cli.forms import Teller, name_of, tell_all, tell_one
from nimbi.cli.named import named_one
from nimbi.cli.remote import segment
from nimbi.cli.table import visible
from nimbi.model.errors import CloudUnavailable, Conflict, Timeout

PLACE = "/v1/jobs"
ENDS = frozenset({"done", "failed", "cancelled"})
STATES = ("queued", "running", "cancelling", *sorted(ENDS))
# One request waits so long; the server allows more, proxies often less.
WAIT_S = 50
GRACE_S = 30.0
BAR = 20
# An id may be told by how it begins: of the newest jobs; ids are as long as this.
SHORTENED, LOOKED_AMONG = 28, 1000
# A server that is started anew is back within this time.
AWAY_S, AWAY_PAUSE_S = 120.0, 1.0

EPILOG = """\b
Examples:
  nimbi jobs watch                            all that goes on, as it goes on
  nimbi jobs list --state failed
  nimbi jobs wait 5f2c1a && echo done
  nimbi jobs bulk instances.stop --tag env=dev -a aws --wait
  nimbi jobs start bulk '{"action": "instances.stop", "choice": {"tags": {"env": "dev"}}}'"""


def bar(item: Any) -> str:
    """Return how far a job is: `████████            40%`."""
    full = BAR * int(item.get("percent") or 0) // 100
    return f"{'█' * full}{' ' * (BAR - full)} {item.get('percent') or 0:3}%"


def what(item: Any) -> str:
    """Return what a job does now, or how it ended."""
    if item.get("error"):
        return f"{words_of(item['error']['code'])}: {item['error']['message']}"
    if item["state"] in ENDS:
        return failures_of(item) or NONE
    if item["state"] == "queued":
        return "is about to begin"
    words = [item.get("phase"), item.get("activity")]
    return ": ".join(word for word in words if word) or NONE


def failures_of(item: Any) -> str:
    """Return how many parts of a job that is done have failed, nothing for none."""
    result = item.get("result")
    failures = result.get("failures") if isinstance(result, dict) else None
    return f"{len(failures)} failed: {failures[0]['problem']['message']}" if failures else ""


def _left(item: Any) -> str:
    if item["state"] in ENDS:
        return NONE
    left = until(item.get("estimate_at"))
    return "soon" if left == PAST else left


COLUMNS = (
    Column("ID", field("id"), firm=True),
    Column("TITLE", field("title")),
    Column("STATE", field("state"), is_state=True),
    Column("DONE", bar, firm=True),
    Column("LEFT", _left),
    Column("WHAT", what),
    Column("OWNER", lambda item: str(item["owner"]["name"])),
    Column("AGE", age("created_at")),
)


@click.group(short_help="Long work that the server does: list, watch, cancel.", epilog=EPILOG)
def jobs() -> None:
    """Look after jobs: work that goes on when its server dies, and cleans up when cancelled."""


@jobs.command("list", cls=Command, without=("accounts",), short_help="List jobs.")
@click.option("--state", cls=Option, multiple=True, type=click.Choice(STATES), help="Only these.")
@click.option("--kind", cls=Option, multiple=True, metavar="KIND", help="Only of these kinds.")
@click.option("--mine", cls=Option, is_flag=True, help="Only those that you began.")
@click.option("--limit", cls=Option, type=click.IntRange(1, 1000), default=50, show_default=True)
@click.pass_obj
def list_jobs(
    desk: Desk, state: tuple[str, ...], kind: tuple[str, ...], mine: bool, limit: int
) -> None:
    """List jobs, the newest first."""
    query = [("limit", str(limit))]
    query += [("state", ",".join(state))] if state else []
    query += [("kind", ",".join(kind))] if kind else []
    query += [("mine", "true")] if mine else []
    tell_all(desk.remote.ask("GET", PLACE, query).value["items"], COLUMNS, desk.form)


@jobs.command(cls=Command, without=("accounts",), short_help="Show one job.")
@click.argument("id")
@click.pass_obj
def show(desk: Desk, id: str) -> None:
    """Show one job, and what it came to."""
    tell_job(desk, desk.remote.ask("GET", path_of(desk, id)).value)


@jobs.command(cls=Command, without=("accounts",), short_help="Show what a job told.")
@click.argument("id")
@click.pass_obj
def log(desk: Desk, id: str) -> None:
    """Show what a job told, the oldest first."""
    items = desk.remote.ask("GET", f"{path_of(desk, id)}/log").value["items"]
    if desk.form == "table":
        for line in items:
            click.echo(f"{line['at'][:19].replace('T', ' ')}  {visible(line['text'])}")
        return
    teller = Teller(desk.form, lambda _: (Column("AT", field("at")), Column("TEXT", field("text"))))
    teller.tell(items)
    teller.end()


@jobs.command(cls=Command, without=("accounts",), short_help="End jobs early.")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.option("--wait", cls=Option, is_flag=True, help="Until they have cleaned up.")
@click.pass_obj
def cancel(desk: Desk, ids: tuple[str, ...], wait: bool) -> None:
    """End jobs early: each removes what it made, as far as its kind does that."""
    for id in ids:
        job = desk.remote.ask("POST", f"{path_of(desk, id)}/cancel").value
        if wait:
            job = ended(desk, job)
        tell_job(desk, job)


@jobs.command("wait", cls=Command, without=("accounts",), short_help="Wait for a job's end.")
@click.argument("id")
@click.pass_obj
def wait_for(desk: Desk, id: str) -> None:
    """Wait for a job's end, and show what it came to. The exit status says how it ended."""
    job = ended(desk, desk.remote.ask("GET", path_of(desk, id)).value)
    tell_job(desk, job)
    leave(job)


@jobs.command(cls=Command, without=("accounts", "form"), short_help="Watch what goes on.")
@click.argument("id", required=False)
@click.pass_obj
def watch(desk: Desk, id: str | None) -> None:
    """Watch all jobs, or one until its end, as they go on. Ctrl-C ends it, not the jobs."""
    from nimbi.cli import jobs_view

    jobs_view.watch(desk, id)


@jobs.command(cls=Command, without=("accounts",), short_help="Begin a job of any kind.")
@click.argument("kind")
@click.argument("arguments", default="{}")
@click.option("--title", cls=Option, metavar="TEXT", help="What people read.")
@click.option("--wait", cls=Option, is_flag=True, help="Until it has ended.")
@click.pass_obj
def start(desk: Desk, kind: str, arguments: str, title: str | None, wait: bool) -> None:
    """Begin a job of a KIND with ARGUMENTS, which are JSON: see nimbi jobs kinds."""
    job = begun(desk, kind, parsed(arguments), title)
    if wait:
        job = ended(desk, job)
    tell_job(desk, job)
    if wait:
        leave(job)


@jobs.command(cls=Command, short_help="Do one thing to many.", epilog=EPILOG)
@click.argument("action")
@click.option("--tag", cls=Option, multiple=True, metavar="NAME=VALUE", help="Only with this tag.")
@click.option("--name-prefix", cls=Option, metavar="TEXT", help="Only whose names begin so.")
@click.option("--state", cls=Option, metavar="STATE", help="Only in this state.")
@click.option("--all", "everything", cls=Option, is_flag=True, help="All that there is.")
@click.option("--wait", cls=Option, is_flag=True, help="Until it has ended.")
@click.pass_obj
def bulk(desk: Desk, /, action: str, wait: bool, **told: Any) -> None:
    """Do an ACTION such as instances.stop to all things that fit, once the job begins."""
    if any("=" not in tag for tag in told["tag"]):
        raise click.UsageError("--tag is NAME=VALUE")
    filters = {name: told[name] for name in ("name_prefix", "state") if told[name]}
    choice = {
        "accounts": list(desk.accounts),
        "filters": filters,
        "tags": dict(tag.split("=", 1) for tag in told["tag"]),
        "everything": told["everything"],
    }
    if not any(choice.values()):
        raise click.UsageError("to which? -a, --tag, --name-prefix, --state, or --all")
    job = begun(desk, "bulk", {"action": action, "choice": choice})
    if wait:
        job = ended(desk, job)
    tell_job(desk, job)
    if wait:
        leave(job)


@jobs.command(cls=Command, without=("accounts",), short_help="List the kinds of jobs.")
@click.pass_obj
def kinds(desk: Desk) -> None:
    """List the kinds of jobs; with -o json, with what they take."""
    teller = Teller(
        desk.form, lambda _: (Column("NAME", field("name"), firm=True), Column("", field("text")))
    )
    teller.tell(desk.remote.ask("GET", "/v1/job-kinds").value["items"])
    teller.end()


def parsed(arguments: str) -> Any:
    """Return arguments that are told as JSON. Raises UsageError."""
    import json

    try:
        return json.loads(arguments)
    except ValueError as error:
        raise click.UsageError(f"the arguments are no JSON: {error}") from error


def tell_job(desk: Desk, job: Any) -> None:
    """Print one job; to people in short: its owner, and the things that it came to."""
    if desk.form == "table":
        owner = named_one(desk, job["owner"])
        job = job | {"owner": f"{owner['name']}, in {owner['tenant']}"}
        if isinstance(result := job.pop("result", None), dict):
            job |= {name: _in_short(value) for name, value in result.items()}
    tell_one(job, desk.form)


def _in_short(value: Any) -> Any:
    """Return things as commands name them: `aws:i-1`."""
    if isinstance(value, list):
        return [_in_short(one) for one in value]
    if isinstance(value, dict) and "new_id" in value:
        moved = value["account"], value["instance_id"], value["target"], value["new_id"]
        return "{}:{} to {}:{}".format(*moved)
    if isinstance(value, dict) and "problem" in value:
        return f"{value.get('name') or name_of(value)}: {value['problem']['message']}"
    return name_of(value) if isinstance(value, dict) and "id" in value else value


def begun(desk: Desk, kind: str, arguments: Any, title: str | None = None) -> Any:
    """Return a job that is begun. Raises UsageError where no server does jobs."""
    if desk.remote.is_here:
        raise click.UsageError("no server runs that could do it: nimbi up")
    body = {"kind": kind, "arguments": arguments}
    if title:
        body["title"] = title
    return desk.remote.ask("POST", PLACE, body=body).value


def ended(desk: Desk, job: Any) -> Any:
    """Return a job when it has ended; people see meanwhile how far it is."""
    from nimbi.cli import jobs_view

    with jobs_view.line() as tell:
        try:
            while job["state"] not in ENDS:
                tell(job)
                wait_s = jobs_view.WAIT_S if jobs_view.is_seen() else WAIT_S
                job = _looked_at(desk, job, [("wait", str(wait_s))], wait_s + GRACE_S, tell)
        except (CloudUnavailable, Timeout, KeyboardInterrupt):
            click.echo(f"\nit goes on without this command: nimbi jobs wait {job['id']}", err=True)
            raise
    return job


def _looked_at(
    desk: Desk,
    job: Any,
    query: list[tuple[str, str]],
    timeout_s: float,
    tell: Callable[[Any], None],
) -> Any:
    """Return how a job is now. A server that is not there is waited for: jobs outlive servers."""
    until = time.monotonic() + AWAY_S
    while True:
        try:
            return desk.remote.ask("GET", f"{PLACE}/{job['id']}", query, timeout_s=timeout_s).value
        except (CloudUnavailable, Timeout):
            if time.monotonic() >= until:
                raise
            tell(job | {"phase": "", "activity": "the server is away; the job outlives it"})
            time.sleep(AWAY_PAUSE_S)


def leave(job: Any) -> None:
    """Exit with the status that says how a job ended; go on when it went well."""
    if job["state"] == "done":
        if failures_of(job):
            raise SystemExit(INCOMPLETE)
        return
    error = job.get("error")
    if error:
        click.echo(f"{words_of(error['code'])}: {visible(error['message'])}", err=True)
        raise SystemExit(status_of(error["code"]))
    click.echo(f"the job is {job['state']}", err=True)
    raise SystemExit(FAILED)


def path_of(desk: Desk, told: str) -> str:
    """Return the place of a job whose id is told, or how the id of only one begins.

    Raises Conflict when those of several begin so.
    """
    if len(told) < SHORTENED:
        query = [("limit", str(LOOKED_AMONG))]
        items = desk.remote.ask("GET", PLACE, query).value["items"]
        ids = [item["id"] for item in items if item["id"].startswith(told)]
        if len(ids) > 1 and told not in ids:
            raise Conflict(f"several jobs' ids begin with {told!r}: {', '.join(ids[:10])}")
        told = ids[0] if len(ids) == 1 else told
    return f"{PLACE}/{segment(told)}"
