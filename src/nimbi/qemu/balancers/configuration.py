"""The text of HAProxy's configuration, made whole from what each listener shall do."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

STATS = "stats.sock"
MARK = "nimbi-"
"""Start of the description by which a running HAProxy tells which configuration it has."""

UNPRIVILEGED = ("user nobody", "group nogroup")

# HAProxy 2.6 configuration manual, section 3. An old worker goes on with its connections after a
# reload; one that is kept open for ever must not keep the worker so.
GLOBAL = """
global
    description {mark}
    stats socket unix@./{stats} mode 600 level admin expose-fd listeners
    maxconn 2000
    nbthread 2
    # Two clouds that listen at one place would share its connections; a reload passes sockets on.
    noreuseport
    no strict-limits
    hard-stop-after 12h
"""

# A member that does not take a connection is tried no further: the next one gets it.
DEFAULTS = """
defaults
    timeout connect 3s
    timeout client 1h
    timeout server 1h
    timeout queue 10s
    retries 3
    option redispatch 1
    default-server inter 2s fastinter 500ms fall 2 rise 2
"""

TCP = ("mode tcp", "balance leastconn")

# A member is well when it answers at all, save with a status of 500 and above.
HTTP = (
    "mode http",
    "balance roundrobin",
    "option forwardfor",
    # A reload closes idle connections only after one more answer, which the client can see.
    "option idle-close-on-response",
    "timeout http-request 30s",
    "timeout http-keep-alive 60s",
    "option httpchk",
    "http-check send meth GET uri / ver HTTP/1.1 hdr Host localhost hdr Connection close",
    "http-check expect ! rstatus ^5",
)
MODES = {"tcp": TCP, "http": HTTP}


@dataclass(frozen=True, kw_only=True)
class Server:
    """A member of a balancer, as HAProxy reaches it."""

    id: str
    ip: str
    port: int


@dataclass(frozen=True, kw_only=True)
class Front:
    """What listens at one address and port, and shares its connections out among `servers`.

    `protocol` is tcp or http. `id` is the balancer's.
    """

    id: str
    protocol: str
    ip: str
    port: int
    public_port: int
    servers: tuple[Server, ...]


def configuration(fronts: Iterable[Front], *, drop_root: bool) -> str:
    """Return the whole configuration; `mark` finds in it by what the running one is known.

    With `drop_root` the workers go on as nobody once they listen.
    """
    body = "\n".join([DEFAULTS, *("\n".join(_section(front)) for front in fronts)])
    rights = "".join(f"    {line}\n" for line in UNPRIVILEGED) if drop_root else ""
    made = MARK + hashlib.sha256((body + rights).encode()).hexdigest()[:32]
    return f"{GLOBAL.format(mark=made, stats=STATS)}{rights}{body}\n"


def mark(text: str) -> str:
    """Return the description that a configuration gives to its HAProxy."""
    start = text.index(MARK)
    return text[start:].split(maxsplit=1)[0]


def _section(front: Front) -> Iterator[str]:
    yield f"\nlisten {front.id}-{front.public_port}"
    yield f"    bind {front.ip}:{front.port}"
    yield from (f"    {line}" for line in MODES[front.protocol])
    for server in front.servers:
        yield f"    server {server.id} {server.ip}:{server.port} check"
