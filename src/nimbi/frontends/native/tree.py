"""From a method and a path to the route that answers there."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from nimbi.frontends.native.problems import Problem, bad_request, no_such_place
from nimbi.frontends.native.route import Route
from nimbi.model.errors import NotFound

_BROKEN = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile("[\x00-\x1f\x7f]")

# Paths that are asked again and again are understood once.
MOST_KNOWN = 1024
LONGEST_KNOWN = 200
MOST_SHOWN = 60

# What users call a blob is theirs: some clouds keep any name.
ANY_NAME = "/blobs/{id}"


@dataclass(frozen=True, slots=True)
class Place:
    """A route, and the parts of its path that vary, decoded."""

    route: Route
    arguments: Mapping[str, str]


@dataclass(slots=True)
class _Node:
    """What stands at a path: routes by method, and what is below: by name, or under any."""

    routes: dict[str, tuple[Route, tuple[tuple[int, str], ...]]] = field(default_factory=dict)
    named: dict[str, "_Node"] = field(default_factory=dict)
    any: "_Node | None" = None


class Tree:
    """All routes, to be found by path. A name of ours stands before an id of the same letters."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._root = _Node()
        self._known: dict[tuple[str, bytes], Place] = {}
        for route in routes:
            self._add(route)

    def find(self, method: str, raw_path: bytes) -> Place:
        """Return who answers a path, as it was sent. HEAD is answered like GET.

        Raises Problem when nobody does, or not this method, and NotFound for an id that none can
        have.
        """
        known = self._known.get((method, raw_path))
        if known is not None:
            return known
        segments = _segments(raw_path)
        nodes = list(_walk(self._root, segments, 0))
        for node in nodes:
            found = node.routes.get(method)
            if found is None and method == "HEAD":
                found = node.routes.get("GET")
            if found is not None:
                place = Place(found[0], _arguments(segments, *found))
                if len(raw_path) <= LONGEST_KNOWN:
                    self._remember(method, raw_path, place)
                return place
        if not nodes:
            raise no_such_place()
        allow = allowed(nodes)
        shown = method[:MOST_SHOWN]
        detail = f"{shown} is not possible here; there are: {', '.join(allow)}"
        header = (b"allow", ", ".join(allow).encode("ascii"))
        raise Problem("method_not_allowed", detail, (header,), {"allowed": allow})

    def methods(self, raw_path: bytes) -> tuple[str, ...]:
        """Return the methods that a path knows, sorted; empty when nothing is there."""
        return allowed(list(_walk(self._root, _segments(raw_path), 0)))

    def _add(self, route: Route) -> None:
        node = self._root
        names: list[tuple[int, str]] = []
        for at, part in enumerate(_parts(route.template)):
            if part.startswith("{"):
                names.append((at, part[1:-1]))
                node.any = node.any or _Node()
                node = node.any
            else:
                node = node.named.setdefault(part, _Node())
        if route.method in node.routes:
            raise ValueError(f"two routes for {route.method} {route.template}")
        node.routes[route.method] = (route, tuple(names))

    def _remember(self, method: str, raw_path: bytes, place: Place) -> None:
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        self._known[method, raw_path] = place


def allowed(nodes: list[_Node]) -> tuple[str, ...]:
    """Return all methods that these know, sorted."""
    methods = {method for node in nodes for method in node.routes}
    if methods:
        methods |= {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set())
    return tuple(sorted(methods))


def _walk(node: _Node, segments: list[str], at: int) -> Iterator[_Node]:
    """Yield all nodes that fit, those by name first. An empty segment fits nothing."""
    if at == len(segments):
        if node.routes:
            yield node
        return
    named = node.named.get(segments[at])
    if named is not None:
        yield from _walk(named, segments, at + 1)
    if node.any is not None and segments[at]:
        yield from _walk(node.any, segments, at + 1)


def _parts(path: str) -> list[str]:
    return path.removeprefix("/").split("/")


def _segments(raw_path: bytes) -> list[str]:
    """Return the decoded segments. An id may hold anything, also `/` and `..`, encoded or not."""
    if _BROKEN.search(raw_path):
        raise bad_request("an escape in the path is broken")
    try:
        return [
            unquote_to_bytes(part).decode("utf-8")
            for part in raw_path.removeprefix(b"/").split(b"/")
        ]
    except UnicodeDecodeError as error:
        raise bad_request("the path is not UTF-8") from error


def _arguments(
    segments: list[str], route: Route, names: tuple[tuple[int, str], ...]
) -> Mapping[str, str]:
    found = {name: segments[at] for at, name in names}
    free = "id" if ANY_NAME in route.template else None
    for name, value in found.items():
        if name != free and _CONTROL.search(value):
            raise NotFound(f"there is none whose {name} holds a control character")
    return found
