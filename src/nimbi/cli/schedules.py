"""`nimbi schedules`: jobs that begin by themselves."""

import re
from typing import Any

import click

from nimbi.cli.columns import NONE, Column, age, field
from nimbi.cli.command import Command, Desk, Option
from nimbi.cli.forms import tell_all, tell_one
from nimbi.cli.jobs import parsed
from nimbi.cli.remote import segment
from nimbi.cli.table import visible

PLACE = "/v1/schedules"

EPILOG = """\b
Examples:
  nimbi schedules off-at-night --from 20:00 --to 07:00 --days mon-fri --zone Europe/Berlin \\
      --tag env=dev
  nimbi schedules create bulk '{"action": "instances.reboot", "choice": {"accounts": ["a"]}}' \\
      --cron '0 4 * * sun'
  nimbi schedules times 3f0a      when it is due next
  nimbi schedules pause 3f0a"""

_TIME = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")


def _due(item: Any) -> str:
    if not item["is_enabled"]:
        return "paused"
    return _minute(item.get("next_at"))


def _minute(moment: str | None) -> str:
    return moment[:16].replace("T", " ") + " UTC" if moment else NONE


def _when(item: Any) -> str:
    if item.get("cron"):
        return f"{item['cron']} {item['time_zone']}"
    return _minute(item.get("at"))


def _last(item: Any) -> str:
    return str(item.get("problem") or item.get("last_job") or NONE)


COLUMNS = (
    Column("ID", field("id"), firm=True),
    Column("KIND", field("kind")),
    Column("TITLE", field("title")),
    Column("WHEN", _when),
    Column("DUE", _due, firm=True),
    Column("LAST", _last),
    Column("OWNER", lambda item: str(item["owner"]["name"])),
    Column("AGE", age("created_at")),
)


@click.group(short_help="Jobs that begin by themselves: off at night, leases.", epilog=EPILOG)
def schedules() -> None:
    """Have jobs begin by themselves, each due time once however many servers there are.

    Over a change to daylight saving, a time that is left out is at the change, and one that comes
    twice counts once; with a * as minute or hour it goes by time as it passes.
    """


@schedules.command("list", cls=Command, without=("accounts",), short_help="List all schedules.")
@click.pass_obj
def list_schedules(desk: Desk) -> None:
    """List all schedules, the oldest first."""
    _tell(desk, desk.remote.ask("GET", PLACE).value["items"])


@schedules.command(cls=Command, without=("accounts",), short_help="Begin a job at certain times.")
@click.argument("kind")
@click.argument("arguments")
@click.option("--cron", cls=Option, metavar="EXPRESSION", help="minute hour day month weekday")
@click.option("--at", cls=Option, metavar="TIME", help="Once: 2030-01-01T18:00+01:00.")
@click.option("--zone", cls=Option, default="UTC", show_default=True, help="Europe/Berlin.")
@click.option("--title", cls=Option, metavar="TEXT", help="What people read.")
@click.option(
    "--late",
    cls=Option,
    type=click.IntRange(1, 604800),
    metavar="SECONDS",
    help="Begin it at most so late, when no server worked at its time. [default: 3600]",
)
@click.pass_obj
def create(desk: Desk, /, kind: str, arguments: str, **told: Any) -> None:
    """Begin a job of a KIND with ARGUMENTS, which are JSON, at the times of a cron expression."""
    new = {
        "kind": kind,
        "arguments": parsed(arguments),
        "cron": told["cron"],
        "at": told["at"],
        "time_zone": told["zone"],
        "title": told["title"],
        "late_s": told["late"],
    }
    tell_one(_created(desk, new), desk.form)


@schedules.command(
    "off-at-night",
    cls=Command,
    short_help="Stop instances in the evening, and start them in the morning.",
    epilog=EPILOG,
)
@click.option("--from", "evening", cls=Option, default="20:00", show_default=True, help="Off.")
@click.option("--to", "morning", cls=Option, default="07:00", show_default=True, help="On.")
@click.option("--days", cls=Option, default="*", metavar="DAYS", help="mon-fri. [default: all]")
@click.option("--zone", cls=Option, default="UTC", show_default=True, help="Europe/Berlin.")
@click.option("--tag", cls=Option, multiple=True, metavar="NAME=VALUE", help="Only with this tag.")
@click.option("--name-prefix", cls=Option, metavar="TEXT", help="Only whose names begin so.")
@click.option("--all", "everything", cls=Option, is_flag=True, help="All that there is.")
@click.pass_obj
def off_at_night(desk: Desk, /, **told: Any) -> None:
    """Make two schedules: one stops what runs in the evening, one starts that in the morning.

    In the morning only that is started which was stopped in the evening before; with --days mon-fri
    that of Friday is off until Monday.
    """
    choice: dict[str, Any] = {"filters": {"state": "running"}}
    if told["name_prefix"]:
        choice["filters"]["name_prefix"] = told["name_prefix"]
    if told["tag"]:
        pairs = [tag.partition("=") for tag in told["tag"]]
        choice["tags"] = {name: value for name, _, value in pairs}
    if desk.accounts:
        choice["accounts"] = list(desk.accounts)
    if not (told["name_prefix"] or told["tag"] or desk.accounts or told["everything"]):
        raise click.UsageError("which instances? -a, --tag, --name-prefix, or --all")
    zone, days = told["zone"], told["days"]
    off = {
        "kind": "bulk",
        "arguments": {"action": "instances.stop", "choice": choice},
        "cron": _cron(told["evening"], days),
        "time_zone": zone,
        "title": "off at night",
    }
    evening = _created(desk, off)
    on = {
        "kind": "bulk",
        "arguments": {"action": "instances.start", "done_by": evening["id"]},
        "cron": _cron(told["morning"], days),
        "time_zone": zone,
        "title": f"on in the morning, after {evening['id']}",
    }
    _tell(desk, [evening, _created(desk, on)])


@schedules.command(cls=Command, without=("accounts",), short_help="Show one schedule.")
@click.argument("id")
@click.pass_obj
def show(desk: Desk, id: str) -> None:
    """Show one schedule."""
    tell_one(desk.remote.ask("GET", _path(id)).value, desk.form)


@schedules.command(cls=Command, without=("accounts", "form"), short_help="When it is due next.")
@click.argument("id")
@click.option("--count", cls=Option, type=click.IntRange(1, 100), default=5, show_default=True)
@click.pass_obj
def times(desk: Desk, id: str, count: int) -> None:
    """Tell when a schedule is due next, by the clock of its time zone."""
    from datetime import datetime
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    told = desk.remote.ask("GET", f"{_path(id)}/times", [("count", str(count))]).value
    try:
        zone = ZoneInfo(told["time_zone"])
    except ZoneInfoNotFoundError:
        zone = ZoneInfo("UTC")
    for moment in told["times"]:
        local = datetime.fromisoformat(moment).astimezone(zone)
        click.echo(local.strftime("%a %Y-%m-%d %H:%M %Z (%z)"))


@schedules.command(cls=Command, without=("accounts",), short_help="Change when it is due.")
@click.argument("id")
@click.option("--cron", cls=Option, metavar="EXPRESSION", help="minute hour day month weekday")
@click.option("--at", cls=Option, metavar="TIME", help="Of one that is due once: a lease.")
@click.option("--zone", cls=Option, help="Europe/Berlin.")
@click.option("--title", cls=Option, metavar="TEXT", help="What people read.")
@click.pass_obj
def update(desk: Desk, /, id: str, **told: Any) -> None:
    """Change when a schedule is due: a lease ends later by --at."""
    names = {"cron": "cron", "at": "at", "zone": "time_zone", "title": "title"}
    change = {names[name]: value for name, value in told.items() if value is not None}
    if not change:
        raise click.UsageError("what is to change? --cron, --at, --zone, --title")
    _change(desk, id, change)


@schedules.command(cls=Command, without=("accounts",), short_help="Begin no more jobs.")
@click.argument("id")
@click.pass_obj
def pause(desk: Desk, id: str) -> None:
    """Begin no more jobs, until it is resumed."""
    _change(desk, id, {"is_enabled": False})


@schedules.command(cls=Command, without=("accounts",), short_help="Begin jobs again.")
@click.argument("id")
@click.pass_obj
def resume(desk: Desk, id: str) -> None:
    """Begin jobs again, at the times that are to come."""
    _change(desk, id, {"is_enabled": True})


@schedules.command(cls=Command, without=("accounts",), short_help="Begin its job now.")
@click.argument("id")
@click.pass_obj
def run(desk: Desk, id: str) -> None:
    """Begin a schedule's job now, beside those of its times."""
    tell_one(desk.remote.ask("POST", f"{_path(id)}/run").value, desk.form)


@schedules.command(cls=Command, without=("accounts",), short_help="Remove schedules.")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.pass_obj
def rm(desk: Desk, ids: tuple[str, ...]) -> None:
    """Remove schedules; the jobs that they began stay."""
    for id in ids:
        desk.remote.ask("DELETE", _path(id))


def _cron(time: str, days: str) -> str:
    found = _TIME.fullmatch(time)
    if found is None:
        raise click.UsageError(f"{visible(time)!r} is no time: 20:00")
    return f"{int(found[2])} {int(found[1])} * * {days}"


def _created(desk: Desk, new: dict[str, Any]) -> Any:
    body = {name: value for name, value in new.items() if value is not None}
    return desk.remote.ask("POST", PLACE, body=body).value


def _change(desk: Desk, id: str, change: dict[str, Any]) -> None:
    tell_one(desk.remote.ask("PATCH", _path(id), body=change).value, desk.form)


def _tell(desk: Desk, items: list[Any]) -> None:
    tell_all(items, COLUMNS, desk.form)


def _path(id: str) -> str:
    return f"{PLACE}/{segment(id)}"
