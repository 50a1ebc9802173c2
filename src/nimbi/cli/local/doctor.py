"""`nimbi local doctor`."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nimbi.cli.local.place import Place, finish

if TYPE_CHECKING:
    from nimbi.qemu.doctor import Diagnosis

COLOURS = {"ok": "green", "limited": "yellow", "missing": "red"}


@click.command(
    short_help="Say what this machine can and can't do.",
    epilog="""\b
Examples:
  nimbi local doctor
  nimbi local doctor --json | jq '.[] | select(.verdict != "ok")'""",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list, for programs.")
@click.pass_obj
def doctor(place: Place, as_json: bool) -> None:
    """Say what this machine can and can't do as a cloud, what follows, and how to mend it.

    Each check is ok, limited (it works in part, or slowly) or missing. The exit status is 1 when
    no guest can be run at all. Nothing is changed.
    """
    from nimbi.qemu.doctor import Host, Verdict, examine

    root, settings = place.find()
    told = finish(examine(Host(state=root, network=settings.network)))
    if as_json:
        click.echo(json.dumps([_fields(each) for each in told], indent=1))
    elif sys.stdout.isatty():
        _show(told)
    else:
        click.echo("\n".join(line for each in told for line in _lines(each)))
    if any(each.essential and each.finding.verdict is Verdict.MISSING for each in told):
        raise SystemExit(1)


def _fields(told: "Diagnosis") -> dict[str, object]:
    found = told.finding
    return {
        "check": told.name,
        "verdict": found.verdict.value,
        "essential": told.essential,
        "found": found.found,
        "follows": found.follows,
        "mend": found.mend,
    }


def _lines(told: "Diagnosis") -> list[str]:
    found = told.finding
    more = [("so", found.follows), ("mend", found.mend)]
    return [
        f"{found.verdict.value:8} {told.name}: {found.found}",
        *(f"{'':8} {word}: {text}" for word, text in more if text),
    ]


def _show(told: "list[Diagnosis]") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("", "check", "found", show_lines=False, box=None)
    for each in told:
        found = each.finding
        text = Text(found.found)
        if found.follows:
            text.append(f"\nso: {found.follows}", style="dim")
        if found.mend:
            text.append(f"\nmend: {found.mend}", style="bold")
        verdict = found.verdict.value
        table.add_row(Text(verdict, style=COLOURS[verdict]), Text(each.name), text)
    Console().print(table)


def diagnoses(state: Path) -> "list[Diagnosis]":
    """Return what all checks find, for the cloud in this state directory."""
    from nimbi.qemu.doctor import Host, examine

    root, settings = Place(str(state), None).find()
    return finish(examine(Host(state=root, network=settings.network)))


def clock_verdict() -> tuple[bool, str, str]:
    """Return whether this machine's clock is kept in step, what was found, and how to mend it."""
    from nimbi.qemu.doctor import Host, Verdict
    from nimbi.qemu.doctor.host import clock

    found = finish(clock(Host(state=Path("/"))))
    return found.verdict is Verdict.OK, found.found, found.mend


def missing(state: Path) -> list[str]:
    """Return what this machine lacks to run any guest, and how to mend that; none when it can."""
    from nimbi.qemu.doctor import Verdict

    told = diagnoses(state)
    lacking = [each for each in told if each.essential and each.finding.verdict is Verdict.MISSING]
    return [
        f"{each.name}: {each.finding.found}"
        + (f" (mend: {each.finding.mend})" if each.finding.mend else "")
        for each in lacking
    ]
