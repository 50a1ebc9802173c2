"""Version 1 of the API of volumes, read and written as the later ones are."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

# What version 1 calls a name and a description, of volumes and of snapshots alike.
OLD_NAMES: Mapping[str, str] = {"name": "display_name", "description": "display_description"}
NEW_NAMES: Mapping[str, str] = {old: new for new, old in OLD_NAMES.items()}
LISTS = ("volumes", "snapshots")
THINGS = ("volume", "snapshot")
TRUTHS = frozenset({"true", "True"})

# Metadata to sift by, which later versions take in the words of Python: `{'name': 'value'}`.
_PAIR = re.compile(r"'([^']+)': '([^']*)'")


def asked(body: Any) -> Any:
    """Return a request of a later version as version 1 reads it."""
    return _told(body, lambda thing: _renamed(thing, OLD_NAMES))


def answered(body: bytes, query: Mapping[str, Any] | None) -> bytes:
    """Return an answer of version 1 as a later one tells it, and as much of a list as asked for.

    Version 1 gives each list as a whole, in no order.
    """
    try:
        told = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return body
    told = _told(told, _of_today)
    for name in LISTS:
        if isinstance(told, dict) and isinstance(told.get(name), list):
            told = {name: _cut(told[name], query or {})}
    return msgspec.json.encode(told)


def _told(body: Any, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    if not isinstance(body, dict):
        return body
    found = dict(body)
    for name in THINGS:
        if isinstance(found.get(name), dict):
            found[name] = change(found[name])
    for name in LISTS:
        if isinstance(found.get(name), list):
            found[name] = [change(each) if isinstance(each, dict) else each for each in found[name]]
    return found


def _of_today(thing: dict[str, Any]) -> dict[str, Any]:
    found = _renamed(thing, NEW_NAMES)
    if isinstance(found.get("bootable"), str):
        found["bootable"] = "true" if found["bootable"] in TRUTHS else "false"
    # An empty place stands for none.
    found["attachments"] = [each for each in found.get("attachments") or () if each]
    return found


def _renamed(thing: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {names.get(name, name): value for name, value in thing.items()}


def _cut(things: list[Any], query: Mapping[str, Any]) -> list[Any]:
    found = sorted((each for each in things if isinstance(each, dict)), key=_id)
    if query.get("volume_id") is not None:
        found = [each for each in found if each.get("volume_id") == query["volume_id"]]
    wanted = dict(_PAIR.findall(str(query.get("metadata") or ""))).items()
    if wanted:
        found = [each for each in found if wanted <= (each.get("metadata") or {}).items()]
    if query.get("marker") is not None:
        found = [each for each in found if _id(each) > str(query["marker"])]
    limit = query.get("limit")
    return found if limit is None else found[: int(limit)]


def _id(thing: Mapping[str, Any]) -> str:
    return str(thing.get("id", ""))
