"""`nimbi replace` and `nimbi evacuate`: instances put in the place of others, as jobs."""

from typing import Any

import click

from nimbi.cli.command import Command, Desk, Option
from nimbi.cli.jobs import begun, ended, leave, tell_job

TRAITS = ("name", "realm", "sizes", "key", "firewalls", "subnet", "tags", "spot", "volumes")

EVACUATE_EPILOG = """\b
Examples:
  nimbi evacuate -a old --to new --image ami-1=img-7 --profile m5.large=standard-2 --wait"""

WITHOUT = click.option(
    "--without",
    cls=Option,
    multiple=True,
    type=click.Choice(TRAITS),
    help="What the new one may lack.",
)
KEEP = click.option("--keep", cls=Option, is_flag=True, help="Stop the old one; it stays.")
WAIT = click.option("--wait", cls=Option, is_flag=True, help="Until the job has ended.")


@click.command(cls=Command, short_help="Replace an instance by one like it.")
@click.argument("id")
@WITHOUT
@KEEP
@WAIT
@click.pass_obj
def replace(desk: Desk, id: str, without: tuple[str, ...], keep: bool, wait: bool) -> None:
    """Launch an instance like another (ID, of -a), and destroy that when the new one answers."""
    arguments = {
        "account": _account(desk),
        "instance_id": id,
        "without": list(without),
        "keep": keep,
    }
    _begin(desk, "replace", arguments, wait)


@click.command(
    cls=Command, short_help="Move all instances to another account.", epilog=EVACUATE_EPILOG
)
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--to", "target", cls=Option, required=True, metavar="NAME", help="The account.")
@click.option("--image", cls=Option, multiple=True, metavar="OLD=NEW", help="What images are.")
@click.option("--profile", cls=Option, multiple=True, metavar="OLD=NEW", help="What profiles are.")
@click.option("--realm", cls=Option, multiple=True, metavar="OLD=NEW", help="What realms are.")
@click.option("--key", cls=Option, multiple=True, metavar="OLD=NEW", help="What keys are.")
@click.option("--firewall", cls=Option, multiple=True, metavar="OLD=NEW", help="The same.")
@click.option("--subnet", cls=Option, multiple=True, metavar="OLD=NEW", help="The same.")
@WITHOUT
@KEEP
@WAIT
@click.pass_obj
def evacuate(desk: Desk, /, ids: tuple[str, ...], target: str, **told: Any) -> None:
    """Move all instances of an account (-a), or those named, to another account.

    Each is launched there, must answer its checks, and only then goes here. Nothing is begun unless
    all images and profiles have a counterpart.
    """
    maps = ("image", "profile", "realm", "key", "firewall", "subnet")
    arguments: dict[str, Any] = {f"{name}s": _pairs(name, told[name]) for name in maps}
    arguments |= {"account": _account(desk), "target": target, "instances": list(ids)}
    arguments |= {"without": list(told["without"]), "keep": told["keep"]}
    _begin(desk, "evacuate", arguments, told["wait"])


def _account(desk: Desk) -> str:
    if desk.account is None:
        raise click.UsageError("which account? (-a)")
    return desk.account


def _pairs(name: str, told: tuple[str, ...]) -> dict[str, str]:
    pairs = [one.partition("=") for one in told]
    if not all(old and sign and new for old, sign, new in pairs):
        raise click.UsageError(f"--{name} is OLD=NEW")
    return {old: new for old, _, new in pairs}


def _begin(desk: Desk, kind: str, arguments: dict[str, Any], wait: bool) -> None:
    job = begun(desk, kind, arguments, None)
    if wait:
        job = ended(desk, job)
    tell_job(desk, job)
    if wait:
        leave(job)
