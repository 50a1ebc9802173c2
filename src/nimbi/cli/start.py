"""What both commands do to start a server: check all that can be wrong, then serve."""

import os
import sys

import click

from nimbi.cli.daemon import Daemon, DaemonError
from nimbi.cli.errors import fail
from nimbi.settings import Settings

NO_DRIVER = "You need to specify a driver to use (-i <driver>)"

EXPOSED = (
    "Warning: anyone on the network can read logins on their way to {url}: "
    "it is not encrypted. Use --tls-cert and --tls-key."
)


def start(settings: Settings, title: str, daemon: Daemon | None = None) -> None:
    """Serve until a signal ends the server, in the background when there is a `daemon`.

    Wrong settings end the command with status 1.
    """
    # The server's libraries take a quarter of a second to load: only a server needs them.
    from nimbi.gateway.registry import Registry
    from nimbi.listener import (
        ListenError,
        check_tls,
        is_exposed,
        listen,
        make_state_dir,
        server,
        url,
    )
    from nimbi.model.errors import CloudError
    from nimbi.server import check_drivers, opened_log
    from nimbi.settings import SettingsError

    registry = Registry()
    if settings.driver is None:
        fail(f"{NO_DRIVER}\nAvailable drivers:\n{_list(registry.names())}")
    try:
        check_drivers(settings, registry)
        check_tls(settings)
        state = make_state_dir(settings, daemon.uid if daemon else os.geteuid())
        if daemon:
            daemon.give(state)
            daemon.check()
        opened_log(settings)
        sock = listen(settings)
    except (CloudError, DaemonError, ListenError, SettingsError) as error:
        fail(str(error))
    serve = server(settings, sock)
    where = url(settings, sock)
    if is_exposed(settings, sock):
        click.echo(EXPOSED.format(url=where), err=True)
    parts = [title, settings.driver, *([settings.provider] if settings.provider else [])]
    click.echo(f"Starting {' :: '.join(parts)} :: {where}/api")
    sys.stdout.flush()
    if daemon:
        _detach(daemon)
    serve()


def _detach(daemon: Daemon) -> None:
    try:
        daemon.detach()
    except DaemonError as error:
        fail(str(error))


def _list(names: tuple[str, ...]) -> str:
    return "\n".join(f"  {name}" for name in names)
