"""The places of the API that tell of the API: its document, and pages made of that."""

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from nimbi.frontends.native import problems
from nimbi.frontends.native.answer import Answer, json_answer
from nimbi.frontends.native.exchange import Exchange
from nimbi.frontends.native.openapi.document import document as openapi_document
from nimbi.frontends.native.openapi.schemas import Json
from nimbi.frontends.native.pages import words
from nimbi.frontends.native.route import Route
from nimbi.model.errors import NotFound

if TYPE_CHECKING:
    from jinja2 import Environment

# No script, and nothing from elsewhere.
POLICY = (
    b"content-security-policy",
    b"default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'",
)
# The pages change with the server's version only.
KEPT = (b"cache-control", b"max-age=300")
REFERRER = (b"referrer-policy", b"same-origin")

TYPES = "types"
HTML = "text/html; charset=utf-8"


async def document(exchange: Exchange) -> Answer:
    answer = json_answer(_document() | {"servers": [{"url": exchange.origin}]})
    return Answer(200, answer.body, answer.media_type, (KEPT,))


async def index(exchange: Exchange) -> Answer:
    told = _document()
    about = told["info"]["description"].replace("`", "").split("\n\n")
    sections = [{"name": tag["name"], "text": tag["description"]} for tag in told["tags"]]
    return _page(exchange, "index.html", "", title="The API", about=about, sections=sections)


async def group(exchange: Exchange) -> Answer:
    """Answer with the operations of a collection, or with all types."""
    name = exchange.arguments["group"]
    told = _document()
    if name == TYPES:
        return _page(exchange, "types.html", TYPES, title="Types", types=_types())
    tag = next((tag for tag in told["tags"] if tag["name"] == name), None)
    if tag is None:
        raise NotFound(f"there is no page {name[:60]!r}; /v1/docs lists those that there are")
    return _page(
        exchange,
        "group.html",
        name,
        title=name,
        text=tag["description"],
        operations=list(words.operations(told, name)),
    )


async def style(_exchange: Exchange) -> Answer:
    body = files(__package__ or "").joinpath("nimbi.css").read_bytes()
    return Answer(200, body, "text/css; charset=utf-8", (KEPT,))


async def all_problems(exchange: Exchange) -> Answer:
    by_status: dict[int, list[dict[str, str]]] = {}
    for name, (status, code, title) in sorted(problems.KINDS.items(), key=lambda kind: kind[1]):
        by_status.setdefault(status, []).append({"name": name, "code": code, "text": title})
    return _page(exchange, "problems.html", "problems", title="Problems", problems=by_status)


async def problem(exchange: Exchange) -> Answer:
    name = exchange.arguments["kind"]
    if name not in problems.KINDS:
        raise NotFound(f"there is no problem {name[:60]!r}; /v1/problems lists those there are")
    status, code, title = problems.KINDS[name]
    told = {status: [{"name": name, "code": code, "text": title}]}
    return _page(exchange, "problems.html", "problems", title=name, problems=told)


def _routes() -> tuple[Route, ...]:
    # The table of all routes names these here too.
    from nimbi.frontends.native.routes import ROUTES as EVERY

    return EVERY


@cache
def _document() -> Json:
    return openapi_document(_routes())


def _types() -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "text": schema.get("description", ""),
            "words": schema.get("enum"),
            "fields": words.fields(schema),
        }
        for name, schema in _document()["components"]["schemas"].items()
    ]


@cache
def _environment() -> "Environment":
    # Jinja takes 40 ms to import, and most servers never show a page.
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader(__package__ or "", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )


def _page(exchange: Exchange, template: str, here: str, **values: Any) -> Answer:
    text = (
        _environment()
        .get_template(template)
        .render(
            root=exchange.scope.get("root_path", ""),
            groups=[tag["name"] for tag in _document()["tags"]],
            here=here,
            **values,
        )
    )
    return Answer(200, text.encode(), HTML, (POLICY, KEPT, REFERRER))


ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        "/v1/openapi.json",
        document,
        None,
        text="Return the API as an OpenAPI document.",
        gives=dict[str, Any],
        is_open=True,
    ),
    Route(
        "GET",
        "/v1/docs",
        index,
        None,
        text="Show what the API has, for people.",
        media_types=("text/html",),
        is_open=True,
    ),
    Route(
        "GET",
        "/v1/docs/nimbi.css",
        style,
        None,
        text="Return the style sheet of the pages.",
        media_types=("text/css",),
        is_open=True,
    ),
    Route(
        "GET",
        "/v1/docs/{group}",
        group,
        None,
        text="Show what can be done with a collection, for people.",
        media_types=("text/html",),
        is_open=True,
    ),
    Route(
        "GET",
        "/v1/problems",
        all_problems,
        None,
        text="Show what can go wrong, for people.",
        media_types=("text/html",),
        is_open=True,
    ),
    Route(
        "GET",
        "/v1/problems/{kind}",
        problem,
        None,
        text="Show what a kind of problem means, for people.",
        media_types=("text/html",),
        is_open=True,
    ),
)
