"""`nimbi roles` and `nimbi grants`: who may do what, where."""

from typing import Any

import click

from nimbi.cli.columns import Column, age, field
from nimbi.cli.command import Command, Desk, Option
from nimbi.cli.forms import tell_all, tell_one
from nimbi.cli.named import named, named_one
from nimbi.cli.remote import segment

ROLES_EPILOG = """\b
Examples:
  nimbi roles list
  nimbi roles create starter --allow read --allow instances.start --allow instances.stop
  nimbi roles create careful --deny '*.destroy' --allow '*'"""

GRANTS_EPILOG = """\b
Examples:
  nimbi grants create user acme/web --user ann
  nimbi grants create operator acme --group crew
  nimbi grants list --user ann
  nimbi grants rm GRANT-ID"""


def _rules(item: Any) -> str:
    return ", ".join(
        f"{'' if rule['effect'] == 'allow' else 'not '}{rule['operations']}"
        for rule in item["rules"]
    )


ROLES = (
    Column("NAME", field("name"), firm=True),
    Column("ID", field("id"), firm=True),
    Column("TENANT", field("tenant")),
    Column("TEXT", field("text")),
    Column("RULES", _rules),
)
GRANTS = (
    Column("ID", field("id"), firm=True),
    Column("ROLE", field("role")),
    Column("TENANT", field("tenant")),
    Column("USER", field("user")),
    Column("GROUP", field("group")),
    Column("GIVEN BY", field("given_by")),
    Column("AGE", age("created_at")),
)


@click.group(short_help="What people may do: sets of rules.", epilog=ROLES_EPILOG)
def roles() -> None:
    """Look after roles: ordered rules over operations, of which the first that fits decides."""


@roles.command("list", cls=Command, without=("accounts",), short_help="List roles.")
@click.pass_obj
def list_roles(desk: Desk) -> None:
    """List built-in roles, and those of your tenant, above and below."""
    tell_all(named(desk, desk.remote.ask("GET", "/v1/roles").value["items"]), ROLES, desk.form)


@roles.command("get", cls=Command, without=("accounts",), short_help="Show one role.")
@click.argument("name")
@click.pass_obj
def get_role(desk: Desk, name: str) -> None:
    """Show a role with its rules."""
    tell_one(named_one(desk, desk.remote.ask("GET", f"/v1/roles/{segment(name)}").value), desk.form)


@roles.command(
    "create", cls=Command, without=("accounts",), short_help="Make a role.", epilog=ROLES_EPILOG
)
@click.argument("name")
@click.option("--deny", cls=Option, multiple=True, metavar="OPERATIONS", help="What it may not.")
@click.option("--allow", cls=Option, multiple=True, metavar="OPERATIONS", help="What it may.")
@click.option("--tenant", cls=Option, metavar="PLACE", help="Where it can be given, and below.")
@click.option("--text", cls=Option, help="What it is for.")
@click.pass_obj
def create_role(
    desk: Desk,
    name: str,
    deny: tuple[str, ...],
    allow: tuple[str, ...],
    tenant: str | None,
    text: str | None,
) -> None:
    """Make a role: what is denied goes before what is allowed.

    OPERATIONS are an operation (instances.start), a collection (instances.*), a verb (*.destroy),
    read, or *.
    """
    rules = [{"effect": "deny", "operations": one} for one in deny]
    rules += [{"effect": "allow", "operations": one} for one in allow]
    new = _told(name=name, rules=rules, tenant=tenant, text=text)
    tell_one(named_one(desk, desk.remote.ask("POST", "/v1/roles", body=new).value), desk.form)


@roles.command("rm", cls=Command, without=("accounts",), short_help="Remove roles.")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.pass_obj
def remove_roles(desk: Desk, names: tuple[str, ...]) -> None:
    """Remove roles that nobody has."""
    for name in names:
        desk.remote.ask("DELETE", f"/v1/roles/{segment(name)}")


@click.group(short_help="Who has which role where.", epilog=GRANTS_EPILOG)
def grants() -> None:
    """Give roles, and take them back. A role at a tenant counts in all below it."""


@grants.command("list", cls=Command, without=("accounts",), short_help="List who has what.")
@click.option("--user", cls=Option, metavar="NAME", help="Of this user, also by its groups.")
@click.option("--group", cls=Option, metavar="NAME", help="Of this group.")
@click.option("--tenant", cls=Option, metavar="PLACE", help="At this tenant.")
@click.pass_obj
def list_grants(desk: Desk, user: str | None, group: str | None, tenant: str | None) -> None:
    """List who has which role in the tenant in which you act, and below."""
    query = list(_told(user=user, group=group, tenant=tenant).items())
    tell_all(
        named(desk, desk.remote.ask("GET", "/v1/grants", query).value["items"]), GRANTS, desk.form
    )


@grants.command(
    "create", cls=Command, without=("accounts",), short_help="Give a role.", epilog=GRANTS_EPILOG
)
@click.argument("role")
@click.argument("tenant", metavar="PLACE")
@click.option("--user", cls=Option, metavar="NAME", help="Who gets it.")
@click.option("--group", cls=Option, metavar="NAME", help="Whose members get it.")
@click.pass_obj
def create_grant(desk: Desk, role: str, tenant: str, user: str | None, group: str | None) -> None:
    """Give ROLE at PLACE (root, acme, acme/web) and all below, to a user or a group.

    Nobody gives what they do not have.
    """
    new = _told(role=role, tenant=tenant, user=user, group=group)
    tell_one(named_one(desk, desk.remote.ask("POST", "/v1/grants", body=new).value), desk.form)


@grants.command("rm", cls=Command, without=("accounts",), short_help="Take roles back.")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.pass_obj
def remove_grants(desk: Desk, ids: tuple[str, ...]) -> None:
    """Take roles back that were given."""
    for id in ids:
        desk.remote.ask("DELETE", f"/v1/grants/{segment(id)}")


def _told(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
