"""The formats of answers, and how one is chosen for a request."""

from functools import lru_cache

from nimbi.wire.negotiation import Format, choose

XML = Format("xml", ("application/xml", "text/xml"))
JSON = Format("json", ("application/json",))
HTML = Format("html", ("text/html", "application/xhtml+xml"))
PNG = Format("png", ("image/png",))
GV = Format("gv", ("application/ghostscript", "text/vnd.graphviz"))

BY_NAME = {known.name: known for known in (XML, JSON, HTML, PNG, GV)}

DOCUMENTS = (XML, JSON, HTML)
PICTURES = (XML, JSON, HTML, PNG, GV)
PAGES = (HTML,)

MAX_HEADER_BYTES = 1000

# What `Accept: */*` alone gets.
ANY_ORDER = ("html", "xml", "json", "png", "gv")


def chosen(asked: str | None, accept: bytes, offered: tuple[Format, ...]) -> Format | None:
    """Return the format of an answer, None when the client takes none that is offered.

    `asked` is the parameter `format`, which beats the Accept header.
    """
    if asked is not None:
        known = BY_NAME.get(asked)
        return known if known in offered else None
    # A longer header is no honest one, and would fill the cache.
    return _accepted(accept[:MAX_HEADER_BYTES], offered)


@lru_cache(maxsize=512)
def _accepted(accept: bytes, offered: tuple[Format, ...]) -> Format | None:
    return choose(accept.decode("latin-1"), offered, ANY_ORDER)


def of_error(accept: bytes, asked: str | None) -> Format:
    """Return the format of an error document where no operation says what is offered."""
    return chosen(asked, accept, DOCUMENTS) or XML
