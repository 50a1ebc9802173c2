"""How values are written on a command line, by their types."""

import json
import sys
import types
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import click
import msgspec

from nimbi.api.routes import is_struct
from nimbi.cli.collections.inputs import PortRange
from nimbi.model.buckets import ByteRange
from nimbi.model.firewalls import AddressSource, GroupSource, PrefixListSource
from nimbi.model.instances import UserFile
from nimbi.model.load_balancers import Listener

Read = Callable[[str], Any]

SPANS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Value(click.ParamType[Any]):
    """A value that a function reads; what it cannot read, it tells by a ValueError."""

    def __init__(self, name: str, read: Read) -> None:
        self.name = name
        self._read = read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self._read(value)
        except (OSError, UnicodeError) as error:
            self.fail(f"{value!r}: {error}", param, ctx)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def value_of(hint: Any, name: str) -> click.ParamType[Any]:
    """Return the type of a flag for one value of a type; `name` is the field's."""
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return click.Choice([str(one) for one in hint])
    if get_origin(hint) is Literal:
        return click.Choice(get_args(hint))
    if hint in SIMPLE:
        return SIMPLE[hint]
    if get_origin(hint) in {Union, types.UnionType}:
        return _of_union(hint)
    if is_struct(hint):
        return Value("name=value,…", _struct_reader(hint))
    return Value("id" if name.endswith(("_id", "_ids")) or name == "id" else "text", str)


def pair(text: str) -> tuple[str, str]:
    """Return a name and its value of `NAME=VALUE`."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ValueError(f"{text!r} is not NAME=VALUE")
    return name, value


def content(text: str) -> bytes:
    """Return what a file holds; `-` is standard input."""
    return sys.stdin.buffer.read() if text == "-" else Path(text).expanduser().read_bytes()


def moment(text: str) -> str:
    """Return a time: of RFC 3339, or how long ago it was (`90s`, `15m`, `2h`, `3d`)."""
    if text[:-1].isdigit() and text[-1:] in SPANS:
        ago = timedelta(**{SPANS[text[-1]]: int(text[:-1])})
        return (datetime.now(UTC) - ago).isoformat()
    try:
        then = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is no time: 2030-01-31T12:00:00Z, or 2h for 2 hours ago"
        ) from None
    return (then if then.tzinfo else then.astimezone()).isoformat()


def byte_range(text: str) -> dict[str, int | None]:
    """Return a range of bytes: `0-99`, `100-` or `-100`."""
    first, dash, last = text.partition("-")
    numbers = all(part.isdigit() for part in (first, last) if part)
    if not dash or not numbers or not (first or last):
        raise ValueError(f"{text!r} is no range: FIRST-LAST, FIRST- or -COUNT")
    if not first:
        return {"first": -int(last), "last": None}
    return {"first": int(first), "last": int(last) if last else None}


def source(text: str) -> dict[str, Any]:
    """Return where traffic comes from: `10.0.0.0/8`, `any`, `group:web`, `list:pl-1`."""
    import ipaddress

    kind, colon, rest = text.partition(":")
    if colon and kind in {"group", "list"}:
        return (
            {"type": "group", "name": rest}
            if kind == "group"
            else {
                "type": "prefix_list",
                "id": rest,
            }
        )
    try:
        net = ipaddress.ip_network("0.0.0.0/0" if text == "any" else text, strict=False)
    except ValueError:
        raise ValueError(f"{text!r} is no source: 10.0.0.0/8, any, group:NAME or list:ID") from None
    return {
        "type": "address",
        "address": str(net.network_address),
        "prefix": net.prefixlen,
        "family": f"ipv{net.version}",
    }


def listener(text: str) -> dict[str, Any]:
    """Return a listener: `http:80:8080` is from port 80 of the balancer to 8080 of instances."""
    protocol, _, ports = text.partition(":")
    outer, colon, inner = ports.partition(":")
    if not outer.isdigit() or (colon and not inner.isdigit()):
        raise ValueError(f"{text!r} is no listener: PROTOCOL:PORT:INSTANCE_PORT, http:80:8080")
    return {
        "protocol": protocol,
        "balancer_port": int(outer),
        "instance_port": int(inner or outer),
    }


def ports(text: str) -> tuple[int, int]:
    """Return the first and the last port: `80`, `8000-8010`, `any`."""
    if text == "any":
        return -1, -1
    first, dash, last = text.partition("-")
    if not first.isdigit() or (dash and not last.isdigit()):
        raise ValueError(f"{text!r} is neither a port nor FIRST-LAST")
    return int(first), int(last or first)


def user_file(text: str) -> dict[str, Any]:
    """Return a file for an instance: `/etc/motd=motd.txt`, there and here."""
    path, file = pair(text)
    return {"path": path, "content": content(file)}


def _struct_reader(kind: type[msgspec.Struct]) -> Read:
    def read(text: str) -> dict[str, Any]:
        if text.startswith("{"):
            told = json.loads(text)
        else:
            told = dict(pair(part) for part in text.split(","))
        for name in told:
            if name not in kind.__struct_fields__:
                known = ", ".join(kind.__struct_fields__)
                raise ValueError(f"there is no {name!r} in it; there are: {known}")
        return dict(told)

    return read


def _of_union(hint: Any) -> click.ParamType[Any]:
    parts = frozenset(get_args(hint))
    if parts == {int, float}:
        return click.FLOAT
    if parts == {AddressSource, GroupSource, PrefixListSource}:
        return Value("source", source)
    return Value("text", str)


SIMPLE: Mapping[Any, click.ParamType[Any]] = {
    int: click.INT,
    float: click.FLOAT,
    bytes: Value("file", content),
    datetime: Value("time", moment),
    ByteRange: Value("range", byte_range),
    PortRange: Value("port", ports),
    Listener: Value("protocol:port:port", listener),
    UserFile: Value("path=file", user_file),
}
