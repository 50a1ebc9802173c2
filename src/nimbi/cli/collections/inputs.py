"""What a command takes from a person, one by one, for the arguments of an operation."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, get_args, get_type_hints

import msgspec

from nimbi.api.routes import ApiRoute, Argument, is_struct, without_none
from nimbi.model.features import features_of
from nimbi.model.hardware_profiles import Sizes

# Fields that no feature explains, by their names.
TEXTS: Mapping[str, str] = {
    "address": "Its address.",
    "address_block": "Its addresses, such as 10.0.0.0/16.",
    "architecture": "What it is made for: x86_64, arm64.",
    "bucket_id": "Its bucket.",
    "command": "What to run.",
    "content_type": "Its media type, such as image/png.",
    "count": "How many, 1 to 100.",
    "cpus": "How many CPUs, unless the profile's.",
    "description": "Words for people.",
    "device": "Its name there, such as /dev/sdc.",
    "external_network_id": "The network that leads to the world.",
    "format": "How its bytes are laid out: qcow2, raw.",
    "hardware_profile_id": "Its size, one of: nimbi hardware-profiles list.",
    "id": "Its id.",
    "ids": "Their ids.",
    "image_id": "Image to start from.",
    "instance_id": "The instance.",
    "kind": "Of which kind.",
    "line": "The command, for a shell.",
    "listeners": "What it takes and where that goes, such as http:80:8080.",
    "memory_mib": "How much memory in MiB, unless the profile's.",
    "metadata": "Names and values kept with it.",
    "name": "Its name.",
    "network_id": "Its network.",
    "order": "Which part, 1 to 10000.",
    "password": "The password to log in with.",
    "port": "The port, or FIRST-LAST.",
    "port_from": "The first port; -1 is any.",
    "port_to": "The last port; -1 is any.",
    "private_key": "The key to log in with.",
    "project_id": "The other account, by the cloud's own id.",
    "protocol": "What it lets in.",
    "range": "Only these bytes: FIRST-LAST, FIRST- or -COUNT.",
    "realm_id": "Where it is to be, one of: nimbi realms list.",
    "rule_id": "The rule.",
    "seconds": "How long, 1 to 604800 seconds.",
    "segments": "The parts, such as order=1,id=abc.",
    "size_bytes": "How many bytes there are.",
    "size_gib": "How large, in GiB.",
    "snapshot_id": "Snapshot to fill it from.",
    "sources": "From where: 0.0.0.0/0, group:NAME or list:ID.",
    "storage_gib": "How large a disk in GiB, unless the profile's.",
    "subnet_id": "Its subnet.",
    "upload_id": "The upload.",
    "user": "The user to log in as.",
    "volume_id": "The volume.",
}

# What a client fills in itself, or what only answers have.
SILENT = frozenset({"token", "marker", "limit", "size_bytes", "extra"})

# What is told in one as `8000-8010`.
PORTS = ("port_from", "port_to")

Place = tuple[str, tuple[str, ...]]


class PortRange:
    """The type of an input that is the first and the last port in one."""


@dataclass(frozen=True)
class Input:
    """One value: of an `argument` as a whole, or of a `field` of it, or of a struct in that.

    `type` is without None. A `feature` is one that not every cloud has; what is `in_path` is told
    without a flag.
    """

    argument: str
    field: tuple[str, ...]
    type: Any
    is_required: bool
    text: str
    in_path: bool = False
    is_feature: bool = False
    label: str = ""

    @property
    def name(self) -> str:
        """Return its name in the API: `hardware_profile_id`."""
        return self.label or (self.field[-1] if self.field else self.argument)

    @property
    def place(self) -> Place:
        return self.argument, self.field

    @property
    def key(self) -> str:
        """Return a name that no other input of the operation has."""
        return "__".join((self.argument, *self.field))


def inputs_of(route: ApiRoute) -> list[Input]:
    """Return what an operation takes: first what is in its path, in that order."""
    found = {one.place: one for argument in route.arguments for one in _of_argument(argument)}
    in_path: list[Input] = []
    for value in route.path:
        place: Place = (value.argument, (value.field,) if value.field else ())
        known = found.pop(place)
        in_path.append(replace(known, is_required=True, in_path=True, label=value.name))
    # What a new thing cannot be without, its name, needs no flag either.
    for place, one in found.items():
        if one.name == "name" and one.is_required:
            found[place] = replace(one, in_path=True)
    return in_path + [one for one in found.values() if one.name not in SILENT]


def made(route: ApiRoute, told: Mapping[Place, Any]) -> dict[str, Any]:
    """Return the arguments of an operation, by name, of the values that a person told.

    Raises msgspec.ValidationError for what does not fit.
    """
    arguments: dict[str, Any] = {}
    for argument in route.arguments:
        of_it = {field: value for (name, field), value in told.items() if name == argument.name}
        kind = without_none(argument.type)
        if () in of_it:
            arguments[argument.name] = msgspec.convert(of_it[()], kind, strict=False)
        elif _is_open(argument, kind) and (of_it or argument.is_required):
            ports = of_it.pop(PORTS, (-1, -1))
            fields = _nullable(kind) | _nested(of_it)
            if PORTS[0] in kind.__struct_fields__:
                fields |= dict(zip(PORTS, ports, strict=True))
            arguments[argument.name] = msgspec.convert(fields, kind, strict=False)
    return arguments


def _is_open(argument: Argument, kind: Any) -> bool:
    """Return whether a person tells an argument by its fields; a range of bytes is one value."""
    return is_struct(kind) and argument.name != "range"


def _of_argument(argument: Argument) -> Iterator[Input]:
    kind = without_none(argument.type)
    if argument.name == "chunks":
        return
    if _is_open(argument, kind):
        yield from _of_struct(argument.name, (), kind)
        return
    text = TEXTS.get(argument.name, "")
    yield Input(argument.name, (), kind, argument.is_required, text)


def _of_struct(
    argument: str, outer: tuple[str, ...], kind: type[msgspec.Struct]
) -> Iterator[Input]:
    marks = features_of(kind)
    hints = get_type_hints(kind)
    nullable = _nullable(kind)
    for field in msgspec.structs.fields(kind):
        hint = without_none(hints[field.name])
        place = (*outer, field.name)
        if hint is Sizes:
            yield from _of_struct(argument, place, hint)
            continue
        if field.name in PORTS:
            if field.name == PORTS[0]:
                yield Input(argument, PORTS, PortRange, False, TEXTS["port"], label="port")
            continue
        mark = marks.get(field.name)
        text = mark.text if mark else TEXTS.get(field.name, "")
        is_required = field.required and not outer and field.name not in nullable
        yield Input(argument, place, hint, is_required, text, is_feature=mark is not None)


def _nullable(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the fields that must be told and may be None, each as None."""
    hints = get_type_hints(kind)
    return {
        field.name: None
        for field in msgspec.structs.fields(kind)
        if field.required and type(None) in get_args(hints[field.name])
    }


def _nested(of_it: Mapping[tuple[str, ...], Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for (*outer, name), value in of_it.items():
        place = fields
        for part in outer:
            place = place.setdefault(part, {})
        place[name] = value
    return fields
