"""What the tables of each collection show, and how its values read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

Item = Mapping[str, Any]
Cell = Callable[[Item], str]

NONE, PAST = "-", "is over"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Column:
    """One column: its title, and what it shows of an item. A `firm` one is never cut."""

    title: str
    cell: Cell
    firm: bool = False
    is_state: bool = False


def text(value: Any) -> str:
    """Return a value of JSON as one cell has it: `-` for none, `a, b` for several."""
    if value is None or value in ("", [], {}):
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(text, value))
    if isinstance(value, dict):
        told = {name: text(inner) for name, inner in value.items()}
        return " ".join(f"{n}={inner}" for n, inner in told.items() if inner != NONE) or NONE
    return str(value)


def field(name: str) -> Cell:
    return lambda item: text(item.get(name))


def age(name: str) -> Cell:
    """Return how long ago the time in a field is: `5m`, `3h`, `12d`."""
    return lambda item: since(item.get(name))


def since(moment: str | None) -> str:
    """Return how long ago a time of JSON is; `-` for none, and for what was always there."""
    if not moment:
        return NONE
    try:
        then = datetime.fromisoformat(moment)
    except ValueError:
        return moment
    if then == EPOCH:
        return NONE
    return seconds((datetime.now(UTC) - then).total_seconds())


def until(moment: str | None) -> str:
    """Return how long it is to a time of JSON; `-` for none."""
    if not moment:
        return NONE
    left = (datetime.fromisoformat(moment) - datetime.now(UTC)).total_seconds()
    return seconds(left) if left > 0 else PAST


def seconds(count: float) -> str:
    """Return a time span as people read it: `12s`, `5m`, `3h`, `12d`."""
    for size, unit in ((86400 * 2, 86400), (3600 * 2, 3600), (60 * 2, 60)):
        if count >= size:
            return f"{count / unit:.0f}{ {86400: 'd', 3600: 'h', 60: 'm'}[unit] }"
    return f"{max(count, 0):.0f}s"


def bytes_of(name: str) -> Cell:
    def cell(item: Item) -> str:
        from nimbi.cli.local.words import size

        return size(item.get(name) or 0) or "0 B"

    return cell


def _state(item: Item) -> str:
    marks = [mark for mark in ("locked", "rescued", "shelved", "spot") if item.get(mark)]
    return " ".join([text(item.get("state")), *marks])


def _address(item: Item) -> str:
    """Return where an instance is reached; when that is not known, its private address."""
    for name in ("public_addresses", "private_addresses"):
        for endpoint in item.get(name) or []:
            if endpoint["kind"] not in {"mac", "vnc", "unavailable"}:
                port = endpoint.get("port")
                return f"{endpoint['address']}:{port}" if port else str(endpoint["address"])
    return NONE


def _property(name: str) -> Cell:
    """Return a property of a hardware profile: `2`, `1..8`, `1,2,4`."""

    def cell(item: Item) -> str:
        told = item.get(name)
        if not told:
            return NONE
        if told.get("type") == "range":
            return f"{told['first']}..{told['last']}"
        if told.get("type") == "enum":
            return ",".join(map(str, told["values"]))
        return text(told.get("default"))

    return cell


def _rules(item: Item) -> str:
    return ", ".join(rule_text(rule) for rule in item.get("rules") or []) or "none: all is shut"


def rule_text(rule: Item) -> str:
    """Return a firewall rule in short: `tcp 80 from 0.0.0.0/0`."""
    first, last = rule["port_from"], rule["port_to"]
    ports = "" if first == -1 else f" {first}" if first == last else f" {first}-{last}"
    way = "to" if rule.get("direction") == "egress" else "from"
    return f"{rule['protocol']}{ports} {way} {'+'.join(map(_source, rule['sources']))}"


def _source(source: Item) -> str:
    if source.get("type") == "address":
        return f"{source['address']}/{source['prefix']}"
    return text(source.get("name") or source.get("id"))


def _listeners(item: Item) -> str:
    return ", ".join(
        f"{one['protocol']} {one['balancer_port']}>{one['instance_port']}"
        for one in item.get("listeners") or []
    )


def _size(item: Item) -> str:
    return f"{item['size_gib']:g} GiB" if item.get("size_gib") is not None else NONE


def _share(item: Item) -> str:
    limit = "no limit" if item.get("limit") is None else str(item["limit"])
    unit = item.get("unit")
    return limit if unit in {None, "count"} else f"{limit} {unit}"


def _series(item: Item) -> str:
    return ", ".join(series["name"] for series in item.get("series") or [])


ACCOUNT = Column("ACCOUNT", field("account"))
ID = Column("ID", field("id"), firm=True)
NAME = Column("NAME", field("name"), firm=True)
STATE = Column("STATE", _state, is_state=True)
AGE = Column("AGE", age("created_at"))
REALM = Column("REALM", field("realm_id"))
INSTANCE = Column("INSTANCE", field("instance_id"))

COLUMNS: Mapping[str, tuple[Column, ...]] = {
    "realms": (ACCOUNT, ID, NAME, Column("STATE", field("state"), is_state=True)),
    "hardware_profiles": (
        ACCOUNT,
        ID,
        NAME,
        Column("CPUS", _property("cpus")),
        Column("MEMORY MIB", _property("memory_mib")),
        Column("STORAGE GIB", _property("storage_gib")),
    ),
    "images": (
        ACCOUNT,
        NAME,
        ID,
        Column("STATE", field("state"), is_state=True),
        Column("ARCHITECTURE", field("architecture")),
        Column("DESCRIPTION", field("description")),
    ),
    "instances": (
        ACCOUNT,
        NAME,
        ID,
        STATE,
        Column("ADDRESS", _address, firm=True),
        Column("PROFILE", field("hardware_profile_id")),
        REALM,
        Column("IMAGE", field("image_id")),
        AGE,
    ),
    "keys": (ACCOUNT, NAME, ID, Column("FINGERPRINT", field("fingerprint"))),
    "firewalls": (ACCOUNT, NAME, ID, Column("LETS IN", _rules)),
    "addresses": (ACCOUNT, Column("IP", field("ip"), firm=True), ID, INSTANCE),
    "networks": (ACCOUNT, NAME, ID, STATE, Column("BLOCKS", field("address_blocks"))),
    "subnets": (
        ACCOUNT,
        NAME,
        ID,
        STATE,
        Column("BLOCK", field("address_block")),
        Column("NETWORK", field("network_id")),
    ),
    "routers": (ACCOUNT, NAME, ID, STATE, Column("SUBNETS", field("subnet_ids"))),
    "network_interfaces": (
        ACCOUNT,
        NAME,
        ID,
        STATE,
        Column("IP", field("ip_address"), firm=True),
        INSTANCE,
    ),
    "load_balancers": (
        ACCOUNT,
        NAME,
        ID,
        Column("ADDRESS", field("public_addresses"), firm=True),
        Column("LISTENERS", _listeners),
        Column("INSTANCES", field("instance_ids")),
    ),
    "volumes": (ACCOUNT, NAME, ID, STATE, Column("SIZE", _size), INSTANCE, REALM, AGE),
    "snapshots": (ACCOUNT, NAME, ID, STATE, Column("VOLUME", field("volume_id")), AGE),
    "buckets": (
        ACCOUNT,
        NAME,
        Column("BLOBS", field("blob_count")),
        Column("LOCATION", field("location")),
        AGE,
    ),
    "blobs": (
        Column("ID", field("id"), firm=True),
        Column("SIZE", bytes_of("size_bytes")),
        Column("TYPE", field("content_type")),
        Column("AGE", age("modified_at")),
    ),
    "metrics": (ACCOUNT, ID, Column("OF", field("entity")), Column("MEASURED", _series)),
    "quotas": (ACCOUNT, ID, Column("USED", field("used")), Column("LIMIT", _share)),
}


def columns_of(collection: str, items: list[Any]) -> tuple[Column, ...]:
    """Return the columns of a collection that say something of these items."""
    columns = COLUMNS.get(collection, (ACCOUNT, ID, NAME, STATE))
    firm = {"ID", "NAME", "STATE"}
    return tuple(
        column
        for column in columns
        if column.title in firm or not items or any(column.cell(i) != NONE for i in items)
    )
