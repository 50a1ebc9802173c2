"""`nimbi domains` and `nimbi projects`: the tree of tenants."""

from typing import Any

import click

from nimbi.cli.columns import Column, age, field
from nimbi.cli.command import Command, Desk, Option
from nimbi.cli.forms import tell_all, tell_one
from nimbi.cli.remote import segment

EPILOG = """\b
Examples:
  nimbi domains create acme
  nimbi projects create web --in acme
  nimbi projects move acme/web --to other
  nimbi login --project acme/web                 act there from now on"""

COLUMNS = (
    Column("PLACE", field("place"), firm=True),
    Column("ID", field("id"), firm=True),
    Column("TEXT", field("text")),
    Column("STATE", lambda item: "ok" if item["is_enabled"] else "disabled", is_state=True),
    Column("AGE", age("created_at")),
)


def _group(kind: str, what: str) -> click.Group:
    """Return the commands of one kind of tenant."""

    @click.group(f"{kind}s", short_help=what, help=what, epilog=EPILOG)
    def group() -> None:
        pass

    _add_readers(group, kind)
    _add_makers(group, kind)
    _add_changers(group, kind)
    return group


def _add_readers(group: click.Group, kind: str) -> None:
    @group.command("list", cls=Command, without=("accounts",), short_help=f"List {kind}s.")
    @click.pass_obj
    def list_all(desk: Desk) -> None:
        """List those of the tenant in which you act, and below."""
        tell_all(desk.remote.ask("GET", _place(kind)).value["items"], COLUMNS, desk.form)

    @group.command(cls=Command, without=("accounts",), short_help=f"Show one {kind}.")
    @click.argument("told", metavar="PLACE")
    @click.pass_obj
    def get(desk: Desk, told: str) -> None:
        """Show one by its place (acme/web) or id."""
        tell_one(desk.remote.ask("GET", _one(kind, told)).value, desk.form)


def _add_makers(group: click.Group, kind: str) -> None:
    @group.command(cls=Command, without=("accounts",), short_help=f"Make a {kind}.", epilog=EPILOG)
    @click.argument("name")
    @click.option("--in", "parent", cls=Option, metavar="PLACE", help="The domain that it is in.")
    @click.option("--text", cls=Option, help="What it is for.")
    @click.pass_obj
    def create(desk: Desk, name: str, parent: str | None, text: str | None) -> None:
        """Make one in a domain: in that in which you act, unless told."""
        tell_one(
            desk.remote.ask(
                "POST", _place(kind), body=_told(name=name, parent=parent, text=text)
            ).value,
            desk.form,
        )

    @group.command(cls=Command, without=("accounts",), short_help=f"Remove {kind}s.")
    @click.argument("those", nargs=-1, required=True, metavar="PLACE...")
    @click.pass_obj
    def rm(desk: Desk, those: tuple[str, ...]) -> None:
        """Remove those that have nothing any more."""
        for told in those:
            desk.remote.ask("DELETE", _one(kind, told))


def _add_changers(group: click.Group, kind: str) -> None:
    @group.command(cls=Command, without=("accounts",), short_help="Give another name or text.")
    @click.argument("told", metavar="PLACE")
    @click.option("--name", cls=Option, help="Its name from now on.")
    @click.option("--text", cls=Option, help="What it is for.")
    @click.option("--enable/--disable", cls=Option, default=None, help="Let people act in it.")
    @click.pass_obj
    def change(
        desk: Desk, told: str, name: str | None, text: str | None, enable: bool | None
    ) -> None:
        """Change what is told of one."""
        wish = _told(name=name, text=text, is_enabled=enable)
        tell_one(desk.remote.ask("PATCH", _one(kind, told), body=wish).value, desk.form)

    @group.command(cls=Command, without=("accounts",), short_help="Move one to another domain.")
    @click.argument("told", metavar="PLACE")
    @click.option("--to", cls=Option, required=True, metavar="PLACE", help="The domain.")
    @click.pass_obj
    def move(desk: Desk, told: str, to: str) -> None:
        """Move one, with all that is below it, to another domain."""
        tell_one(desk.remote.ask("PATCH", _one(kind, told), body={"parent": to}).value, desk.form)


def _place(kind: str) -> str:
    return f"/v1/{kind}s"


def _one(kind: str, told: str) -> str:
    return f"{_place(kind)}/{segment(told)}"


def _told(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


domains = _group("domain", "Domains: tenants that others may be below.")
projects = _group("project", "Projects: tenants that things belong to.")
