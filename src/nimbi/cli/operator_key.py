"""`nimbi operator-key`."""

import asyncio
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nimbi.cli.command import ending
from nimbi.cli.config import write_private
from nimbi.cli.errors import fail

if TYPE_CHECKING:
    from nimbi.settings import Settings

# Servers look for a new key every 15 seconds.
LOOK_S = 20


@click.group(
    "operator-key",
    short_help="The key that encrypts stored logins.",
    epilog="""\b
Examples:
  nimbi operator-key show
  nimbi operator-key rotate
  nimbi operator-key new > spare.key""",
)
@click.option(
    "-c",
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The server's settings file.",
)
@click.pass_context
def operator_key(context: click.Context, config: Path | None) -> None:
    """Look after the operator's key, which encrypts stored logins.

    It is in a file of the server's machine (--key-file), in NIMBI_KEY, or printed by a command.
    """
    context.obj = config


@operator_key.command(short_help="Print a new key.")
def new() -> None:
    """Print a new key, as a line of a key file, and keep it nowhere."""
    from nimbi.store.keys import new_key

    click.echo(new_key())


@operator_key.command(short_help="Tell which keys there are.")
@click.pass_obj
def show(config: Path | None) -> None:
    """Tell where the keys are kept and which one is current, never the keys themselves."""
    with ending():
        settings = _settings(config)
        with _usable():
            source, ids = asyncio.run(_known(settings))
        click.echo(f"kept in  {source}")
        for number, id in enumerate(ids):
            click.echo(f"{'opens' if number else 'current':8} {id}")


@operator_key.command(short_help="Encrypt all stored logins by a new key.")
@click.option("--drop", is_flag=True, help="Forget the old keys when it is done.")
@click.pass_obj
def rotate(config: Path | None, drop: bool) -> None:
    """Make a new key, put it before the old ones in the key file, and encrypt all logins by it.

    Servers take the new key up by themselves within seconds. The old keys stay in the file, so
    that backups of before can be read, until --drop; it drops none by which anything is encrypted.
    """
    with ending():
        settings = _settings(config)
        file = _file(settings)
        with _usable():
            count = asyncio.run(_rotated(settings, file, drop=drop))
        click.echo(f"{count} encrypted anew; the key is in {file}", err=True)


@operator_key.command(short_help="Encrypt all stored logins by the first key.")
@click.pass_obj
def encrypt(config: Path | None) -> None:
    """Encrypt by the first key what others encrypted: the rest of a rotation done by hand.

    For keys that several machines have, or that a command or NIMBI_KEY gives.
    """
    with ending():
        settings = _settings(config)
        with _usable():
            count = asyncio.run(_encrypted(settings))
        click.echo(f"{count} encrypted anew", err=True)


def _settings(config: Path | None) -> "Settings":
    from nimbi.cli.here import settings_here

    return settings_here(config=config)


def _usable() -> AbstractContextManager[None]:
    from nimbi.cli.here import usable

    return usable()


def _file(settings: "Settings") -> Path:
    from nimbi.server import broker_options
    from nimbi.store.keys import VARIABLE

    options = broker_options(settings)
    if options.key_command or options.environment.get(VARIABLE):
        fail(
            f"the keys are not in a file: put a new one (nimbi operator-key new) before them where "
            f"{'the key command' if options.key_command else VARIABLE} has them"
        )
    return options.key_file


async def _known(settings: "Settings") -> tuple[str, tuple[str, ...]]:
    from nimbi.server import broker_options
    from nimbi.store.keys import ensure_key_file, key_source
    from nimbi.store.sealing import Keyring

    options = broker_options(settings)
    source = key_source(options.key_file, options.environment, options.key_command)
    if not source.command and not source.variable:
        await ensure_key_file(options.key_file)
    return str(source), tuple((await Keyring.from_settings(source)).keys)


async def _encrypted(settings: "Settings") -> int:
    from nimbi.server import broker_options
    from nimbi.store.database import open_database
    from nimbi.store.keys import key_source
    from nimbi.store.resealing import reseal
    from nimbi.store.sealing import Keyring

    options = broker_options(settings)
    source = key_source(options.key_file, options.environment, options.key_command)
    keyring = await Keyring.from_settings(source)
    async with open_database(options.database) as database:
        return await reseal(database, keyring)


async def _rotated(settings: "Settings", file: Path, *, drop: bool) -> int:
    from nimbi.server import broker_options
    from nimbi.store.database import open_database
    from nimbi.store.errors import StoreError
    from nimbi.store.keys import ensure_key_file, key_source, new_key
    from nimbi.store.leases import LeaseStore
    from nimbi.store.resealing import in_use, reseal
    from nimbi.store.sealing import Keyring

    options = broker_options(settings)
    await ensure_key_file(file)
    first = new_key()
    old = await asyncio.to_thread(file.read_text)
    await asyncio.to_thread(write_private, file, f"{first}\n{old}")
    keyring = await Keyring.from_settings(key_source(file, {}, None))
    async with open_database(options.database) as database:
        count = await reseal(database, keyring)
        if drop:
            if await LeaseStore(database).held():
                click.echo(f"waiting {LOOK_S} s until all servers have the new key…", err=True)
                await asyncio.sleep(LOOK_S)
                count += await reseal(database, keyring)
            others = {**await in_use(database), keyring.current: 0}
            if older := sum(others.values()):
                raise StoreError(
                    f"{older} records were encrypted by an old key meanwhile, so the old keys "
                    "stay: rotate again when all servers have the new one"
                )
            await asyncio.to_thread(write_private, file, f"{first}\n")
    return count
