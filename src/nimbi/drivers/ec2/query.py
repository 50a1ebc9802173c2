"""AWS's Query protocols: parameters out, elements of answers in."""

import base64
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias
from urllib.parse import quote

from nimbi.model.errors import CloudError, Invalid
from nimbi.wire.xml_read import Element

# What RFC 3986 leaves unreserved beside letters and digits; AWS's tools escape all the rest.
UNRESERVED = "-_.~"
_PLAIN = re.compile("[A-Za-z0-9_.~-]*")

Children: TypeAlias = dict[str | bytes, Element]

TRUTHS = {"true": True, "false": False}


def flatten(parameters: Mapping[str, Any], *, member: bool = False) -> list[tuple[str, str]]:
    """Return nested parameters as pairs: {"InstanceId": ["i-1"]} gives ("InstanceId.1", "i-1").

    None, empty lists and empty mappings are left out. Bytes go as base64, times in ISO 8601. With
    `member`, lists read `Name.member.1`, as all services but EC2 want it.
    Source: https://smithy.io/2.0/aws/protocols/aws-ec2-query-protocol.html, aws-query-protocol.html
    """
    return list(_pairs("", parameters, ".member" if member else ""))


def _pairs(name: str, value: Any, list_mark: str) -> Iterator[tuple[str, str]]:
    if value is None:
        return
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _pairs(f"{name}.{key}" if name else key, inner, list_mark)
    elif isinstance(value, list | tuple | set | frozenset):
        for count, inner in enumerate(value, 1):
            yield from _pairs(f"{name}{list_mark}.{count}", inner, list_mark)
    else:
        yield name, _scalar(value)


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        # Text of an enum is its value, not its name.
        return str.__str__(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return str(value)


def encoded(pairs: Iterable[tuple[str, str]]) -> bytes:
    """Return the body of a form. Raises Invalid for text that is no Unicode."""
    try:
        return "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in pairs).encode()
    except UnicodeEncodeError as error:
        raise Invalid("a value is no Unicode text") from error


def _quoted(value: str) -> str:
    # Nearly all names and values are plain, and to find that out is far cheaper than to quote.
    return value if _PLAIN.fullmatch(value) else quote(value, UNRESERVED)


def filters(wanted: Mapping[str, Iterable[str] | str | None]) -> list[dict[str, Any]]:
    """Return the `Filter` parameter: {"vpc-id": ["v"]}. None and empty values are left out."""
    return [
        {"Name": name, "Value": [values] if isinstance(values, str) else list(values)}
        for name, values in wanted.items()
        if values
    ]


def text(element: Element, path: str) -> str | None:
    """Return the text at a path like `instanceState/name`; None when it is absent or empty."""
    found = _at(element, path)
    return None if found is None else found.text or None


def children(element: Element | None) -> Children:
    """Return the children of an element by name, of namesakes the last; none of None.

    One walk for all of them. For things that come by the hundred, with dozens of fields each, it
    takes a fraction of the time of a path for each field.
    """
    return {} if element is None else {child.tag: child for child in element.iterchildren()}


def leaf(parts: Children, name: str) -> str | None:
    """Return the text of a child; None when it is absent or empty."""
    found = parts.get(name)
    return None if found is None else found.text or None


def number(element: Element, path: str) -> int | None:
    """Return the whole number at a path. Raises CloudError when it is none."""
    found = text(element, path)
    if not found:
        return None
    try:
        return int(found)
    except ValueError:
        raise CloudError(f"the cloud gave no whole number as {path}") from None


def truth(element: Element, path: str) -> bool | None:
    """Return true or false at a path. Raises CloudError when it is neither."""
    found = text(element, path)
    if not found:
        return None
    try:
        return TRUTHS[found]
    except KeyError:
        raise CloudError(f"the cloud gave neither true nor false as {path}") from None


def when(element: Element, path: str) -> datetime | None:
    """Return the time at a path, aware, in UTC. Raises CloudError when it is none."""
    return time_of(text(element, path), path)


def time_of(told: str | None, name: str) -> datetime | None:
    """Return the time that a text tells, aware, in UTC. Raises CloudError when it tells none."""
    if not told:
        return None
    try:
        time = datetime.fromisoformat(told)
    except ValueError:
        raise CloudError(f"the cloud gave no time as {name}") from None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def items(element: Element, path: str) -> list[Element]:
    """Return all elements at a path like `reservationSet/item`, in the cloud's order."""
    parent, _, name = path.rpartition("/")
    above = _at(element, parent) if parent else element
    return [] if above is None else list(above.iterchildren(name))


def tags(element: Element) -> dict[str, str]:
    """Return the tags of a thing, of its `tagSet`."""
    return tags_in(_at(element, "tagSet"))


def tags_in(tag_set: Element | None) -> dict[str, str]:
    """Return the tags of a tagSet."""
    pairs = [] if tag_set is None else [children(pair) for pair in tag_set]
    return {leaf(pair, "key") or "": leaf(pair, "value") or "" for pair in pairs}


def _at(element: Element, path: str) -> Element | None:
    """Return the first element at a path of names.

    Twice as fast as lxml's own search, which knows more than names: this is most of a list's work.
    """
    for name in path.split("/"):
        for child in element.iterchildren(name):
            element = child
            break
        else:
            return None
    return element


def extra(element: Element) -> "Extra":
    """Return the cloud's own answer as nested mappings, read-only, made at the first look.

    `{"instanceId": "i-1", "tagSet": [{"key": "a", "value": "b"}], "reason": None}`: repeated `item`
    or `member` elements are a list, an empty element is None.
    """
    return Extra(lambda: element)


class Extra(Mapping[str, Any]):
    """An element as a mapping. Most are never looked at, so nothing is made before."""

    __slots__ = ("_find", "_made")

    def __init__(self, find: Callable[[], Element]) -> None:
        self._find: Callable[[], Element] | None = find
        self._made: dict[str, Any] = {}

    def __getitem__(self, key: str) -> Any:
        return self._all()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def __repr__(self) -> str:
        return f"Extra({self._all()!r})"

    def __reduce__(self) -> tuple[type[dict[str, Any]], tuple[dict[str, Any]]]:
        return dict, (self._all(),)

    def _all(self) -> dict[str, Any]:
        if self._find is not None:
            made = _plain(self._find())
            self._made = made if isinstance(made, dict) else {}
            # Lets go of the whole answer, which an element keeps alive.
            self._find = None
        return self._made


def _plain(element: Element) -> Any:
    if len(element) == 0:
        return element.text or None
    if all(child.tag in {"item", "member"} for child in element):
        return [_plain(child) for child in element]
    return {str(child.tag): _plain(child) for child in element}
