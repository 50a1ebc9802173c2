"""`nimbi local images`."""

import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nimbi.cli.local.place import Place, finish
from nimbi.cli.local.words import Progress, progress, size

if TYPE_CHECKING:
    from nimbi.qemu import Hypervisor, Image

Make = Callable[["Hypervisor", Progress], Awaitable["Image"]]

BUILDERS: dict[str, Make] = {
    "demo": lambda hypervisor, told: hypervisor.build_demo_image(told),
    "debian": lambda hypervisor, told: hypervisor.build_debian_image(told),
}
"""Name of an image that is built here: what builds it."""


@click.group(
    short_help="List, build, import and remove images.",
    epilog="""\b
Examples:
  nimbi local images list
  nimbi local images build debian
  nimbi local images import disk.qcow2 --name mine
  nimbi local images remove img-0123456789abcdef""",
)
def images() -> None:
    """List, build, import and remove the images that guests are made from."""


@images.command("list", short_help="List all images.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list, for programs.")
@click.pass_obj
def list_images(place: Place, as_json: bool) -> None:
    """List all images, the oldest first: id, name, size, how they boot, state."""
    root, _ = place.find()
    found = [_fields(image) for image in finish(_all(root))]
    if as_json:
        click.echo(json.dumps(found, indent=1))
    elif sys.stdout.isatty():
        _show(found)
    else:
        for image in found:
            click.echo("\t".join(str(image[name]) for name in ("id", "state", "name")))


async def _all(root: Path) -> "list[Image]":
    from nimbi.qemu.images.store import ImageStore
    from nimbi.qemu.state import layout

    return [] if layout.usable(root) is None else ImageStore(root / "images").all()


@images.command(
    short_help="Build an image from the distribution's packages.",
    epilog="""\b
Examples:
  nimbi local images build demo
  id=$(nimbi local images build debian)""",
)
@click.argument("name", type=click.Choice(tuple(BUILDERS)))
@click.pass_obj
def build(place: Place, name: str) -> None:
    """Build an image and print its id; the same image is not built twice.

    demo takes some seconds: busybox on this machine's kernel. debian takes some minutes and about
    2 GiB while it is built: the distribution's own packages, with cloud-init, ssh and the guest
    agent, for BIOS and UEFI. Neither needs root.
    """
    root, _ = place.find()
    with progress() as told:
        made = finish(_made(root, BUILDERS[name], told))
    click.echo(made.id)


@images.command(
    "import",
    short_help="Import a disk image from a file or URL.",
    epilog="""\b
Examples:
  nimbi local images import disk.vmdk --name mine
  nimbi local images import https://cloud.example/image.qcow2 --sha256 DIGEST --user debian""",
)
@click.argument("source", metavar="FILE|URL")
@click.option("--name", metavar="NAME", help="Its name; by default that of the file.")
@click.option("--description", default="", metavar="TEXT", help="What people are told of it.")
@click.option("--sha256", metavar="DIGEST", help="Refuse a file with any other SHA-256.")
@click.option("--user", metavar="USER", help="Who gets the keys of guests, such as debian.")
@click.pass_obj
def import_image(
    place: Place,
    source: str,
    name: str | None,
    description: str,
    sha256: str | None,
    user: str | None,
) -> None:
    """Import a qcow2, raw, vmdk, vhd or vhdx image and print its id.

    The format is found out by the content, which is not trusted: an image that needs other files,
    is encrypted or larger than a guest's disk may be is refused. The same content gives the same
    image.
    """
    from nimbi.qemu import Order

    root, _ = place.find()
    order = Order(source=source, name=name, description=description, sha256=sha256, login_user=user)
    with progress() as told:
        made = finish(_made(root, lambda h, told: h.import_image(order, told), told))
    click.echo(made.id)


@images.command(short_help="Remove an image.")
@click.argument("id")
@click.pass_obj
def remove(place: Place, id: str) -> None:
    """Remove an image. One that guests are made from is kept, and they are named."""
    root, _ = place.find()
    finish(_remove(root, id))


async def _made(root: Path, make: Make, told: Progress) -> "Image":
    return await make(await _hypervisor(root), told)


async def _remove(root: Path, id: str) -> None:
    await (await _hypervisor(root)).remove_image(id)


async def _hypervisor(root: Path) -> "Hypervisor":
    """Return what makes and removes images; it is not opened, so no guest is touched."""
    from nimbi.qemu import Hypervisor
    from nimbi.qemu.state import layout

    await layout.prepare(root)
    return Hypervisor(root)


def _fields(image: "Image") -> dict[str, Any]:
    return {
        "id": image.id,
        "name": image.name,
        "state": image.state.value,
        "reason": image.reason,
        "size_bytes": image.size_bytes,
        "disk_bytes": image.disk_bytes,
        "boot_modes": list(image.boot_modes),
        "architecture": image.architecture,
        "digest": image.digest,
        "created_at": image.created_at.isoformat(),
        "description": image.description,
    }


def _show(found: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("image", "name", "state", "stored", "disk", "boots", "description", box=None)
    for image in found:
        sizes = (size(image["size_bytes"]), size(image["disk_bytes"]))
        modes = ", ".join(image["boot_modes"])
        cells = (image["id"], image["name"], image["state"], *sizes, modes, image["description"])
        table.add_row(*map(Text, cells))
    Console().print(table)
