"""Makes the reference pages from the code; called by the cog blocks in README.md and docs/."""

from collections.abc import Iterable, Iterator, Sequence

import click
import msgspec

from nimbi.cli.main import PARTS, main
from nimbi.driver.capabilities import (
    INTERFACES,
    OPERATIONS,
    Operation,
    collection_classes,
    features,
    supported,
)
from nimbi.driver.operation import Collection
from nimbi.frontends.deltacloud.routes.table import DOCUMENTED
from nimbi.frontends.native.openapi.document import document
from nimbi.frontends.native.pages import words as native
from nimbi.frontends.native.problems import KINDS
from nimbi.frontends.native.routes import ROUTES
from nimbi.gateway.registry import Registry
from nimbi.model import errors
from nimbi.model.buckets import BlobCondition, BlobFilter, NewBlob, NewBucket
from nimbi.model.features import Feature, features_of
from nimbi.model.firewalls import NewRule
from nimbi.model.images import ImageFilter, NewImage, NewUpload
from nimbi.model.instances import InstanceFilter, NewAttachment, NewInstance
from nimbi.model.keys import NewKey
from nimbi.model.networks import NewNetworkInterface
from nimbi.model.volumes import NewVolume
from nimbi.settings import SETTINGS

REQUESTS: dict[str, tuple[type[msgspec.Struct], ...]] = {
    "images": (ImageFilter, NewImage, NewUpload),
    "instances": (InstanceFilter, NewInstance, NewAttachment),
    "keys": (NewKey,),
    "firewalls": (NewRule,),
    "network_interfaces": (NewNetworkInterface,),
    "volumes": (NewVolume,),
    "buckets": (NewBucket,),
    "blobs": (BlobFilter, BlobCondition, NewBlob),
}


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def words(name: str) -> str:
    """Return a name as people write it: `load_balancers` is `load balancers`."""
    return name.replace("_", " ")


def matrix() -> str:
    """Return the table of clouds and what each supports: its operations of all there are."""
    registry = Registry()
    drivers = [registry.driver(name) for name in registry.names()]
    rows = [
        [words(interface.name), *(_cell(supported(d), interface) for d in drivers)]
        for interface in INTERFACES
    ]
    return table(["collection", *(f"`{d.name}` ({d.title})" for d in drivers)], rows)


def _cell(operations: frozenset[str], interface: type[Collection]) -> str:
    every = [o for o in OPERATIONS.values() if o.interface is interface]
    having = [o for o in every if o.id in operations]
    if not having:
        return "-"
    return "all" if len(having) == len(every) else f"{len(having)} of {len(every)}"


def operations() -> str:
    """Return a section a collection, a line an operation, with the drivers that have it."""
    registry = Registry()
    having = {name: registry.supported(name) for name in registry.names()}
    parts: list[str] = []
    for interface in INTERFACES:
        parts += [f"## {interface.name}", "", _first_line(interface), ""]
        for operation in (o for o in OPERATIONS.values() if o.interface is interface):
            parts += [f"### {operation.id}", "", *_contract(operation), _who(operation, having), ""]
    return "\n".join(parts).rstrip()


def _first_line(thing: object) -> str:
    return (thing.__doc__ or "").partition("\n")[0]


def _contract(operation: Operation) -> Iterator[str]:
    lines = [line.strip() for line in (operation.function.__doc__ or "").strip().splitlines()]
    if lines:
        yield "\n".join(lines)
        yield ""


def _who(operation: Operation, having: dict[str, frozenset[str]]) -> str:
    names = [f"`{name}`" for name, ids in having.items() if operation.id in ids]
    repeat = "read-only" if operation.is_safe else "repeatable" if operation.is_repeatable else ""
    return f"Drivers: {', '.join(names) or 'none'}." + (f" Effect: {repeat}." if repeat else "")


def feature_list() -> str:
    """Return a heading a feature, with the collection, the field and the drivers that honour it."""
    registry = Registry()
    drivers = [registry.driver(name) for name in registry.names()]
    parts: list[str] = []
    for collection, requests in REQUESTS.items():
        interface = next(i for i in INTERFACES if i.name == collection)
        for name, (feature, fields) in _features(requests).items():
            having = [f"`{d.name}`" for d in drivers if name in features(d, interface)]
            parts += [
                f"### {collection}.{name}",
                "",
                f"{feature.text} Fields: {', '.join(fields)}. "
                f"Drivers: {', '.join(having) or 'none'}.",
                "",
            ]
    return "\n".join(parts).rstrip()


def _features(
    requests: tuple[type[msgspec.Struct], ...],
) -> dict[str, tuple[Feature, list[str]]]:
    found: dict[str, tuple[Feature, list[str]]] = {}
    for request in requests:
        for field, feature in features_of(request).items():
            found.setdefault(feature.name, (feature, []))[1].append(f"`{request.__name__}.{field}`")
    return found


def error_list() -> str:
    """Return a heading an error, with its code and meaning."""
    parts: list[str] = []
    for error in (errors.CloudError, *errors.ERRORS):
        parts += [f"### {error.__name__}", "", f"`{error.code}`: {_first_line(error)}", ""]
    return "\n".join(parts).rstrip()


def driver_list() -> str:
    """Return a line a driver: name, title, module's own words, login."""
    registry = Registry()
    rows = []
    for name in registry.names():
        driver = registry.driver(name)
        login = ", ".join(driver.credentials.__struct_fields__)
        count = len(collection_classes(driver))
        rows.append([f"`{name}`", driver.title, login, str(count), str(len(supported(driver)))])
    return table(["name", "title", "login", "collections", "operations"], rows)


def openstack_list() -> str:
    """Return the table of OpenStack's collections: the service of each, and its operations."""
    from nimbi.drivers.openstack.narrowing import SERVICE_OF

    having = Registry().supported("openstack")
    rows = []
    for interface in INTERFACES:
        verbs = [o.id.partition(".")[2] for o in OPERATIONS.values() if o.interface is interface]
        own = [verb for verb in verbs if f"{interface.name}.{verb}" in having]
        if own:
            service = SERVICE_OF.get(interface.name, "-")
            rows.append([words(interface.name), service, ", ".join(own)])
    return table(["collection", "service", "operations"], rows)


def setting_list() -> str:
    """Return a heading a setting, with its variable, flags, default and meaning."""
    parts: list[str] = []
    for setting in SETTINGS.values():
        ways = [f"variable `{setting.env}`"] if setting.env else []
        ways += [f"flag `{flag}`" for flag in setting.flags]
        default = "none" if setting.default is None else f"`{setting.default!r}`"
        parts += [
            f"### {setting.key}",
            "",
            setting.text,
            "",
            f"{', '.join(ways).capitalize()}. Default: {default}.",
            "",
        ]
    return "\n".join(parts).rstrip()


def state_layout() -> str:
    """Return the table of what is below the local cloud's state directory."""
    from nimbi.qemu.state.layout import LAYOUT

    return table(["name", "what it holds"], ([f"`{name}`", text] for name, text in LAYOUT.items()))


def ladder() -> str:
    """Return the table of the local cloud's collections, by the rungs that have them."""
    from nimbi.drivers.local import DRIVER
    from nimbi.drivers.local.narrowing import OF_FABRIC

    having = supported(DRIVER)
    rows = []
    for interface in collection_classes(DRIVER):
        names = [
            id.partition(".")[2] for id in sorted(having) if id.startswith(f"{interface.name}.")
        ]
        user = "no" if interface.name in OF_FABRIC else "yes"
        rows.append([words(interface.name), ", ".join(names), user, "yes"])
    return table(["collection", "operations", "`user`", "`userns`, `root`"], rows)


def command_list() -> str:
    """Return the help of every command."""
    parts = ["### nimbi", "", *_help(main, "nimbi")]
    for name in PARTS:
        command = main.get_command(click.Context(main), name)
        if command is not None:
            parts += _helps(command, f"nimbi {name}")
    return "\n".join(parts).rstrip()


def _helps(command: click.Command, name: str) -> list[str]:
    """Return the help of a command, and of those below it."""
    parts = [f"### {name}", "", *_help(command, name)]
    if isinstance(command, click.Group):
        for below in sorted(command.commands):
            parts += _helps(command.commands[below], f"{name} {below}")
    return parts


def _help(command: click.Command, name: str) -> list[str]:
    context = click.Context(command, info_name=name, max_content_width=96, terminal_width=96)
    return ["```text", command.get_help(context).rstrip(), "```", ""]


def route_list() -> str:
    """Return a heading a collection of the Deltacloud API, with a table of its operations."""
    parts: list[str] = []
    for collection, routes in DOCUMENTED.items():
        rows = [
            [
                f"`{route.verb} {route.path}`",
                route.text,
                ", ".join(
                    f"**{p.name}**" if p.required else p.name
                    for p in (*route.parameters, *route.features)
                )
                or "-",
                f"`{route.capability}`" if route.capability else "-",
            ]
            for route in routes
        ]
        head = ["request", "what it does", "parameters", "capability"]
        parts += [f"### {collection}", "", table(head, rows), ""]
    return "\n".join(parts).rstrip()


def native_list() -> str:
    """Return a heading a group of the native API's routes, with a table of its operations."""
    told = document(ROUTES)
    parts: list[str] = []
    for tag in told["tags"]:
        rows = [
            [
                f"`{operation.method} {operation.path}`",
                operation.text,
                _named(operation.parameters),
                _named(operation.fields) if operation.fields else _kind(operation.body),
                ", ".join(answer.status for answer in operation.answers),
            ]
            for operation in native.operations(told, tag["name"])
        ]
        head = ["request", "what it does", "parameters", "body", "answers"]
        parts += [f"### {tag['name']}", "", tag["description"], "", table(head, rows), ""]
    return "\n".join(parts).rstrip()


def _named(fields: Sequence[native.Field]) -> str:
    return ", ".join(f"**{f.name}**" if f.required else f.name for f in fields) or "-"


def _kind(kind: native.Kind | None) -> str:
    return "-" if kind is None else kind.before + kind.name + kind.after


def problem_list() -> str:
    """Return the table of the native API's problems."""
    rows = [
        [str(status), f"`{kind}`", f"`{code}`", text]
        for kind, (status, code, text) in sorted(KINDS.items(), key=lambda one: one[1])
    ]
    return table(["status", "kind", "code", "what it means"], rows)
