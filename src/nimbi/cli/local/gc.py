"""`nimbi local gc`."""

import sys
from pathlib import Path
from typing import NamedTuple

import click

from nimbi.cli.errors import fail
from nimbi.cli.local.place import Place, finish
from nimbi.cli.local.words import size

BLOBS = "blobs"


class Row(NamedTuple):
    """One thing that nothing owns, and whether it is gone now."""

    kind: str
    size_bytes: int
    what: str
    why: str
    gone: bool


@click.command(
    short_help="Remove what nothing owns.",
    epilog="""\b
Examples:
  nimbi local gc --dry-run          list what would go, a line each
  nimbi local gc                    remove it""",
)
@click.option("--dry-run", is_flag=True, help="List what nothing owns, and remove nothing.")
@click.pass_obj
def gc(place: Place, dry_run: bool) -> None:
    """Remove what nothing owns: processes, files and network things that a crash has left.

    A server mends what it finds at its start; this is for what no server looks for. It is safe
    beside running servers, and guests, volumes, images and blobs that are in a list of the cloud
    are never touched. Lines tell the kind, the size, the thing, and why it is waste, with tabs
    between. The exit status is 1 when something could not be removed.
    """
    root, _ = place.find()
    done = finish(_rows(root, has_blobs=(root / BLOBS).exists(), remove=not dry_run))
    _show(done, removed=not dry_run)
    if not dry_run and not all(row.gone for row in done):
        fail("some of it is in use, or belongs to somebody else")


async def _rows(root: Path, *, has_blobs: bool, remove: bool) -> list[Row]:
    from nimbi.qemu.waste import collect, find

    if remove:
        found = await collect(root)
    else:
        found = [(item, False) for item in await find(root)]
    rows = [Row(item.kind, item.size_bytes, item.what, item.why, gone) for item, gone in found]
    return [*rows, *(await _blobs(root / BLOBS, remove=remove) if has_blobs else [])]


async def _blobs(root: Path, *, remove: bool) -> list[Row]:
    """Return what no bucket names; an upload that goes on is not among it."""
    from nimbi.blobstore import open_store

    async with open_store(root, mend=False) as store:
        torn, stray = await store.drafts(), await store.orphans()
    if remove:
        async with open_store(root) as store:
            await store.remove_orphans()
    whys = {
        **dict.fromkeys(torn, "its writer was killed"),
        **dict.fromkeys(stray, "no blob has it"),
    }
    return [Row("blob", 0, f"blobs: {id}", why, remove) for id, why in whys.items()]


def _show(rows: list[Row], *, removed: bool) -> None:
    notes = ["still there" if removed and not row.gone else "" for row in rows]
    if not sys.stdout.isatty():
        for row, note in zip(rows, notes, strict=True):
            cells = (row.kind, str(row.size_bytes), row.what, row.why, *([note] if note else []))
            click.echo("\t".join(cells))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not rows:
        click.echo("Everything here is owned by something.")
        return
    table = Table("kind", "size", "what", "why", "", box=None)
    for row, note in zip(rows, notes, strict=True):
        table.add_row(*map(Text, (row.kind, size(row.size_bytes), row.what, row.why, note)))
    Console().print(table)
