"""Nimbi for the person at this machine: settings, the first token, and the app in this process."""

import asyncio
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nimbi.cli.config import ConfigError, write_private

if TYPE_CHECKING:
    from nimbi.broker.site import Broker
    from nimbi.client.transport import Transport
    from nimbi.settings import Settings

TOKEN = "token"  # noqa: S105  the name of a file
PASSWORD = "admin-password"  # noqa: S105  the name of a file
LOG = "nimbi.log"
# The cloud in memory would be another one for each command, and gone with it.
MOCK = "mock-cloud"


def settings_here(flags: dict[str, Any] | None = None, config: Path | None = None) -> "Settings":
    """Return the settings of a server for one person; flags, the environment and a file still win.

    Raises ConfigError.
    """
    import msgspec

    from nimbi.settings import SettingsError, load, read_file

    try:
        told = read_file(config)[0] if config else {}
        usual: dict[str, Any] = {"driver": "nimbi"}
        if "host" not in told and not os.environ.get("API_HOST"):
            usual["host"] = "127.0.0.1"
        # Who runs the server for themselves reaches their own networks anyway.
        if "private_endpoints" not in told and not os.environ.get("NIMBI_PRIVATE_ENDPOINTS"):
            usual["private_endpoints"] = True
        found = load({**usual, **(flags or {})}, file=config)
    except SettingsError as error:
        raise ConfigError(str(error)) from error
    state = found.state_path()
    drivers = dict(found.drivers)
    if "storage" not in drivers.get("mock", {}) and not os.environ.get("DELTACLOUD_MOCK_STORAGE"):
        drivers["mock"] = {"storage": str(state / MOCK), **drivers.get("mock", {})}
    log = found.log or str(state / LOG)
    return msgspec.structs.replace(found, drivers=drivers, log=log)


@contextmanager
def usable() -> Iterator[None]:
    """Tell what is wrong with the database, a key or a setting as a ConfigError."""
    from nimbi.listener import ListenError
    from nimbi.settings import SettingsError
    from nimbi.store.errors import StoreError

    try:
        yield
    except (ListenError, SettingsError, StoreError) as error:
        raise ConfigError(str(error)) from error


def transport_here() -> "tuple[Transport, str]":
    """Return the app within this process, and a token for it.

    What `nimbi up` would make is made when it is not there. Raises ConfigError and CloudErrors.
    """
    from nimbi.client.in_process import SyncInProcess
    from nimbi.listener import make_state_dir
    from nimbi.server import build_app

    settings = settings_here({"frontends": "native", "polls": False, "metrics": False})
    with usable():
        make_state_dir(settings, os.geteuid())
        token = asyncio.run(first_token(settings))
        app = build_app(settings)
    transport = SyncInProcess(app)
    try:
        transport.start()
    except BaseException:
        transport.close()
        raise
    return transport, token


async def first_token(settings: "Settings") -> str:
    """Return a token that may do everything: that of the file, or a new one, which the file gets.

    The admin gets a password, in a file too, unless there is one. Raises CloudErrors, ConfigError.
    """
    from nimbi.broker.site import open_broker
    from nimbi.gateway.clouds import Clouds
    from nimbi.gateway.registry import Registry
    from nimbi.server import broker_options, driver_settings

    state = settings.state_path()
    registry = Registry()
    clouds = Clouds(registry, driver_settings(settings, registry), state)
    try:
        quiet = replace(broker_options(settings), polls=False)
        async with open_broker(quiet, clouds, registry) as broker:
            if not await broker.people.has_admin():
                password = secrets.token_urlsafe(15)
                await broker.people.set_admin_password(password)
                write_private(state / PASSWORD, password + "\n")
            return await _token(broker, state / TOKEN)
    finally:
        await clouds.aclose()


def _kept(file: Path) -> str | None:
    """Return what a file of a secret holds, None when there is no such file."""
    return file.read_text(encoding="utf-8").strip() if file.exists() else None


async def _token(broker: "Broker", file: Path) -> str:
    from nimbi.broker.access import ADMIN
    from nimbi.model.errors import Unauthorized
    from nimbi.model.tokens import NewToken

    token = await asyncio.to_thread(_kept, file)
    if token is not None:
        try:
            await broker.people.caller_of(token, None)
        except Unauthorized:
            pass
        else:
            return token
    made = await broker.people.create_token(ADMIN, NewToken(name="nimbi up"))
    write_private(file, made.secret + "\n")
    return made.secret
