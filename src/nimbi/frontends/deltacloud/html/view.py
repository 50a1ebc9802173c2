"""What every HTML page is told: where it is, what the driver can do, and the fields of forms."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote, urlsplit

Kind = Literal["text", "number", "file", "textarea", "password", "select", "checkbox", "hidden"]

# What a path or query may hold besides letters and digits; all else, blanks, quotes and
# backslashes among it, is percent-encoded. `%` stays: an href that comes is encoded already.
URL_CHARACTERS = "/;=?&%:@!$()*+,~-._#"
NOWHERE = "#"


@dataclass(frozen=True, kw_only=True)
class PageView:
    """The request as pages see it.

    `base_url` is scheme, host and mount path without a slash at the end: `http://host:3001`.
    `path` is the request's path from `/api` on, without matrix parameters, its query included.
    `root` is the entry point with the selection that links and forms must carry on, such as
    `/api;driver=mock`. `title`, when given, is the heading in place of the page's own.
    `operations` are ids such as `instances.start`; `features` are `instances.user_name` and
    the like, with the same names before the dot (`volumes.volume_name`).
    `provider` None is the driver's own default; `user` None is nobody logged in.
    """

    base_url: str
    path: str
    driver: str
    provider: str | None = None
    title: str = ""
    operations: frozenset[str] = frozenset()
    features: frozenset[str] = frozenset()
    request_id: str | None = None
    user: str | None = None
    root: str = "/api"

    def link(self, href: object) -> str:
        """Return a path on this server for an absolute or rooted href, with the selection kept.

        What is neither below `base_url` nor a rooted path becomes `#`, so that no page can be made
        to point at another server or at a script.
        """
        text = href if isinstance(href, str) else ""
        path = text.removeprefix(self.base_url)
        mount = urlsplit(self.base_url).path
        if path == "/api" or path.startswith(("/api/", "/api;", "/api?")):
            path = self.root + path.removeprefix("/api")
        return local_path(mount + path if path.startswith("/") else path)


def local_path(href: str) -> str:
    r"""Return the href encoded when it is a rooted path, `#` when it may lead elsewhere.

    Browsers read `//host` and `/\host` as another server, and drop tabs and line ends first.
    """
    encoded = quote(href, safe=URL_CHARACTERS, errors="replace")
    return encoded if encoded.startswith("/") and not encoded.startswith("//") else NOWHERE


def segment(id: str) -> str:
    """Return an id as one segment of a path or one value of a query, encoded."""
    return quote(id, safe="", errors="replace")


@dataclass(frozen=True, kw_only=True)
class FormField:
    """One input of a form. `choices` are (value, label) pairs; on a text field they are proposals.

    A checkbox sends `value` (`true` when that is empty) when it is ticked, nothing otherwise.
    A field that is `more` is folded away with others that few people need.
    """

    name: str
    label: str
    kind: Kind = "text"
    required: bool = False
    choices: Sequence[tuple[str, str]] = ()
    help: str = ""
    value: str = ""
    more: bool = False


@dataclass(frozen=True, kw_only=True)
class ParameterDoc:
    """A parameter of an operation. `kind` is `string`, `array`, …; `feature` is what it needs."""

    name: str
    kind: str = "string"
    required: bool = False
    text: str = ""
    feature: str | None = None


@dataclass(frozen=True, kw_only=True)
class OperationDoc:
    """An operation in the documentation: `create`, `POST`, `/api/instances`.

    `capability` is the name in the Expect header of a 412; `supported` tells whether the driver
    of this request can do it.
    """

    name: str
    method: str
    path: str
    text: str = ""
    capability: str | None = None
    supported: bool = True
    parameters: Sequence[ParameterDoc] = field(default=())


@dataclass(frozen=True, kw_only=True)
class CollectionDoc:
    """A collection in the documentation, with its operations in reading order."""

    name: str
    text: str = ""
    operations: Sequence[OperationDoc] = field(default=())
