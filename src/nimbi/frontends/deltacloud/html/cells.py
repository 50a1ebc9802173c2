"""JSON values as what a page shows: text, links, states, lists. Any JSON gives some cell."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from nimbi.frontends.deltacloud.html.view import NOWHERE, PageView, segment
from nimbi.frontends.deltacloud.html.words import label_of

Member = Mapping[str, Any]
CellKind = Literal["none", "text", "link", "state", "block", "secret", "many", "pairs"]

# How a state is coloured; its word is always shown too. A state that is not here stays grey.
TONES: Mapping[str, str] = {
    "RUNNING": "good",
    "AVAILABLE": "good",
    "COMPLETED": "good",
    "UP": "good",
    "PENDING": "busy",
    "STOPPING": "busy",
    "IN-USE": "busy",
    "STOPPED": "idle",
    "DOWN": "idle",
    "FINISH": "idle",
    "ERROR": "bad",
    "UNAVAILABLE": "bad",
}
SECRETS = frozenset({"password", "pem_rsa_key", "private_key"})
SIZES = ("bytes", "KiB", "MiB", "GiB", "TiB")
UNITS: Mapping[str, str] = {"capacity": "GB", "memory": "MB", "storage": "GB"}


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One shown value. `items` are the parts of a list; of `pairs`, each has a `label`."""

    kind: CellKind
    text: str = ""
    label: str = ""
    href: str = ""
    tone: str = "grey"
    items: tuple["Cell", ...] = ()


NONE = Cell(kind="none")


def cell(view: PageView, name: str, value: Any) -> Cell:
    """Return the cell of a member's value; `name` is its key, which tells states and units."""
    special = SPECIAL.get(name)
    found = special(view, value) if special else None
    if found is not None:
        return found
    if value is None or value in ("", [], {}, ()):
        return NONE
    if isinstance(value, Mapping):
        return _mapping(view, value)
    if isinstance(value, list | tuple):
        return _several([cell(view, name, item) for item in value])
    return _plain(name, value)


def text_of(value: Any) -> str:
    """Return a scalar as a person reads it: `yes`, `12`, `web1`; anything else is no text."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if isinstance(value, str | int | float) else ""


def name_of(member: Member) -> str:
    """Return what to call a member: its name, or its id when it has none."""
    return text_of(member.get("name")) or text_of(member.get("id")) or "without id"


def at(member: Member, path: str) -> Any:
    """Return the value at a dotted path, such as `properties.cpu`; None when there is none."""
    value: Any = member
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def list_at(member: Member, key: str) -> list[Member]:
    """Return the mappings in the list at a key; empty when there is no such list."""
    value = member.get(key)
    items = value if isinstance(value, list | tuple) else ()
    return [item for item in items if isinstance(item, Mapping)]


def _plain(name: str, value: Any) -> Cell:
    text = text_of(value)
    if name == "state":
        return Cell(kind="state", text=text, tone=TONES.get(text.upper(), "grey"))
    if name in SECRETS:
        return Cell(kind="secret", text=text)
    if "\n" in text.strip():
        return Cell(kind="block", text=text)
    unit = UNITS.get(name)
    return Cell(kind="text", text=f"{text} {unit}" if unit else text)


def _mapping(view: PageView, value: Member) -> Cell:
    if "href" in value:
        return _reference(view, value)
    if "address" in value and "prefix" not in value:
        return _endpoint(value)
    pairs = [_labelled(label_of(key), cell(view, key, item)) for key, item in value.items()]
    shown = tuple(pair for pair in pairs if pair.kind != "none")
    return Cell(kind="pairs", items=shown) if shown else NONE


def _labelled(label: str, inner: Cell) -> Cell:
    return Cell(
        kind=inner.kind,
        text=inner.text,
        label=label,
        href=inner.href,
        tone=inner.tone,
        items=inner.items,
    )


def _reference(view: PageView, value: Member) -> Cell:
    """Show `{id, href, …}` as a link, and what else it tells (changed sizes) behind it."""
    href = view.link(value.get("href"))
    text = name_of(value)
    known = (
        Cell(kind="link", text=text, href=href) if href != NOWHERE else Cell(kind="text", text=text)
    )
    more = cell(view, "properties", value.get("properties"))
    return _several([known, more])


def _endpoint(value: Member) -> Cell:
    address = text_of(value.get("address"))
    port = text_of(value.get("port"))
    if not address:
        return NONE
    host = f"[{address}]" if port and ":" in address else address
    return Cell(kind="text", text=f"{host}:{port}" if port else address)


def _several(cells: list[Cell]) -> Cell:
    shown = tuple(item for item in cells if item.kind != "none")
    if len(shown) < 2:
        return shown[0] if shown else NONE
    return Cell(kind="many", items=shown)


def _instance_id(view: PageView, value: Any) -> Cell | None:
    text = text_of(value)
    if not text:
        return None
    return Cell(
        kind="link",
        text=text,
        href=view.link(f"/api/instances/{segment(text)}"),
    )


def _bytes(view: PageView, value: Any) -> Cell | None:
    """Show a number of bytes in a unit that is easy to read, and exactly."""
    text = text_of(value)
    if isinstance(value, bool) or not (text.isascii() and text.isdigit()) or len(text) > 30:
        return None
    size, units = float(text), iter(SIZES)
    unit = next(units)
    while size >= 1024 and (larger := next(units, None)):
        size, unit = size / 1024, larger
    exact = f"{text} bytes"
    return Cell(kind="text", text=exact if unit == SIZES[0] else f"{size:.1f} {unit} ({exact})")


def _how_many(view: PageView, value: Any) -> Cell | None:
    return Cell(kind="text", text=str(len(value))) if isinstance(value, list | tuple) else None


def _listener(view: PageView, value: Any) -> Cell | None:
    """Show a balancer's listener as `HTTP 80 → 8080`."""
    if not isinstance(value, Mapping):
        return None
    told = [text_of(value.get(k)) for k in ("protocol", "load_balancer_port", "instance_port")]
    if not all(told):
        return None
    return Cell(kind="text", text=f"{told[0]} {told[1]} → {told[2]}")


def _listeners(view: PageView, value: Any) -> Cell | None:
    if not isinstance(value, list | tuple):
        return _listener(view, value)
    cells = [_listener(view, item) for item in value]
    return None if None in cells else _several([c for c in cells if c])


SPECIAL: Mapping[str, Callable[[PageView, Any], Cell | None]] = {
    "instance_id": _instance_id,
    "content_length": _bytes,
    "rules": _how_many,
    "listeners": _listeners,
}
