"""Where the local cloud is, and how its commands end when it can't be used."""

from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from nimbi.cli.errors import fail

if TYPE_CHECKING:
    from nimbi.drivers.local.session import Settings

DRIVER = "local"

T = TypeVar("T")


@dataclass(frozen=True)
class Place:
    """What was told on the command line about where the cloud is."""

    state_dir: str | None
    config: Path | None

    def find(self) -> "tuple[Path, Settings]":
        """Return the directory of the cloud, and its settings. Ends the command when it can't."""
        import msgspec

        from nimbi.drivers.local.session import Settings
        from nimbi.settings import SettingsError, load

        try:
            told = load({"state_dir": self.state_dir}, file=self.config)
            raw = {k: v for k, v in told.drivers.get(DRIVER, {}).items() if k != "calls"}
            settings = msgspec.convert(raw, Settings)
        except SettingsError as error:
            fail(str(error))
        except msgspec.ValidationError as error:
            fail(f"{self.config}: [drivers.{DRIVER}]: {error}")
        return told.state_path() / DRIVER, settings


def finish(work: Coroutine[Any, Any, T]) -> T:
    """Do the work of a command. What the cloud refuses ends it with one line and status 1."""
    import asyncio

    from nimbi.blobstore import BlobstoreError
    from nimbi.qemu import QemuError, Unusable

    try:
        return asyncio.run(work)
    except Unusable as error:
        fail(f"{error.place}: {error}")
    except (BlobstoreError, QemuError) as error:
        fail(str(error))
    except OSError as error:
        fail(f"the local cloud's state can't be used: {error}")
    except KeyboardInterrupt:
        click.echo("given up", err=True)
        raise SystemExit(130) from None
