"""One collection as a group of commands; only what is used of it is made."""

from collections.abc import Mapping

import click

from nimbi.cli.refs import singular

# What people type out of habit.
ALIASES: Mapping[str, str] = {
    "ls": "list",
    "page": "list",
    "show": "get",
    "rm": "destroy",
    "delete": "destroy",
    "remove": "destroy",
}

# Collections that are told within a thing of another one, and have no list over all accounts.
NESTED = frozenset({"blobs"})


class Collection(click.Group):
    """The operations of one collection. `list` and `get` need no more than its name."""

    def __init__(self, collection: str, text: str) -> None:
        self.collection = collection
        name = collection.replace("_", "-")
        super().__init__(name, help=text, short_help=text, epilog=_epilog(name, collection))

    def list_commands(self, ctx: click.Context) -> list[str]:
        from nimbi.cli.collections.operations import names_of

        return names_of(self.collection)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        name = ALIASES.get(cmd_name, cmd_name).replace("_", "-")
        if self.collection not in NESTED and name == "list":
            from nimbi.cli.collections.listing import list_command

            return list_command(self.collection)
        if self.collection not in NESTED and name == "get":
            from nimbi.cli.collections.showing import get_command

            return get_command(self.collection)
        from nimbi.cli.collections.operations import command_of, names_of

        found = command_of(self.collection, name)
        if found is None:
            # What is meant by a typo is looked for among these.
            self.commands = {each: click.Command(each) for each in names_of(self.collection)}
        return found


def group_of(collection: str, text: str) -> click.Group:
    """Return the command of one collection, `network_interfaces` for example."""
    return Collection(collection, text)


def _epilog(name: str, collection: str) -> str:
    if collection in NESTED:
        lines = [f"nimbi {name} list photos", f"nimbi {name} get photos sea.jpg"]
    else:
        lines = [
            f"nimbi {name} list",
            f"nimbi {name} list -a aws -o json",
            f"nimbi {name} get {singular(collection).upper().replace(' ', '-')}",
        ]
    shown = "\n".join(f"  {line}" for line in lines)
    return f"\b\nExamples:\n{shown}\n\nEach explains itself: nimbi {name} list --help"
