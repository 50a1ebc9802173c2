"""`nimbi local status`."""

import json
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nimbi.cli.local.place import Place, finish

if TYPE_CHECKING:
    from nimbi.qemu import Guest


@click.command(
    short_help="Show guests and processes of the cloud.",
    epilog="""\b
Examples:
  nimbi local status
  nimbi local status --json | jq -r '.guests[] | select(.state == "running") | .pid'""",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object, for programs.")
@click.pass_obj
def status(place: Place, as_json: bool) -> None:
    """Show the guests of the cloud and what runs for it, also while no server does.

    Nothing is changed: a guest that waits for a server to start it goes on waiting.
    """
    root, _ = place.find()
    told = finish(_told(root))
    if as_json:
        click.echo(json.dumps(told, indent=1))
    elif sys.stdout.isatty():
        _show(told)
    else:
        for guest in told["guests"]:
            click.echo("\t".join(str(guest[name]) for name in ("id", "state", "pid", "name")))


async def _told(root: Path) -> dict[str, Any]:
    from nimbi.qemu.guests.record import view
    from nimbi.qemu.guests.store import GuestStore
    from nimbi.qemu.state import layout
    from nimbi.qemu.waste import processes

    known = layout.usable(root)
    if known is None:
        return {"state_dir": str(root), "version": None, "guests": [], "processes": []}
    store = GuestStore(root)
    guests = [view(store.directory(record.id), record) for record in store.all()]
    found = processes.of(root)
    return {
        "state_dir": str(root),
        "version": known,
        "guests": [_guest(guest) for guest in guests],
        "processes": [{"pid": p.process.pid, "program": p.program} for p in found],
    }


def _guest(guest: "Guest") -> dict[str, Any]:
    return {
        "id": guest.id,
        "name": guest.name,
        "state": guest.state.value,
        "reason": guest.reason,
        "pid": guest.pid,
        "cpus": guest.cpus,
        "memory_mib": guest.memory_mib,
        "accelerator": guest.accelerator,
        "ports": {str(port): host for port, host in guest.ports.items()},
    }


def _show(told: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    console.print(Text(f"{told['state_dir']}, version {told['version'] or 'new'}"))
    table = Table("guest", "name", "state", "pid", "size", "published", box=None)
    for guest in told["guests"]:
        ports = ", ".join(f"{port} at {host}" for port, host in guest["ports"].items())
        state = f"{guest['state']}: {guest['reason']}" if guest["reason"] else guest["state"]
        size = f"{guest['cpus']} x {guest['accelerator'] or '-'}, {guest['memory_mib']} MiB"
        cells = (guest["id"], guest["name"], state, str(guest["pid"] or ""), size, ports)
        table.add_row(*map(Text, cells))
    console.print(table)
    counted = Counter(process["program"] for process in told["processes"])
    console.print(Text(", ".join(f"{n} {name}" for name, n in counted.items()) or "no processes"))
