"""`nimbi doctor`."""

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nimbi.cli.command import ending

if TYPE_CHECKING:
    from nimbi.cli.doctor.finding import Diagnosis, Patient

COLOURS = {"ok": "green", "poor": "yellow", "broken": "red"}
LOCAL = "this machine's cloud: "
CLOCK = "clock"


@click.command(
    short_help="Say what is wrong here, and how to mend it.",
    epilog="""\b
Examples:
  nimbi doctor
  nimbi doctor --all                              what is well, too
  nimbi doctor --config /etc/nimbi/nimbi.toml     a server of this machine
  nimbi doctor --json | jq '.[] | select(.verdict != "ok")'""",
)
@click.option("-A", "--all", "show_all", is_flag=True, help="Tell also what is well.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list, for programs.")
@click.option(
    "--database",
    metavar="URL",
    help="The database. [variable NIMBI_DATABASE; default: nimbi.db in the state directory]",
)
@click.option(
    "-c",
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The server's settings file.",
)
def doctor(show_all: bool, as_json: bool, database: str | None, config: Path | None) -> None:
    """Say what is wrong with Nimbi here, what follows from it, and how to mend it.

    It looks at this machine, the database and its key, accounts, leases, jobs, quotas, the audit
    and usage, also while servers run, and at QEMU where this machine's own cloud is used. Each
    check is ok, poor (it works and should be looked after) or broken. The exit status is 1 when
    something is broken. Nothing is changed.
    """
    with ending():
        told = _examined(database, config)
    if as_json:
        click.echo(json.dumps([_fields(each) for each in told], indent=1))
    else:
        _show([each for each in told if show_all or each.finding.verdict.value != "ok"])
        well = sum(each.finding.verdict.value == "ok" for each in told)
        click.echo(f"{well} of {len(told)} checks are well", err=True)
    if any(each.finding.verdict.value == "broken" for each in told):
        raise SystemExit(1)


def _examined(database: str | None, config: Path | None) -> "list[Diagnosis]":
    import logging

    from nimbi.cli.doctor.examination import examine
    from nimbi.cli.doctor.finding import Patient
    from nimbi.cli.here import settings_here
    from nimbi.server import broker_options

    # What the database says goes into the findings.
    logging.getLogger("nimbi").setLevel(logging.CRITICAL)
    settings = settings_here({"database": database}, config)
    patient = Patient(settings=settings, options=broker_options(settings))

    async def all_of_it() -> "list[Diagnosis]":
        return [each async for each in examine(patient)]

    return [*asyncio.run(all_of_it()), *_of_local_cloud(patient)]


def _of_local_cloud(patient: "Patient") -> "list[Diagnosis]":
    """Return what `nimbi local doctor` finds, where there is such a cloud."""
    if not (patient.settings.state_path() / "local").exists():
        return []
    from nimbi.cli.doctor.finding import Diagnosis, Finding, Verdict
    from nimbi.cli.local.doctor import diagnoses

    return [
        Diagnosis(
            name=LOCAL + each.name,
            finding=Finding(
                verdict=_verdict(each, Verdict),
                found=each.finding.found,
                follows=each.finding.follows,
                mend=each.finding.mend,
            ),
        )
        for each in diagnoses(patient.settings.state_path())
        # The clock of this machine has been looked at.
        if each.name != CLOCK
    ]


def _verdict(diagnosis: Any, verdicts: Any) -> Any:
    if diagnosis.finding.verdict.value == "ok":
        return verdicts.OK
    is_dead = diagnosis.essential and diagnosis.finding.verdict.value == "missing"
    return verdicts.BROKEN if is_dead else verdicts.POOR


def _fields(told: "Diagnosis") -> dict[str, str]:
    found = told.finding
    return {
        "check": told.name,
        "verdict": found.verdict.value,
        "found": found.found,
        "follows": found.follows,
        "mend": found.mend,
    }


def _show(told: "list[Diagnosis]") -> None:
    for each in told:
        found = each.finding
        word = f"{found.verdict.value:7}"
        if sys.stdout.isatty():
            word = click.style(word, fg=COLOURS[found.verdict.value])
        click.echo(f"{word} {each.name}: {found.found}")
        for name, text in (("so", found.follows), ("mend", found.mend)):
            if text:
                click.echo(f"{'':7} {name}: {text}")
