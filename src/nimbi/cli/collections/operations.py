"""Commands of operations, made from the routes of the API: flags, help, and the call itself."""

from collections.abc import Mapping
from functools import partial
from typing import Any, get_args, get_origin

import click

from nimbi.api.routes import ROUTES, ApiRoute
from nimbi.cli.collections.calls import run
from nimbi.cli.collections.examples import EXAMPLES
from nimbi.cli.collections.inputs import Input, inputs_of
from nimbi.cli.collections.readers import Value, pair, value_of
from nimbi.cli.collections.showing import completing
from nimbi.cli.collections.texts import details_of, summary_of
from nimbi.cli.command import COMMON, FEATURES, OPTIONS, Command, Option
from nimbi.cli.refs import singular

# The names of operations that people know by another word.
NAMES: Mapping[str, str] = {"page": "list"}
OPERATIONS: Mapping[str, str] = {name: operation for operation, name in NAMES.items()}

# Short names of flags, for fields whose own are long.
SHORT: Mapping[str, tuple[str, ...]] = {"hardware_profile_id": ("--profile",)}

# Words that take an `_s` for more than one in another way.
SINGULAR: Mapping[str, str] = {"properties": "property", "metadata": "metadata"}

WAIT_S = 300


def names_of(collection: str) -> list[str]:
    """Return the names of a collection's commands, in the order of its operations."""
    return [command_name(route) for route in ROUTES.values() if route.collection == collection]


def command_name(route: ApiRoute) -> str:
    return NAMES.get(route.name, route.name).replace("_", "-")


def command_of(collection: str, name: str) -> click.Command | None:
    """Return one command of a collection; None when there is no such operation."""
    operation = OPERATIONS.get(name, name.replace("-", "_"))
    route = ROUTES.get(f"{collection}.{operation}")
    if route is None:
        return None
    inputs = inputs_of(route)
    summary = summary_of(route)
    return Command(
        name,
        callback=click.pass_obj(partial(run, route, inputs)),
        params=[*_parameters(route, inputs), *_wishes(route)],
        short_help=summary,
        help="\n\n".join([summary, *details_of(route), *_notes(inputs)]),
        epilog=_examples(route, inputs),
    )


def _notes(inputs: list[Input]) -> list[str]:
    if any(one.in_path and one.name == "id" for one in inputs):
        return ["It is told by id or name; account:id says which account is meant."]
    return []


def _parameters(route: ApiRoute, inputs: list[Input]) -> list[click.Parameter]:
    parameters: list[click.Parameter] = [
        _argument(route, one, several=takes_several(route, inputs)) for one in inputs if one.in_path
    ]
    if route.body == "stream":
        parameters.append(click.Argument(["file"], metavar="FILE", type=click.Path()))
    parameters += [_flag(one) for one in inputs if not one.in_path]
    if route.answer in {"stream", "bytes"}:
        parameters.append(
            Option(["into", "--into"], metavar="FILE", help="Write it there. [default: print it]")
        )
    return parameters


def takes_several(route: ApiRoute, inputs: list[Input]) -> bool:
    """Return whether one command may do it to several things, one after the other."""
    places = [one.name for one in inputs if one.in_path]
    return places == ["id"] and route.answer in {"none", "thing", "text"}


def _argument(route: ApiRoute, one: Input, *, several: bool) -> click.Argument:
    if one.name == "id":
        metavar = singular(route.collection).upper().replace(" ", "-")
    else:
        metavar = one.name.removesuffix("_id").upper()
    return click.Argument(
        [one.key],
        metavar=f"{metavar}..." if several else metavar,
        nargs=-1 if several else 1,
        required=True,
        shell_complete=_completion(route.collection if one.name == "id" else one.name),
    )


def _completion(what: str) -> Any:
    """Return the completion of things that a name tells: `instances`, `instance_id`."""
    return completing(collection_of(what) or what)


def collection_of(field: str) -> str | None:
    """Return the collection whose things a field names: `images` for `image_id`."""
    word = field.removesuffix("s").removesuffix("_id")
    if word == field.removesuffix("s"):
        return None
    found = {route.collection for route in ROUTES.values()} - {"blobs"}
    word = {"boot_volume": "volume", "source_image": "image", "external_network": "network"}.get(
        word, word
    )
    return next((name for name in (f"{word}s", f"{word}es") if name in found), None)


def _flag(one: Input) -> click.Option:
    hint, word = one.type, flag_word(one)
    origin = get_origin(hint)
    names = [one.key, *SHORT.get(one.name, ()), f"--{word}"]
    section = FEATURES if one.is_feature else OPTIONS
    told: dict[str, Any] = {"help": one.text, "section": section, "required": one.is_required}
    if hint is bool:
        names[-1] = f"--{word}/--no-{word}"
        return Option(names, default=None, **told)
    if origin is tuple:
        inner = get_args(hint)[0]
        return Option(names, multiple=True, type=value_of(inner, one.name), **told, **_live(one))
    if origin is Mapping:
        return Option(names, multiple=True, type=Value("name=value", pair), **told)
    return Option(names, type=value_of(hint, one.name), **told, **_live(one))


def _live(one: Input) -> dict[str, Any]:
    return {"shell_complete": _completion(one.name)} if collection_of(one.name) else {}


def flag_word(one: Input) -> str:
    """Return the name of a flag: `image` for `image_id`, `tag` for `tags`."""
    name = SINGULAR.get(one.name, one.name)
    if get_origin(one.type) in {tuple, Mapping} and one.name not in SINGULAR:
        name = name.removesuffix("s")
    return name.removesuffix("_id").replace("_", "-")


def _wishes(route: ApiRoute) -> list[click.Parameter]:
    """Return the flags that are about the call itself."""
    if route.name == "page":
        return [Option(["--limit"], type=click.IntRange(min=1), help="At most so many.")]
    if route.operation.is_safe or route.body == "stream":
        return []
    wishes: list[click.Parameter] = []
    if has_state(route.collection) and route.answer in {"thing", "none"}:
        wishes = [
            Option(["--wait"], is_flag=True, help="Until its state settles: running, available."),
            Option(
                ["--patience"],
                type=click.FloatRange(1, WAIT_S),
                default=WAIT_S,
                metavar="SECONDS",
                help="How long --wait waits at most.",
                show_default=True,
            ),
        ]
    wishes.append(Option(["--dry-run"], is_flag=True, help="Check everything short of doing it."))
    if route.name.startswith("destroy"):
        wishes.append(Option(["-y", "--yes"], is_flag=True, help="Do not ask."))
    if route.method == "POST":
        wishes.append(
            Option(
                ["--idempotency-key"],
                section=COMMON,
                metavar="KEY",
                help="The same key twice does it once. [default: made up]",
            )
        )
    return wishes


def has_state(collection: str) -> bool:
    """Return whether there is something to wait for."""
    return "state" in ROUTES[f"{collection}.get"].answer_type.__struct_fields__


def _examples(route: ApiRoute, inputs: list[Input]) -> str:
    lines = EXAMPLES.get(route.id)
    if lines is None:
        words = ["nimbi", route.collection.replace("_", "-"), command_name(route)]
        words += [_word(route, one) for one in inputs if one.in_path]
        words += [f"--{flag_word(one)} …" for one in inputs if one.is_required and not one.in_path]
        lines = (" ".join(words),)
    shown = "\n".join(f"  {line}" for line in lines)
    return f"\b\nExamples:\n{shown}"


def _word(route: ApiRoute, one: Input) -> str:
    if one.name == "id":
        return singular(route.collection).upper().replace(" ", "-")
    return one.name.removesuffix("_id").upper()
