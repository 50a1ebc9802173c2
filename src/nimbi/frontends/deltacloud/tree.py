"""From the segments of a path to the routes that stand there."""

from collections.abc import Iterable, Mapping, Sequence

from nimbi.frontends.deltacloud.route import Route

ANY = ":"


class Node:
    """What stands at a path: routes by verb, and what is below."""

    __slots__ = ("below", "routes")

    def __init__(self) -> None:
        self.routes: dict[str, Route] = {}
        self.below: dict[str, Node] = {}

    def add(self, segments: Sequence[str], route: Route) -> None:
        if not segments:
            self.routes[route.verb] = route
            return
        name = ANY if segments[0].startswith(ANY) else segments[0]
        self.below.setdefault(name, Node()).add(segments[1:], route)

    def fill(self, other: "Node") -> None:
        """Take over what another node has and this one lacks."""
        for verb, route in other.routes.items():
            self.routes.setdefault(verb, route)
        for name, node in other.below.items():
            self.below.setdefault(name, Node()).fill(node)

    def settle(self) -> None:
        """Let named segments answer like any segment, where they have no answer of their own.

        So an instance that is called `new` can be destroyed, though its page is a form.
        """
        wild = self.below.get(ANY)
        for name, node in self.below.items():
            if wild is not None and name != ANY:
                node.fill(wild)
        for node in self.below.values():
            node.settle()

    def allowed(self) -> tuple[str, ...]:
        """Return the verbs that this path knows."""
        verbs = set(self.routes)
        if "GET" in verbs:
            verbs.add("HEAD")
        return tuple(sorted(verbs))


def tree(routes: Iterable[Route]) -> Node:
    """Return the root of all paths."""
    root = Node()
    for route in routes:
        root.add(route.segments, route)
    root.settle()
    return root


def found(root: Node, segments: Sequence[str]) -> Node | None:
    """Return the node of a path, None when nothing stands there. An empty segment is nothing."""
    node = root
    for segment in segments:
        below = node.below.get(segment) if segment != ANY else None
        if below is None:
            below = node.below.get(ANY)
        if below is None or not segment:
            return None
        node = below
    return node if node.routes else None


def fixed_paths(
    routes: Iterable[Route], root: Node
) -> Mapping[bytes, tuple[Node, tuple[str, ...]]]:
    """Return node and segments of all paths without named parts: no walk is needed there."""
    paths: dict[bytes, tuple[Node, tuple[str, ...]]] = {}
    for route in routes:
        node = found(root, route.segments) if ANY not in route.path else None
        if node is not None:
            paths[route.path.encode("ascii")] = (node, route.segments)
    return paths
