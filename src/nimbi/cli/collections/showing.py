"""`nimbi COLLECTION get`: all that is known of one thing, or of several."""

from typing import Any

import click

from nimbi.cli.columns import columns_of
from nimbi.cli.command import Command, Desk
from nimbi.cli.forms import Teller, tell_one
from nimbi.cli.refs import find, singular
from nimbi.cli.remote import of_account


def get_command(collection: str) -> click.Command:
    """Return the command that shows things of a collection."""
    thing = singular(collection)
    name = collection.replace("_", "-")
    metavar = thing.upper().replace(" ", "-")
    return Command(
        "get",
        callback=click.pass_obj(_run(collection)),
        params=[things_argument(collection)],
        short_help=f"Show one {thing}, as its cloud tells it now.",
        help=f"""Show one {thing} as its cloud tells it now, or several.

        {metavar} is an id, or a name that only one has; account:id says which account is meant.
        """,
        epilog=f"""\b
Examples:
  nimbi {name} get {metavar}
  nimbi {name} get -a aws {metavar} -o yaml""",
    )


def things_argument(collection: str) -> click.Argument:
    """Return the argument that names things of a collection, completed with those there are."""
    metavar = singular(collection).upper().replace(" ", "-")
    return click.Argument(
        ["things"],
        nargs=-1,
        required=True,
        metavar=f"{metavar}...",
        shell_complete=completing(collection),
    )


def completing(collection: str) -> Any:
    """Return what completes names of things of a collection."""

    def complete(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[Any]:
        from nimbi.cli.completion import thing_names

        return thing_names(collection, ctx.params.get("accounts") or (), incomplete)

    return complete


def _run(collection: str) -> Any:
    def run(desk: Desk, /, things: tuple[str, ...]) -> None:
        found: list[Any] = []
        for told in things:
            ref = find(desk, collection, told)
            item = desk.remote.ask("GET", of_account(ref.account, collection, ref.id)).value
            found.append({"account": ref.account, **item})
        if len(found) == 1:
            tell_one(found[0], desk.form)
            return
        teller = Teller(desk.form, lambda items: columns_of(collection, items))
        teller.tell(found)
        teller.end()

    return run
