"""`nimbi quotas`: what accounts may have, as clouds tell, and what tenants may have here."""

from typing import Any

import click

from nimbi.cli.collections.group import Collection
from nimbi.cli.columns import Column, field
from nimbi.cli.command import Command, Desk, Option
from nimbi.cli.forms import tell_all
from nimbi.cli.holdings import micros
from nimbi.cli.remote import segment
from nimbi.model.holdings import MONEY, amount_told

BY_WORD = {word: name for name, word in MONEY.items()}

EPILOG = """\b
Examples:
  nimbi quotas of acme/web
  nimbi quotas set acme/web instances=10 vcpus=40 price_hour=2.50
  nimbi quotas recount --mend"""

RESOURCES = """\b
Resources:
  instances, vcpus, memory_mib    machines
  volumes, volume_bytes           disks
  snapshots, addresses            each
  blob_bytes                      bytes of blobs
  price_hour, price_month         money, such as 2.50

"""


def _resource(item: Any) -> str:
    name = str(item["resource"])
    return MONEY.get(name, name)


def _amount(item: Any, name: str) -> str:
    return "none" if item[name] is None else amount_told(item["resource"], item[name])


def _note(item: Any) -> str:
    return f"{item['unpriced']} without a price" if item.get("unpriced") else ""


COLUMNS = (
    Column("RESOURCE", _resource, firm=True),
    Column("USED", lambda item: _amount(item, "used")),
    Column("LIMIT", lambda item: _amount(item, "limit")),
    Column("NOTE", _note),
)
DRIFTS = (
    Column("KIND", field("kind")),
    Column("TENANT", field("tenant")),
    Column("RESOURCE", field("resource")),
    Column("ACCOUNT", field("account")),
    Column("THING", field("thing_id")),
    Column("COUNTED", field("used")),
    Column("RIGHT", field("counted")),
)


class QuotaCommands(Collection):
    """The quotas of clouds, which are a collection, and those of tenants beside them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *OWN]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return OWN.get(cmd_name) or super().get_command(ctx, cmd_name)


def _place(tenant: str) -> str:
    return f"/v1/tenant-quotas/{segment(tenant)}"


@click.command(cls=Command, without=("accounts",), short_help="Tell what a tenant may have.",
               epilog=EPILOG)  # fmt: skip
@click.argument("tenant")
@click.pass_obj
def of(desk: Desk, tenant: str) -> None:
    """Tell how much a domain or project, and all below it, may have, and has.

    TENANT is an id or a place such as acme/web. With -o json money is in millionths.
    """
    tell_all(desk.remote.ask("GET", _place(tenant)).value["items"], COLUMNS, desk.form)


@click.command("set", cls=Command, without=("accounts",), short_help="Set what a tenant may have.",
               epilog=RESOURCES + EPILOG)  # fmt: skip
@click.argument("tenant")
@click.argument("limits", nargs=-1, required=True, metavar="RESOURCE=NUMBER|none...")
@click.pass_obj
def set_quotas(desk: Desk, tenant: str, limits: tuple[str, ...]) -> None:
    """Set how much a domain or project, and all below it, may have; what it has stays."""
    told = dict(_told(limit) for limit in limits)
    items = desk.remote.ask("PATCH", _place(tenant), body=told).value["items"]
    tell_all(items, COLUMNS, desk.form)


@click.command(cls=Command, without=("accounts",), short_help="Compare what is counted.",
               epilog=EPILOG)  # fmt: skip
@click.option("--mend", cls=Option, is_flag=True, help="Set right what differs.")
@click.pass_obj
def recount(desk: Desk, mend: bool) -> None:
    """Tell where what is counted in quotas is not what is there. Ends with 1 when it differs."""
    items = desk.remote.ask("POST", "/v1/holdings/recount", body={"mend": mend}).value["items"]
    tell_all(items, DRIFTS, desk.form)
    if items and not mend:
        raise SystemExit(1)


OWN = {"of": of, "set": set_quotas, "recount": recount}


def group_of(collection: str, text: str) -> click.Group:
    """Return the command of the collection of quotas."""
    return QuotaCommands(collection, text)


def _told(limit: str) -> tuple[str, int | None]:
    name, _, value = limit.partition("=")
    if name in BY_WORD:
        return BY_WORD[name], None if value == "none" else micros(value)
    if value == "none":
        return name, None
    if not (value.isascii() and value.isdigit()):
        raise click.UsageError(f"{limit}: a quota is RESOURCE=NUMBER, or RESOURCE=none")
    return name, int(value)
