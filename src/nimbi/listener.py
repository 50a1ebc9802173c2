"""Listens and serves: the socket, TLS, the processes and their end."""

import asyncio
import errno
import gc
import ipaddress
import multiprocessing
import os
import shutil
import signal
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import uvicorn
from uvicorn.supervisors import Multiprocess

from nimbi.connection import LimitedConnection, websocket_connection
from nimbi.observability.metrics import MULTIPROCESS_DIR
from nimbi.observability.requests import App
from nimbi.server import build_app
from nimbi.settings import Settings

BACKLOG = 1024

# Of one WebSocket message; a paste into a console is cut into smaller ones by all clients.
MESSAGE_BYTES = 256 * 1024

# A server keeps much for long and makes little garbage that only the collector finds; the default
# of 700 objects makes it look through everything many times a second.
GC_THRESHOLDS = (50_000, 20, 50)

# The directory in which workers share their numbers; the rest of its name is the parent's id.
NUMBERS = "metrics-"

# How soon a worker notices that its parent was killed.
PARENT_CHECK_S = 1.0


class ListenError(Exception):
    """The server cannot listen as it was told to; the text says why."""


def listen(settings: Settings) -> socket.socket:
    """Return a listening socket. Connections wait in it until the server serves.

    Raises ListenError.
    """
    where = f"{settings.host}:{settings.port}"
    try:
        found = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError) as error:
        raise ListenError(f"cannot listen on {where}: no such host") from error
    # A name such as localhost may have both; clients try IPv4 too, but not all try IPv6.
    family, kind, protocol, _, address = min(found, key=lambda f: f[0] != socket.AF_INET)
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise ListenError(f"cannot listen on {where}: {_reason(error)}") from error
    return sock


def _reason(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "the port is in use"
    if error.errno == errno.EACCES:
        return "this user may not use the port"
    return os.strerror(error.errno) if error.errno else "it failed"


def url(settings: Settings, sock: socket.socket) -> str:
    """Return where the server is: `http://127.0.0.1:3001`."""
    scheme = "https" if settings.tls_cert else "http"
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{scheme}://{host}:{sock.getsockname()[1]}"


def is_exposed(settings: Settings, sock: socket.socket) -> bool:
    """Return whether logins could cross a network unencrypted."""
    address = ipaddress.ip_address(sock.getsockname()[0].partition("%")[0])
    return not settings.tls_cert and not address.is_loopback


def check_tls(settings: Settings) -> None:
    """Raise ListenError when the certificate or its key cannot be used."""
    if not settings.tls_cert or not settings.tls_key:
        return
    for file in (settings.tls_cert, settings.tls_key):
        try:
            Path(file).open("rb").close()
        except OSError as error:
            raise ListenError(f"{file}: cannot be read: {error.strerror}") from error
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
            settings.tls_cert, settings.tls_key, _no_password
        )
    except (ssl.SSLError, ValueError) as error:
        raise ListenError(
            f"{settings.tls_cert} and {settings.tls_key} are not a certificate and its key: {error}"
        ) from error


def _no_password() -> str:
    raise ValueError("the key has a password; a server needs one without")


def make_state_dir(settings: Settings, owner: int) -> Path:
    """Return the directory of all state, made with mode 0700 when it is not there.

    One that others may enter is closed to them; one that neither we nor the `owner` (a user's id)
    own, or that all may write to, is refused: ListenError.
    """
    path = settings.state_path()
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = path.stat()
        if status.st_uid not in {owner, os.geteuid()} or status.st_mode & 0o1000:
            raise ListenError(f"{path}: state needs a directory of its own (NIMBI_STATE_DIR)")
        if status.st_mode & 0o077:
            path.chmod(0o700)
    except OSError as error:
        raise ListenError(f"{path}: no place for state: {error.strerror}") from error
    return path


def server(settings: Settings, sock: socket.socket) -> Callable[[], None]:
    """Return what serves until SIGTERM or SIGINT, and then finishes what is in flight.

    These signals are heeded from now on: one that comes before it serves ends it at once, well.
    """
    config = _config(settings)
    if settings.workers > 1:
        return partial(_serve_beside, Multiprocess(config, sockets=[sock]), settings)
    single = uvicorn.Server(config)
    # uvicorn gives the signal that ended it back to whom had it before, which would be a crash.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, single.handle_exit)
    return partial(single.run, sockets=[sock])


def _serve_beside(parent: Multiprocess, settings: Settings) -> None:
    with _shared_numbers(settings.state_path()) as directory:
        os.environ[MULTIPROCESS_DIR] = str(directory)
        parent.run()


@contextmanager
def _shared_numbers(state: Path) -> Iterator[Path]:
    """Give a directory for the workers' numbers; remove it, and those of servers that died."""
    for old in state.glob(f"{NUMBERS}*"):
        if not Path("/proc", old.name.removeprefix(NUMBERS)).exists():
            shutil.rmtree(old, ignore_errors=True)
    directory = state / f"{NUMBERS}{os.getpid()}"
    directory.mkdir(mode=0o700)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _config(settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        partial(worker, settings),
        factory=True,
        workers=settings.workers,
        http=LimitedConnection,
        loop="uvloop",
        ws=websocket_connection,  # type: ignore[arg-type]  # it is called, and nothing else
        ws_max_size=MESSAGE_BYTES,
        ws_per_message_deflate=False,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=BACKLOG,
        proxy_headers=settings.forwarded_allow_ips is not None,
        forwarded_allow_ips=settings.forwarded_allow_ips or "",
        timeout_graceful_shutdown=settings.shutdown_s,
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=settings.tls_key,
    )


def worker(settings: Settings) -> App:
    """Return the app of one worker process."""
    return build_app(settings, on_started=_settle if settings.workers == 1 else _settle_beside)


def _settle_beside() -> None:
    _end_with_parent()
    _settle()


def _end_with_parent() -> None:
    """End this worker when the process that watches over the workers is gone."""
    parent = multiprocessing.parent_process()
    if parent is None or parent.pid != os.getppid():
        os.kill(os.getpid(), signal.SIGTERM)
    else:
        asyncio.get_running_loop().call_later(PARENT_CHECK_S, _end_with_parent)


def _settle() -> None:
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
