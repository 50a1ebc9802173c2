"""The query string: parameters that the route knows, each once."""

from collections.abc import Mapping
from urllib.parse import parse_qsl

from nimbi.frontends.native.problems import bad_request
from nimbi.frontends.native.route import Route

MOST = 200
MOST_SHOWN = 60

# These may come several times; they are read as one with commas between.
LISTS = frozenset({"account", "collection"})


def parameters(raw: bytes, route: Route) -> Mapping[str, str]:
    """Return the parameters of a query string. Raises Problem.

    One that the route does not know is refused: a filter that is misspelt would show everything.
    """
    try:
        pairs = parse_qsl(
            raw.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=MOST
        )
    except UnicodeDecodeError as error:
        raise bad_request("the query is not UTF-8") from error
    except ValueError as error:
        raise bad_request(f"there are more than {MOST} parameters") from error
    found: dict[str, str] = {}
    for told, value in pairs:
        name = _dotted(told)
        if not knows(route, name):
            known = ", ".join(sorted(route.query)) or "none"
            shown = name[:MOST_SHOWN]
            raise bad_request(f"there is no parameter {shown!r} here; there are: {known}")
        if name not in found:
            found[name] = value
        elif name in LISTS:
            found[name] += "," + value
        else:
            raise bad_request(f"the parameter {name[:MOST_SHOWN]!r} comes twice")
    return found


def _dotted(name: str) -> str:
    """Return `tags.owner` of `tags[owner]`, which is how OpenAPI writes families."""
    family, bracket, rest = name.partition("[")
    is_one = bracket and rest.endswith("]") and "][" not in rest
    return f"{family}.{rest[:-1]}" if is_one else name


def knows(route: Route, name: str) -> bool:
    """Return whether a route knows a parameter; `tags.*` is any that begins with `tags.`."""
    if name in route.query:
        return True
    family, dot, rest = name.partition(".")
    return bool(dot and rest) and f"{family}.*" in route.query
