"""The command `deltacloudd`: the original server's flags, variables and configuration file."""

import os
from pathlib import Path
from typing import Any

import click

from nimbi.cli.daemon import Daemon, DaemonError, ids
from nimbi.cli.errors import fail
from nimbi.cli.start import NO_DRIVER, start
from nimbi.cli.yaml_config import read_config
from nimbi.settings import Settings, SettingsError, load

DEFAULT_CONFIG = "~/.deltacloud/config"
LOG_DIR = "/var/log/deltacloud-core"
LOG_NAME = "deltacloudd.log"
PID_NAME = "deltacloudd.pid"
SYSTEM_STATE_DIR = "/var/lib/nimbi"

EPILOG = """\b
Examples:
  deltacloudd -i mock
  deltacloudd -i mock -p 8080 -d -b /run/deltacloudd.pid --logdir /var/log/deltacloud-core
  deltacloudd -l

The configuration file maps drivers to {provider, user, password}; with user and password every
request uses them. The newer command `nimbi serve` can do more."""


def _text(flags: str, metavar: str, text: str) -> click.Option:
    return click.Option(flags.split(), metavar=metavar, default=None, help=text)


def _switch(flags: str, text: str) -> click.Option:
    return click.Option(flags.split(), is_flag=True, help=text)


OPTIONS: list[click.Parameter] = [
    _text("driver -i --driver", "DRIVER", "The default driver; required unless API_DRIVER is set."),
    _text("host -r --hostname", "HOST", "The address to listen on [default localhost]."),
    click.Option(["port", "-p", "--port"], type=int, metavar="PORT", help="[default 3001]"),
    _text("provider -P --provider", "PROVIDER", "The default provider [default: the driver's]."),
    _text("frontends -f --frontends", "LIST", "Front ends, with commas [default deltacloud]."),
    click.Option(
        ["config", "-c", "--config"],
        metavar="[FILE]",
        is_flag=False,
        flag_value=DEFAULT_CONFIG,
        help=f"Read this YAML file [default {DEFAULT_CONFIG}, when it is there].",
    ),
    _text("environment -e --env", "ENV", "Accepted for old scripts; there is one environment."),
    _switch("daemon -d --daemon", "Run in the background and log to a file."),
    _text("run_as -u --user", "USER", "With -d as root: run as this user [default nobody]."),
    _text("group -g --group", "GROUP", "With -d as root: run as this group [default the user's]."),
    _text("pid -b --pid", "FILE", "With -d: write the process id here [default in the state dir]."),
    _switch("list_drivers -l --drivers", "List the drivers and exit."),
    _text("log -L --log", "FILE", "Append logs to this file [default standard error]."),
    _text("logdir --logdir", "DIR", "The directory of logs [default /var/log/deltacloud-core]."),
    _switch("ssl -s --ssl", "Serve HTTPS; needs -k and -C."),
    _text("tls_key -k --ssl-key", "FILE", "The key of the certificate."),
    _text("tls_cert -C --ssl-cert", "FILE", "The certificate."),
    click.Option(
        ["timeout_s", "-t", "--timeout"],
        type=float,
        metavar="SECONDS",
        help="How long one call to a cloud may take [default 60].",
    ),
    _switch("verbose -V --verbose", "Log each call to a cloud."),
    _switch("webrick -w --webrick", "Accepted for old scripts; there is one kind of server."),
]

# Flags that are settings of the same name.
SETTINGS = ("driver", "host", "port", "provider", "frontends", "log", "timeout_s")


def _run(**values: Any) -> None:
    if values["list_drivers"]:
        _list_drivers()
        return
    if values["webrick"]:
        click.echo("Note: -w is ignored, there is one kind of server", err=True)
    try:
        daemon = _daemon(values)
        settings = _settings(values, daemon)
    except (SettingsError, DaemonError) as error:
        fail(str(error))
    if settings.driver is None:
        fail(NO_DRIVER)
    start(settings, "Deltacloud API", daemon)


def _daemon(values: dict[str, Any]) -> Daemon | None:
    if not values["daemon"]:
        return None
    uid, gid, user = ids(values["run_as"], values["group"])
    log_file = Path(values["log"] or Path(values["logdir"] or LOG_DIR) / LOG_NAME).absolute()
    state = load({"state_dir": _lesser_state_dir(uid)}).state_path()
    pid_file = Path(values["pid"]) if values["pid"] else state / PID_NAME
    return Daemon(uid, gid, user, log_file, pid_file.absolute())


def _lesser_state_dir(uid: int) -> str | None:
    # Root's own state directory is closed to the user that the daemon becomes.
    if uid == os.geteuid() or os.environ.get("NIMBI_STATE_DIR"):
        return None
    return SYSTEM_STATE_DIR


def _settings(values: dict[str, Any], daemon: Daemon | None) -> Settings:
    flags: dict[str, Any] = {key: values[key] for key in SETTINGS}
    flags["verbose"] = values["verbose"] or None
    if values["ssl"]:
        if not values["tls_key"] or not values["tls_cert"]:
            raise SettingsError("You need to specify a key (-k) and a certificate (-C) for SSL")
        flags |= {"tls_key": values["tls_key"], "tls_cert": values["tls_cert"]}
    if daemon:
        flags |= {"log": str(daemon.log_file), "state_dir": _lesser_state_dir(daemon.uid)}
    elif values["logdir"] and not values["log"]:
        flags["log"] = str(Path(values["logdir"]) / LOG_NAME)
    settings = load(flags)
    entry = _entry(values["config"], settings.driver)
    given = {key: value for key, value in entry.items() if getattr(settings, key) is None}
    if given.keys() >= {"user", "password"}:
        click.echo("Warning: every request uses the login of the configuration file", err=True)
    return load(flags | given)


def _entry(config: str | None, driver: str | None) -> dict[str, str]:
    file = Path(config or DEFAULT_CONFIG).expanduser()
    if config is None and not file.exists():
        return {}
    return read_config(file).get(driver or "", {})


def _list_drivers() -> None:
    from nimbi.gateway.registry import Registry

    click.echo("Available drivers:")
    for name in Registry().names():
        click.echo(f"* {name}")


main = click.Command(
    "deltacloudd",
    callback=_run,
    params=OPTIONS,
    help="Serve the Deltacloud API, with the original server's flags.",
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
)
