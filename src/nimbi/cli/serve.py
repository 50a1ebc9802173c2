"""`nimbi serve`."""

from pathlib import Path
from typing import Any

import click

from nimbi.cli.errors import fail
from nimbi.cli.flags import given, options
from nimbi.cli.start import start
from nimbi.settings import SettingsError, load

TEXT = """Serve clouds over HTTP, until a signal ends the server.

A flag wins over its variable, that over the settings file, that over the default. The default
driver serves requests that name none; a request may name any driver and provider, in headers
or in the path: /api;driver=mock."""

EPILOG = """\b
Examples:
  nimbi serve --driver mock
  nimbi serve --driver local --port 8080 --log-format json
  nimbi serve -i mock --host 0.0.0.0 --tls-cert cert.pem --tls-key key.pem
  nimbi serve --config nimbi.toml

\b
A settings file:
  [server]
  driver = "mock"
  port = 8080
  [drivers.mock.calls]
  deadline_s = 10"""


def _run(**values: Any) -> None:
    try:
        settings = load(given(values), file=values["config"])
    except SettingsError as error:
        fail(str(error))
    start(settings, "Nimbi")


def _config_option() -> click.Option:
    return click.Option(
        ["config", "-c", "--config"],
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="Read settings from this TOML file.",
    )


serve = click.Command(
    "serve",
    callback=_run,
    params=[*options(), _config_option()],
    help=TEXT,
    short_help="Serve clouds over HTTP.",
    epilog=EPILOG,
)
