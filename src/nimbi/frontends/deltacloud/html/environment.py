"""The templates: one Jinja environment that escapes everything, made at the first page."""

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from nimbi.frontends.deltacloud.html.view import local_path

if TYPE_CHECKING:
    from jinja2 import Environment


@cache
def environment() -> "Environment":
    """Return the environment. Text is escaped wherever it stands, an unknown name is an error.

    Every href, src and action in a template goes through the filter `local`, which lets only
    paths on this server pass; a test reads the templates for it.
    """
    # Jinja takes 40 ms to import, and a server that speaks XML never needs it.
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader(__package__ or "", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters["local"] = local_path
    return made


def render(template: str, values: dict[str, Any]) -> str:
    """Return the document that a template makes of the values."""
    return environment().get_template(template).render(values)


@cache
def stylesheet() -> bytes:
    """Return the one style sheet of all pages, served at `/stylesheets/nimbi.css` as text/css."""
    return files(__package__ or "").joinpath("stylesheets", "nimbi.css").read_bytes()
