"""`nimbi launch` as a job of the server: many machines, waiting until they answer, leases."""

import re
from typing import Any

import click

from nimbi.cli.command import Desk
from nimbi.cli.errors import INCOMPLETE, status_of
from nimbi.cli.jobs import begun, ended, failures_of, leave
from nimbi.cli.remote import of_account
from nimbi.cli.table import visible
from nimbi.model.errors import CloudError

POLICIES = ("keep", "retry-missing", "roll-back")
ANSWERS = ("ssh", "http", "agent")
# What is told only to a job.
OF_JOBS = ("on_failure", "answers", "lease", "detach")

UNITS = {"m": 60, "h": 3600, "d": 86400}
_LEASE = re.compile(r"([1-9][0-9]{0,5})([mhd])")
_ANSWERS = re.compile(r"(ssh|http|agent)(?::([0-9]{1,5}))?(/[!-~]*)?")


def is_job(desk: Desk, told: dict[str, Any]) -> bool:
    """Return whether a launch is the server's work: it goes on when this command is gone.

    Raises UsageError when it must be, and there is no server.
    """
    asked = [name for name in OF_JOBS if told[name]]
    if told["dry_run"]:
        return False
    if asked and desk.remote.is_here:
        flags = ", ".join("--" + name.replace("_", "-") for name in asked)
        raise click.UsageError(f"{flags}: no server runs that could do it: nimbi up")
    return bool(asked) or (told["count"] is not None and not desk.remote.is_here)


def job_of(
    desk: Desk, account: str, wish: dict[str, Any], told: dict[str, Any]
) -> tuple[list[Any], int]:
    """Return what a job has launched in one account, and the exit status; 0 when all is there."""
    arguments: dict[str, Any] = {
        "account": account,
        "new": wish,
        "count": told["count"] or 1,
        "wait": bool(told["wait"] or told["answers"]),
        "patience_s": told["patience"],
    }
    if told["on_failure"]:
        arguments["on_failure"] = told["on_failure"]
    if told["answers"]:
        arguments["answers"] = answers_of(told["answers"])
    if told["lease"]:
        arguments["lease_s"] = lease_of(told["lease"])
    job = begun(desk, "launch", arguments)
    if told["detach"]:
        click.echo(f"{account}: job {job['id']}: nimbi jobs wait {job['id']}", err=True)
        return [], 0
    job = ended(desk, job)
    if job["state"] != "done":
        leave(job)
    for failure in job["result"]["failures"]:
        name = failure.get("name") or failure.get("id") or account
        click.echo(f"{visible(name)}: {visible(failure['problem']['message'])}", err=True)
    items, status = _shown(desk, account, job["result"]["ids"])
    return items, status or (INCOMPLETE if failures_of(job) else 0)


def answers_of(told: str) -> dict[str, Any]:
    """Return what to wait for: `ssh`, `http:8080/health`. Raises UsageError."""
    found = _ANSWERS.fullmatch(told)
    if found is None or (found[3] and found[1] != "http") or (found[2] and found[1] == "agent"):
        raise click.UsageError(f"--answers is {', '.join(ANSWERS)}, or http:8080/health")
    answers: dict[str, Any] = {"kind": found[1]}
    if found[2]:
        answers["port"] = int(found[2])
    if found[3]:
        answers["path"] = found[3]
    return answers


def lease_of(told: str) -> int:
    """Return the seconds of `8h`. Raises UsageError."""
    found = _LEASE.fullmatch(told)
    if found is None:
        raise click.UsageError("--lease is 30m, 8h, or 7d")
    return int(found[1]) * UNITS[found[2]]


def _shown(desk: Desk, account: str, ids: list[str]) -> tuple[list[Any], int]:
    found, status = [], 0
    for id in ids:
        try:
            item = desk.remote.ask("GET", of_account(account, "instances", id)).value
        except CloudError as error:
            click.echo(f"{account}:{id}: {error}", err=True)
            status = status or status_of(error.code)
        else:
            found.append({"account": account, **item})
    return found, status
