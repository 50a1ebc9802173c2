"""One request on its way to an answer."""

import re
from collections.abc import Container, Mapping, Sequence
from functools import lru_cache
from typing import Any
from uuid import uuid4

from starlette.types import Receive, Scope

from nimbi.driver.capabilities import features
from nimbi.driver.interface import Driver
from nimbi.driver.operation import Collection
from nimbi.frontends.deltacloud.formats import XML
from nimbi.frontends.deltacloud.parameters import Parameters
from nimbi.frontends.deltacloud.reply import no_host
from nimbi.frontends.deltacloud.selection import Selection
from nimbi.gateway.audit import REQUEST_ID
from nimbi.gateway.cloud import Cloud
from nimbi.gateway.registry import Registry
from nimbi.wire.basic import Login
from nimbi.wire.negotiation import Format
from nimbi.wire.written import Documents

_HOST = re.compile(r"[A-Za-z0-9._~-]+(:[0-9]{0,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{0,5})?")

# Headers that may come more than once and then make one list (RFC 9110, section 5.3). Host may not:
# its list is the name of no host, and so refused, as RFC 9112 (section 3.2) wants.
_LISTS = frozenset({b"accept", b"if-none-match", b"if-match", b"cache-control", b"host"})


class Exchange:
    """What is known of a request; filled in as it is understood.

    `path` is decoded of nothing and without matrix parameters; `arguments` are the parts of it
    that the route names, decoded. `driver` is set once it is known to exist, `cloud` for
    operations that need one. `lacks` are operations that the driver has and this session has not,
    `notes` what the driver tells of it.
    """

    __slots__ = (
        "arguments",
        "base_url",
        "cloud",
        "documents",
        "driver",
        "extensions",
        "format",
        "headers",
        "lacks",
        "login",
        "method",
        "negotiated",
        "notes",
        "operations",
        "parameters",
        "path",
        "query",
        "raw_query",
        "receive",
        "registry",
        "request_id",
        "runtime_s",
        "selection",
        "started",
    )

    cloud: Cloud
    driver: Driver[Any, Any]
    arguments: Mapping[str, str]

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        selection: Selection,
        registry: Registry,
        documents: Documents,
    ) -> None:
        self.method: str = scope["method"]
        self.receive = receive
        self.extensions: Container[str] = scope.get("extensions") or ()
        self.headers = folded(scope["headers"])
        self.path: str = ""
        self.base_url = ""
        self.registry = registry
        self.documents = documents
        self.raw_query: bytes = scope.get("query_string", b"")
        self.query: Mapping[str, str] = {}
        self.parameters = Parameters()
        self.selection = selection
        self.format: Format = XML
        self.login: Login | None = None
        self.operations: frozenset[str] = frozenset()
        self.lacks: frozenset[str] = frozenset()
        self.notes: Mapping[str, str] = {}
        self.request_id = REQUEST_ID.get()
        self.runtime_s: float | None = None
        self.started = False
        self.negotiated = False

    @property
    def api(self) -> str:
        """Return the absolute URL of the entry point."""
        return self.base_url + "/api"

    def text_header(self, name: bytes) -> str | None:
        """Return a header's value; bytes that are not UTF-8 are read as Latin-1."""
        value = self.headers.get(name)
        if value is None:
            return None
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return value.decode("latin-1")

    def features(self, interface: type[Collection]) -> frozenset[str]:
        """Return the names of a collection's features: of this session, or of any of the driver."""
        if hasattr(self, "cloud"):
            return self.cloud.features(interface)
        return features(self.driver, interface)

    def named_request(self) -> str:
        """Return the request's id, made up when the server gave none."""
        if self.request_id is None:
            self.request_id = uuid4().hex
        return self.request_id


def folded(headers: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Return headers by lower-case name; of one that comes twice the first counts, save lists."""
    by_name = dict(headers)
    if len(by_name) == len(headers):
        return by_name
    by_name = {}
    for name, value in headers:
        if name not in by_name:
            by_name[name] = value
        elif name in _LISTS:
            by_name[name] += b", " + value
    return by_name


def base_url(scope: Scope, headers: Mapping[bytes, bytes]) -> str:
    """Return scheme, host and mount path: `http://host:3001`. Raises Refusal without a Host."""
    host = headers.get(b"host")
    if not host:
        raise no_host()
    return _base_url(scope.get("scheme", "http"), host, scope.get("root_path", ""))


@lru_cache(maxsize=256)
def _base_url(scheme: str, host: bytes, root_path: str) -> str:
    text = host.decode("latin-1")
    if len(text) > 255 or not _HOST.fullmatch(text):
        raise no_host("The HTTP Host header is not the name of a host")
    return f"{scheme}://{text}{root_path}"
