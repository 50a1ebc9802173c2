"""What a request asks for: its path, verb, parameters and login, each checked."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from nimbi.frontends.deltacloud import bodies
from nimbi.frontends.deltacloud.exchange import Exchange
from nimbi.frontends.deltacloud.formats import PAGES
from nimbi.frontends.deltacloud.parameters import Parameters
from nimbi.frontends.deltacloud.reply import Headers, Problem, bad_parameters, not_found
from nimbi.frontends.deltacloud.route import Body, Route
from nimbi.frontends.deltacloud.tree import Node, found
from nimbi.wire import request_body
from nimbi.wire.matrix import Segment, split

_CONTROL = re.compile("[\x00-\x1f\x7f]")
_NAME_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")

# What any operation takes: the format, and what HTML forms and old clients add.
EVERYWHERE = frozenset({"format", "_method", "id", "commit", "utf8", "_"})

# Verbs that a form or header may ask for in place of POST.
OVERRIDES = frozenset({"GET", "HEAD", "PUT", "POST", "DELETE"})

MAX_SHOWN = 60

NO_PARAMETERS: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a path leads: its segments, what its matrix parameters select and tell."""

    node: Node
    segments: tuple[str, ...]
    matrix: Mapping[str, str]
    defaults: Mapping[str, str]


# Of the segments of `/api/buckets/:bucket/:blob`.
BLOB_AT = 3

Fixed = Mapping[bytes, tuple[Node, tuple[str, ...]]]


def place(root: Node, fixed: Fixed, raw_path: bytes, exchange: Exchange) -> Place:
    """Return where the path leads, and put it on the exchange without matrix parameters.

    Raises Refusal for a path that does not exist, Problem for one that cannot be understood.
    """
    known = fixed.get(raw_path)
    if known is not None:
        exchange.path = raw_path.decode("ascii")
        return Place(*known, NO_PARAMETERS, NO_PARAMETERS)
    segments = segments_of(raw_path, exchange)
    texts = tuple(segment.text for segment in segments)
    found_node = None if _climbs(texts) else found(root, texts)
    if found_node is None:
        raise not_found()
    defaults: dict[str, str] = {}
    for segment in segments[1:]:
        defaults |= segment.parameters
    return Place(found_node, texts, segments[0].parameters, defaults)


def segments_of(raw_path: bytes, exchange: Exchange) -> tuple[Segment, ...]:
    """Return the decoded segments of a path, and put it on the exchange as `place` does."""
    exchange.path = "/".join(
        part.partition(";")[0] for part in raw_path.decode("utf-8", "replace").split("/")
    )
    try:
        segments = split(raw_path)
    except ValueError as error:
        raise bodies.bad_request("the path is not UTF-8, or an escape in it is broken") from error
    for at, segment in enumerate(segments):
        told = "".join((*segment.parameters, *segment.parameters.values()))
        # What users call a blob is theirs, and some clouds keep any name.
        is_blob = at == BLOB_AT and segments[1].text == "buckets"
        if _CONTROL.search(told) or (not is_blob and _CONTROL.search(segment.text)):
            raise bodies.bad_request("the path holds a control character")
    if len(segments) == 2 and not segments[1].text:
        return segments[:1]
    return segments


def route_of(node: Node, method: str) -> Route:
    """Return the route of a verb; HEAD is answered like GET. Raises Problem for another verb."""
    route = node.routes.get(method)
    if route is None and method == "HEAD":
        route = node.routes.get("GET")
    if route is None:
        message = f"{method[:MAX_SHOWN]} is not possible here"
        raise Problem(405, "MethodNotAllowed", message, allow(node))
    return route


def allow(node: Node) -> Headers:
    return ((b"allow", ",".join(node.allowed()).encode("ascii")),)


async def read_form(exchange: Exchange, node: Node, limits: bodies.Limits) -> Parameters | None:
    """Return the parameters in the body of a POST, None when the handler is to read files later.

    Raises Problem for a body that is no form, and as `nimbi.wire.request_body.chunks`.
    """
    post = node.routes.get("POST")
    media_type = request_body.media_type(exchange.headers)
    if media_type == bodies.MULTIPART:
        if post is not None and post.body is Body.FILES:
            return None
        return await bodies.multipart(exchange.receive, exchange.headers, limits, False)
    body = await request_body.whole(exchange.receive, exchange.headers, limits.fields_bytes)
    if not body:
        return Parameters()
    if media_type not in {"", bodies.URLENCODED}:
        raise bodies.unsupported(f"a body of the type {media_type[:MAX_SHOWN]!r}")
    return Parameters(bodies.pairs(body))


def overridden(exchange: Exchange, form: Parameters | None) -> str:
    """Return the verb that a POST stands for: by header, query or form field. Raises Problem."""
    asked = (
        exchange.text_header(b"x-http-method-override")
        or exchange.query.get("_method")
        or (form.texts.get("_method") if form is not None else None)
    )
    if not asked:
        return exchange.method
    verb = asked.upper()
    if verb not in OVERRIDES:
        raise bodies.bad_request("the verb that stands in for POST is not known")
    return verb


def merged(defaults: Mapping[str, str], query: Mapping[str, str], form: Parameters) -> Parameters:
    """Return all parameters; those of the body win over the query, that over the path."""
    if not form.texts and not defaults:
        return Parameters(query, form.files)
    return Parameters({**defaults, **query, **form.texts}, form.files)


def check(route: Route, exchange: Exchange) -> None:
    """Raise Refusal when a parameter is missing, Problem for one that is not known.

    A parameter that is not known is refused rather than dropped: a misspelt filter would show
    everything, a misspelt wish would be lost.
    """
    given = exchange.parameters
    for name in route.required:
        if name not in given and name not in exchange.arguments:
            sent = ", ".join((*exchange.arguments, *_shown_names(given)))
            raise bad_parameters(f"Required parameter '{name}' not found in [{sent}]")
    if route.formats is PAGES:
        return
    for name in given.names():
        if name not in EVERYWHERE and name not in exchange.arguments and not route.knows(name):
            known = ", ".join(sorted(route.known)) or "none"
            shown = _NAME_CONTROL.sub("\ufffd", name[:MAX_SHOWN])
            raise bodies.bad_request(f"there is no parameter '{shown}' here; there are: {known}")


def _shown_names(given: Parameters) -> list[str]:
    names = (name for name in given.names() if name not in {"format", "_method"})
    return [_NAME_CONTROL.sub("\ufffd", name[:MAX_SHOWN]) for name in names][:50]


def _climbs(texts: tuple[str, ...]) -> bool:
    """Return whether a path holds a segment that stands for another one (RFC 3986, 5.2.4)."""
    return "." in texts or ".." in texts
